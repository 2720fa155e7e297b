"""A bar of parts that add up, against a limit."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme

_BAR: Final = 10.0
_OVERHANG: Final = 4


class BarPart(NamedTuple):
    """One part of the bar."""

    value: float
    token: str
    """Its colour in the palette."""


class PartsBar(QWidget):
    """Parts from the left. When they exceed the limit, a mark shows where that is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts: tuple[BarPart, ...] = ()
        self._limit = 0.0
        self.setFixedHeight(int(_BAR) + 2 * _OVERHANG)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def show_parts(self, parts: Sequence[BarPart], limit: float) -> None:
        """Show these parts; all values and the limit are in one unit."""
        if (tuple(parts), limit) != (self._parts, self._limit):
            self._parts, self._limit = tuple(parts), limit
            self.update()

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(120, self.height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar = QRectF(0, _OVERHANG, self.width(), _BAR)
        shape = QPainterPath()
        shape.addRoundedRect(bar, _BAR / 2, _BAR / 2)
        painter.setClipPath(shape)
        painter.fillRect(bar, t.color("track"))
        need = sum(part.value for part in self._parts)
        whole = max(need, self._limit, 1.0)
        left = 0.0
        for part in self._parts:
            width = part.value / whole * bar.width()
            painter.fillRect(QRectF(left, bar.top(), width, _BAR), t.color(part.token))
            left += width
            # A gap between the parts, as colours alone may not tell them apart.
            painter.fillRect(QRectF(left - 1, bar.top(), 1, _BAR), t.color("card"))
        painter.setClipping(False)
        if need > self._limit > 0:
            at = self._limit / whole * bar.width()
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.color("bad"))
            painter.drawRoundedRect(QRectF(at - 1.5, 0, 3, self.height()), 1.5, 1.5)
