"""What crosses a process boundary: nouns, events, errors, routes and the tables that grow."""

API_VERSION = 1
"""Raised when a client of an older number could misread this engine."""
