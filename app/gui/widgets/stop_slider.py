"""A slider over a few named values."""

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSlider, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme

_HEIGHT: Final = 44
_TRACK: Final = 4.0
_KNOB: Final = 8.0
"""Radius."""
_MIDDLE: Final = 14.0
_LABEL_BASE: Final = 40.0
_LABEL_GAP: Final = 6.0


class StopSlider(QSlider):
    """The value is the number of a stop; a press anywhere goes there at once."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._labels: tuple[str, ...] = ()
        self.setPageStep(1)
        self.setFixedHeight(_HEIGHT)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFont(theme().font("label"))
        theme().changed.connect(self.update)

    def set_stops(self, labels: Sequence[str]) -> None:
        """Take the names of the stops, smallest first."""
        if tuple(labels) != self._labels:
            self._labels = tuple(labels)
            self.setRange(0, max(0, len(labels) - 1))
            self.update()

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(0, _HEIGHT)

    @guarded(QSize())
    def minimumSizeHint(self) -> QSize:
        return QSize(0, _HEIGHT)

    def mousePressEvent(self, ev: QMouseEvent) -> None:
        if ev.button() is Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self._go_to(ev.position().x())

    def mouseMoveEvent(self, ev: QMouseEvent) -> None:
        if self.isSliderDown():
            self._go_to(ev.position().x())

    def mouseReleaseEvent(self, ev: QMouseEvent) -> None:  # noqa: ARG002
        self.setSliderDown(False)

    def paintEvent(self, ev: QPaintEvent) -> None:  # noqa: ARG002
        t = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        here = self._x(self.value())
        track = QRectF(_KNOB, _MIDDLE - _TRACK / 2, self.width() - 2 * _KNOB, _TRACK)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.color("track"))
        painter.drawRoundedRect(track, _TRACK / 2, _TRACK / 2)
        track.setRight(max(here, track.left() + _TRACK))
        painter.setBrush(t.color("fill"))
        painter.drawRoundedRect(track, _TRACK / 2, _TRACK / 2)
        self._paint_labels(painter)
        ring = t.color("acc") if self.hasFocus() else t.color("line2")
        painter.setPen(QPen(ring, 2 if self.hasFocus() else 1))
        painter.setBrush(t.color("tx" if t.is_dark else "card"))
        painter.drawEllipse(QPointF(here, _MIDDLE), _KNOB - 1, _KNOB - 1)

    def _paint_labels(self, painter: QPainter) -> None:
        """Name the stops, the chosen one always, others where there is room."""
        metrics = QFontMetricsF(self.font())
        painter.setFont(self.font())
        taken: list[tuple[float, float]] = []
        last = len(self._labels) - 1
        by_weight = sorted(range(last + 1), key=lambda n: (n != self.value(), n not in (0, last)))
        for number in by_weight:
            text = self._labels[number]
            width = metrics.horizontalAdvance(text)
            left = min(max(0.0, self._x(number) - width / 2), self.width() - width)
            right = left + width
            if any(left < e + _LABEL_GAP and s < right + _LABEL_GAP for s, e in taken):
                continue
            taken.append((left, right))
            painter.setPen(theme().color("tx" if number == self.value() else "tx2"))
            painter.drawText(QPointF(left, _LABEL_BASE), text)

    def _x(self, number: int) -> float:
        last = max(1, len(self._labels) - 1)
        return _KNOB + (self.width() - 2 * _KNOB) * number / last

    def _go_to(self, x: float) -> None:
        last = max(1, len(self._labels) - 1)
        share = (x - _KNOB) / max(1.0, self.width() - 2 * _KNOB)
        self.setValue(round(min(1.0, max(0.0, share)) * last))
