"""Fixtures for all tests of the GUI."""

from window_kit import desk, own_home, shared_home, shared_window

__all__ = ["desk", "own_home", "shared_home", "shared_window"]
