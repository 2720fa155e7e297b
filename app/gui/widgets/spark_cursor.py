"""The mark on a sparkline under the pointer: a line, a dot and a bubble with value and time."""

from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

_DOT = 3.0
_PADDING = 7
_BUBBLE = 20
_GAP = 4


class Mark(NamedTuple):
    """Where the pointer is on a plot, in the coordinates of the cursor's widget."""

    x: float
    y: float | None
    """None where there is no figure."""
    top: float
    bottom: float
    colour: QColor
    text: str


class SparkCursor(QWidget):
    """Lies over plots, takes no mouse events and is hidden while there is no mark."""

    def __init__(self, font: QFont, parent: QWidget) -> None:
        super().__init__(parent)
        self._mark: Mark | None = None
        self._inks = (QColor(), QColor(), QColor())
        self.setFont(font)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def text(self) -> str:
        """Return what the bubble says; empty while there is none."""
        return "" if self._mark is None else self._mark.text

    def set_colours(self, text: QColor, ground: QColor, edge: QColor) -> None:
        """Paint the bubble in these colours."""
        self._inks = (text, ground, edge)
        self.update()

    def show_mark(self, mark: Mark | None) -> None:
        """Show a mark, or none."""
        if mark != self._mark:
            self._mark = mark
            self.setVisible(mark is not None)
            self.raise_()
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        mark = self._mark
        if mark is None:
            return
        text, ground, edge = self._inks
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(edge, 1))
        x = round(mark.x) + 0.5
        painter.drawLine(QPointF(x, mark.top), QPointF(x, mark.bottom))
        if mark.y is not None:
            painter.setPen(QPen(ground, 1.5))
            painter.setBrush(mark.colour)
            painter.drawEllipse(QPointF(x, mark.y), _DOT + 0.5, _DOT + 0.5)
        bubble = self._bubble(mark)
        painter.setPen(QPen(edge, 1))
        painter.setBrush(ground)
        painter.drawRoundedRect(bubble, 5, 5)
        painter.setPen(text)
        painter.drawText(bubble, Qt.AlignmentFlag.AlignCenter, mark.text)

    def _bubble(self, mark: Mark) -> QRectF:
        width = QFontMetrics(self.font()).horizontalAdvance(mark.text) + 2 * _PADDING
        left = min(max(0.5, mark.x - width / 2), self.width() - width - 0.5)
        return QRectF(round(left) + 0.5, mark.bottom + _GAP + 0.5, width, _BUBBLE)
