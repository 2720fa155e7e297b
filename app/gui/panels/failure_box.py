"""The tinted box in a tile that says why a server failed and what to do."""

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.elided_label import draw_lines, is_cut, wrapped_lines
from app.wire.nouns import Failure

_PADDING = 12
_ICON = 16
_LEADING = 17
_GAP = 2
_TINTS = {"bad": "bads", "warn": "warns", "tx2": "chip"}


class FailureBox(QWidget):
    """Message in the colour of trouble, hint in plain text; the tool-tip has what does not fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message = ""
        self._hint = ""
        self._tone = "bad"

    def text(self) -> str:
        """Return message and hint."""
        return f"{self._message}\n{self._hint}".strip()

    def show_failure(self, failure: Failure, tone: str) -> None:
        """Tell about `failure` in a tone: `bad`, `warn`, or `tx2` for what is not sure any more."""
        if (failure.message, failure.hint, tone) == (self._message, self._hint, self._tone):
            return
        self._message, self._hint, self._tone = failure.message, failure.hint, tone
        self.setAccessibleName(self.text())
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.color(_TINTS[self._tone]))
        painter.drawRoundedRect(QRectF(self.rect()), 8, 8)

        left = _PADDING + _ICON + 8
        room = self.width() - left - _PADDING
        name, secondary = colours.font("name"), colours.font("secondary")
        hint = wrapped_lines(self._hint, secondary, room, 2)
        message = wrapped_lines(self._message, name, room, 4 - len(hint))
        gap = _GAP if hint else 0
        height = (len(message) + len(hint)) * _LEADING + gap
        top = (self.height() - height) / 2
        self.setToolTip(self.text() if is_cut(message) or is_cut(hint) else "")

        scale = self.devicePixelRatioF()
        ink = colours.color(self._tone)
        mark = icons.pixmap("triangle-alert", ink.name(), _ICON, scale)
        painter.drawPixmap(_PADDING, round(top + (_LEADING - _ICON) / 2), mark)
        painter.setFont(name)
        painter.setPen(ink)
        draw_lines(painter, message, left, top, _LEADING)
        painter.setFont(secondary)
        painter.setPen(colours.color("tx2" if self._tone == "tx2" else "tx"))
        draw_lines(painter, hint, left, top + len(message) * _LEADING + gap, _LEADING)
