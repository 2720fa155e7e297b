"""A search field with its icon, a key hint and a button that clears it."""

from typing import Final

from PySide6.QtCore import QEvent, QKeyCombination, QPoint, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QLineEdit, QToolButton, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme
from app.gui.widgets import icons

_ICON: Final = 16
_INSET: Final = 9
"""From the edge to icon, hint and clear button."""
_ENTER: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class SearchField(QLineEdit):
    """Reports every change at once; Esc clears, Down and Enter leave for the list."""

    down_pressed = Signal()
    enter_pressed = Signal()

    def __init__(self, placeholder: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("searchField")
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(placeholder)
        self.setTextMargins(_INSET + _ICON - 2, 0, _INSET + _ICON, 0)
        self._hint = QLabel(_find_key(), self)
        self._hint.setObjectName("keyHint")
        self._hint.setFont(theme().font("hint"))
        self._hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._clear = QToolButton(self)
        self._clear.setObjectName("searchClear")
        self._clear.setCursor(Qt.CursorShape.ArrowCursor)
        self._clear.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._clear.setToolTip(self.tr("Clear search"))
        self._clear.setAccessibleName(self.tr("Clear search"))
        self._clear.setFixedSize(_ICON + 4, _ICON + 4)
        self._clear.clicked.connect(self._clear_and_focus)
        self.textChanged.connect(self._update_extras)
        theme().changed.connect(self._paint_icons)
        self._paint_icons()
        self._update_extras()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        elif event.key() == Qt.Key.Key_Down:
            self.down_pressed.emit()
        elif event.key() in _ENTER:
            self.enter_pressed.emit()
        else:
            super().keyPressEvent(event)

    @guarded(False)
    def event(self, event: QEvent) -> bool:
        # With text in the field Esc is ours, whatever shortcut the window gives it.
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Escape
            and self.text()
        ):
            event.accept()
            return True
        return super().event(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._update_extras()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._update_extras()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        for widget in (self._hint, self._clear):
            widget.adjustSize()
        self._hint.move(self._at_right(self._hint, _INSET - 2))
        self._clear.move(self._at_right(self._clear, _INSET - 3))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        picture = icons.pixmap("search", theme().tokens.tx2, _ICON, self.devicePixelRatioF())
        painter.drawPixmap(QPoint(_INSET, (self.height() - _ICON) // 2), picture)

    def _at_right(self, widget: QWidget, inset: int) -> QPoint:
        return QPoint(self.width() - widget.width() - inset, (self.height() - widget.height()) // 2)

    def _update_extras(self) -> None:
        self._hint.setVisible(not self.text() and not self.hasFocus())
        self._clear.setVisible(bool(self.text()))

    def _clear_and_focus(self) -> None:
        self.clear()
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def _paint_icons(self) -> None:
        self._clear.setIcon(icons.icon("circle-x", theme().tokens.tx2))
        self.update()


def _find_key() -> str:
    """Return the key that leads here as the platform writes it: ⌘F or Ctrl F."""
    key = QKeySequence(QKeyCombination(Qt.KeyboardModifier.ControlModifier, Qt.Key.Key_F))
    return key.toString(QKeySequence.SequenceFormat.NativeText).replace("+", " ")
