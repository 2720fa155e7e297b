"""One metric in figures: a label above a value and its unit."""

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

_LABEL_HEIGHT = 14
_VALUE_BASELINE = 34
HEIGHT = 40


class MetricCell(QWidget):
    """Label, value and unit, painted in one go so that a new figure costs one small repaint."""

    def __init__(
        self, label: str, fonts: tuple[QFont, QFont, QFont], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._label = label
        self._value = ""
        self._unit = ""
        self._label_font, self._value_font, self._unit_font = fonts
        self._inks = (QColor(), QColor())
        self.setFixedHeight(HEIGHT)

    def label(self) -> str:
        """Return what the metric is called."""
        return self._label

    def text(self) -> str:
        """Return value and unit as one text, such as `18.9 GB`."""
        return f"{self._value} {self._unit}".strip()

    def set_value(self, value: str, unit: str, *, reason: str = "") -> bool:
        """Show a figure, `reason` in the tool-tip; return True and repaint only on a change."""
        if reason != self.toolTip():
            self.setToolTip(reason)
        if (value, unit) == (self._value, self._unit):
            return False
        self._value, self._unit = value, unit
        self.setAccessibleName(f"{self._label}: {self.text()}")
        self.update()
        return True

    def set_colours(self, strong: QColor, weak: QColor) -> None:
        """Paint the value with `strong`, label and unit with `weak`."""
        if (strong, weak) != self._inks:
            self._inks = (strong, weak)
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        strong, weak = self._inks
        painter.setPen(weak)
        painter.setFont(self._label_font)
        painter.drawText(
            0, 0, self.width(), _LABEL_HEIGHT, Qt.AlignmentFlag.AlignVCenter, self._label
        )
        painter.setFont(self._value_font)
        painter.setPen(strong)
        painter.drawText(QPointF(0, _VALUE_BASELINE), self._value)
        if self._unit:
            left = QFontMetrics(self._value_font).horizontalAdvance(self._value) + 3
            painter.setFont(self._unit_font)
            painter.setPen(weak)
            painter.drawText(QPointF(left, _VALUE_BASELINE), self._unit)
