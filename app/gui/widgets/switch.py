"""A check box that looks like a switch."""

from typing import Final

from PySide6.QtCore import QPoint, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme

_WIDTH: Final = 38.0
_HEIGHT: Final = 22.0
RING: Final = 3
"""Room for the focus ring around the switch."""
_KNOB_INSET: Final = 2.0


class Switch(QCheckBox):
    """On or off; the keyboard and a screen reader see a check box."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        theme().changed.connect(self.update)

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(int(_WIDTH) + 2 * RING, int(_HEIGHT) + 2 * RING)

    @guarded(False)
    def hitButton(self, pos: QPoint) -> bool:
        return self.rect().contains(pos)

    def paintEvent(self, arg__1: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        track = QRectF(RING, (self.height() - _HEIGHT) / 2, _WIDTH, _HEIGHT)
        if self.hasFocus():
            ring = track.adjusted(-2, -2, 2, 2)
            painter.setPen(QPen(theme().color("acc"), 2))
            painter.drawRoundedRect(ring, ring.height() / 2, ring.height() / 2)
        if not self.isEnabled():
            painter.setOpacity(0.5)
        painter.setPen(Qt.PenStyle.NoPen)
        # Off must stand out from a white card, so it takes a text grey there.
        off = "other" if theme().is_dark else "tx3"
        painter.setBrush(theme().color("fill" if self.isChecked() else off))
        painter.drawRoundedRect(track, _HEIGHT / 2, _HEIGHT / 2)
        size = _HEIGHT - 2 * _KNOB_INSET
        left = track.right() - _KNOB_INSET - size if self.isChecked() else track.left() + 2
        painter.setBrush(theme().color("on_fill"))
        painter.drawEllipse(QRectF(left, track.top() + _KNOB_INSET, size, size))
