"""Opens a window and prints when its first frame was complete, and the CPU time until then.

Usage: first_paint.py app | bare | classes. Both are nanoseconds, the first of the monotonic clock.
`classes` is a bare window that first loads every class of Qt that the app imports.
"""

import ast
import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

# Imports are where their cost belongs: each kind of window pays for its own.
ROOT = Path(__file__).parents[2]
NAMES = "qt-names"


def _end_when_painted(window: Any) -> None:
    """Print the times and end the process once `window` was painted."""
    from PySide6.QtCore import QCoreApplication, QEvent, QObject

    class Watch(QObject):
        """Sits at the native window: its expose event draws every widget before it returns."""

        def eventFilter(self, handle: Any, event: QEvent) -> bool:  # noqa: N802 - Qt
            if event.type() not in (QEvent.Type.Expose, QEvent.Type.UpdateRequest):
                return False
            handle.removeEventFilter(self)
            QCoreApplication.sendEvent(handle, event)
            if handle.isExposed():
                os.write(1, b"%d %d\n" % (time.monotonic_ns(), time.process_time_ns()))
                os._exit(0)
            handle.installEventFilter(self)
            return True

    handle = window.windowHandle()
    handle.installEventFilter(Watch(handle))


def _watched(kind: Any) -> Any:
    class Window(kind):
        def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt
            super().showEvent(event)
            _end_when_painted(self)

    return Window


def _open_app() -> None:
    sys.path.insert(0, str(ROOT))
    from app import __main__ as entry
    from app.gui import main as gui

    gui.MainWindow = _watched(gui.MainWindow)
    sys.exit(entry.main(["gui"]))


def _open_bare() -> None:
    from PySide6.QtWidgets import QApplication, QLabel, QWidget

    app = QApplication(sys.argv[:1])
    window = _watched(QWidget)()
    window.resize(1400, 860)
    QLabel("Hello", window)
    window.show()
    sys.exit(app.exec())


def _open_with_classes() -> None:
    file = Path(os.environ["MLX_MANAGER_HOME"]) / NAMES
    if not file.exists():
        # Once, in a run that is not measured.
        file.write_text("\n".join(_names()), encoding="utf-8")
    for line in file.read_text(encoding="utf-8").splitlines():
        module, name = line.split()
        getattr(importlib.import_module(module), name)
    _open_bare()


def _names() -> list[str]:
    """Return module and name of everything that the app imports from Qt."""
    found: set[str] = set()
    for file in (ROOT / "app" / "gui").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("PySide6."):
                found |= {f"{node.module} {alias.name}" for alias in node.names}
    return sorted(found)


if __name__ == "__main__":
    {"app": _open_app, "bare": _open_bare, "classes": _open_with_classes}[sys.argv[1]]()
