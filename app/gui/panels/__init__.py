"""The halves of the main window."""
