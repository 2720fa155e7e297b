"""Lets text fields keep the keys that delete text, which are commands elsewhere in the window."""

from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QPlainTextEdit, QWidget

from app.gui.guarded import guarded

_DELETES: Final = (Qt.Key.Key_Backspace, Qt.Key.Key_Delete)


class TextKeys(QObject):
    """Watches every field that has had the keyboard.

    Qt's own fields claim only some of their keys: the one that deletes a word, or on macOS the
    line, would delete the chosen profile.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._on_focus_changed)

    def _on_focus_changed(self, _old: QWidget | None, now: QWidget | None) -> None:
        if now is not None and _takes_text(now) and self._window.isAncestorOf(now):
            now.installEventFilter(self)

    @guarded(False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() in _DELETES
            and _takes_text(watched)
        ):
            event.accept()
            return True
        return False


def _takes_text(widget: QObject) -> bool:
    match widget:
        case QLineEdit() | QPlainTextEdit():
            return not widget.isReadOnly()
        case QComboBox():
            return widget.isEditable()
        case _:
            return False
