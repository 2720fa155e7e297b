"""Looks at the hub for the engine: searches, details, and what a model needs of the memory."""
