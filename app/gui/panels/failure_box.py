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


class FailureBox(QWidget):
    """Message in the colour of trouble, hint in plain text; the tool-tip has what does not fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message = ""
        self._hint = ""

    def text(self) -> str:
        """Return message and hint."""
        return f"{self._message}\n{self._hint}".strip()

    def show_failure(self, failure: Failure) -> None:
        """Tell about `failure`."""
        if (failure.message, failure.hint) == (self._message, self._hint):
            return
        self._message, self._hint = failure.message, failure.hint
        self.setAccessibleName(self.text())
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.color("bads"))
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
        mark = icons.pixmap("triangle-alert", colours.tokens.bad, _ICON, scale)
        painter.drawPixmap(_PADDING, round(top + (_LEADING - _ICON) / 2), mark)
        painter.setFont(name)
        painter.setPen(colours.color("bad"))
        draw_lines(painter, message, left, top, _LEADING)
        painter.setFont(secondary)
        painter.setPen(colours.color("tx"))
        draw_lines(painter, hint, left, top + len(message) * _LEADING + gap, _LEADING)
