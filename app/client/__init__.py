"""How a front end talks to an engine; no Qt."""
