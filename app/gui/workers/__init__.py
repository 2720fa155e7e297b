"""Everything of the GUI that may block: each piece of work runs in a QThread."""
