"""The app in a process of its own, with a hand that reads and presses what is on its screen.

Each line of standard input is a wish in JSON; a line with the answer comes back.
"""

import json
import sys
from typing import Any

from PySide6.QtCore import QSocketNotifier, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QLabel,
    QMainWindow,
    QMessageBox,
    QWidget,
)

from app.gui import main as gui


def visible(kind: type[Any]) -> list[Any]:
    return [w for w in QApplication.allWidgets() if isinstance(w, kind) and w.isVisible()]


def texts() -> list[str]:
    """Return every text on the screen, without the marks that only hold lines together."""
    found: list[str] = [w.text() for w in visible(QLabel)]
    found += [b.text() or b.toolTip() for b in visible(QAbstractButton)]
    found += [w.windowTitle() for w in visible(QWidget) if w.isWindow()]
    for box in visible(QMessageBox):
        found += [box.text(), box.informativeText()]
    return [text.replace("\u2060", "").replace("\u00a0", " ") for text in found if text]


def press(text: str) -> bool:
    """Press the one button that says this; what it opens must not hold up the answer."""
    found = [b for b in visible(QAbstractButton) if text in (b.text(), b.toolTip())]
    if len(found) != 1 or not found[0].isEnabled():
        return False
    QTimer.singleShot(0, lambda: QTest.mouseClick(found[0], Qt.MouseButton.LeftButton))
    return True


def answer(text: str) -> bool:
    """Press the button of a question."""
    found = [b for box in visible(QMessageBox) for b in box.buttons() if b.text() == text]
    if found:
        QTimer.singleShot(0, lambda: QTest.mouseClick(found[0], Qt.MouseButton.LeftButton))
    return bool(found)


def switch(name: str) -> bool:
    """Press the control of a screen reader's name."""
    found = [b for b in visible(QAbstractButton) if b.accessibleName() == name]
    QTimer.singleShot(0, lambda: QTest.mouseClick(found[0], Qt.MouseButton.LeftButton))
    return len(found) == 1


def has(name: str) -> bool:
    """Return True when a control of this name is on the screen."""
    return any(b.accessibleName() == name for b in visible(QAbstractButton))


def is_on(name: str) -> bool:
    return next(b.isChecked() for b in visible(QAbstractButton) if b.accessibleName() == name)


def run(command: str) -> bool:
    """Choose a command of the menus."""
    (window,) = (w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow))
    QTimer.singleShot(0, lambda: window.parts.run_command(command))
    return True


def grab(file: str) -> bool:
    """Save a picture of every window."""
    for number, window in enumerate(w for w in visible(QWidget) if w.isWindow()):
        window.grab().save(file.format(number))
    return True


def close_dialogs() -> bool:
    for dialog in visible(QDialog):
        QTimer.singleShot(0, dialog.reject)
    return True


DEEDS = {
    f.__name__: f for f in (texts, press, answer, switch, has, is_on, run, grab, close_dialogs)
}


def obey() -> None:
    line = sys.stdin.readline()
    if not line:
        hand.setEnabled(False)
        return
    deed, *arguments = json.loads(line)
    sys.stdout.write(json.dumps(DEEDS[deed](*arguments)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    app = gui.make_application()
    hand = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Type.Read)
    hand.activated.connect(obey)
    sys.exit(gui.main(sys.argv[1:]))
