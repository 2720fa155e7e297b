"""One file for each source of process and machine figures."""
