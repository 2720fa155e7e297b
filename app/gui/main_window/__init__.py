"""The main window: its two halves, its commands, and the session with one engine behind it."""

from app.gui.main_window.window import MainWindow

__all__ = ["MainWindow"]
