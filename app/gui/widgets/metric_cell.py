"""One metric in figures: a label above a value and its unit, or label and value in one line."""

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

_LABEL_HEIGHT = 14
_VALUE_BASELINE = 34
HEIGHT = 40
LINE_HEIGHT = 16
_SPACE = 5
"""Between label and value in one line."""


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


class MetricLine(QWidget):
    """A metric of lesser rank: label and value side by side; nothing at all without a value."""

    def __init__(
        self, label: str, fonts: tuple[QFont, QFont], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._label = label
        self._value = ""
        self._label_font, self._value_font = fonts
        self._indent = QFontMetrics(self._label_font).horizontalAdvance(label) + _SPACE
        self._inks = (QColor(), QColor())
        self.setFixedHeight(LINE_HEIGHT)

    def text(self) -> str:
        """Return label and value as they are shown, such as `Prefill 412`."""
        return f"{self._label} {self._value}" if self._value else ""

    def set_value(self, value: str, reason: str) -> bool:
        """Show a figure, `reason` in the tool-tip; return True and repaint only on a change."""
        tip = reason if value else ""
        if tip != self.toolTip():
            self.setToolTip(tip)
        if value == self._value:
            return False
        self._value = value
        self.setAccessibleName(self.text())
        self.update()
        return True

    def set_colours(self, strong: QColor, weak: QColor) -> None:
        """Paint the value with `strong`, the label with `weak`."""
        if (strong, weak) != self._inks:
            self._inks = (strong, weak)
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._value:
            return
        painter = QPainter(self)
        strong, weak = self._inks
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(weak)
        painter.setFont(self._label_font)
        painter.drawText(self.rect(), middle, self._label)
        painter.setPen(strong)
        painter.setFont(self._value_font)
        painter.drawText(self.rect().adjusted(self._indent, 0, 0, 0), middle, self._value)
