"""The rounded ground that figures and facts stand on."""

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from app.gui.theme import theme

_RADIUS = 10


def paint_card(painter: QPainter, widget: QWidget) -> None:
    """Fill the widget's own rectangle; smooth edges stay switched on."""
    t = theme()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(t.color("line"), 1))
    painter.setBrush(t.color("card"))
    box = QRectF(widget.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
    painter.drawRoundedRect(box, _RADIUS, _RADIUS)
