"""Runs in the frozen program before anything else, PyInstaller's own start-up code too."""

import os
import sys

# The search path of our libraries is for this process alone: programs that it starts must find
# those of the system.
if "LD_LIBRARY_PATH" in os.environ:
    _original = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    del os.environ["LD_LIBRARY_PATH"]
    if _original is not None:
        os.environ["LD_LIBRARY_PATH"] = _original
    # A copy of ourselves takes the path for set already unless it is told to start afresh.
    os.environ["PYINSTALLER_RESET_ENVIRONMENT"] = "1"

_mode = sys.argv[1] if len(sys.argv) > 1 else "gui"
if _mode == "guard":
    from app import guard

    # There is one for each server; PyInstaller's start-up code would double its memory.
    sys.exit(guard.main())
if _mode in ("engine", "runner", "worker") and "app.gui" not in sys.argv:
    # Makes PyInstaller's start-up code for Qt give up, which loads Qt into every process.
    sys.modules["PySide6"] = None  # pyright: ignore[reportArgumentType]
