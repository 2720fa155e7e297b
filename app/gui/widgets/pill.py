"""A small rounded label with a word, and mostly a dot: the state of something."""

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

_HEIGHT = 20
_DOT = 6.0
_PADDING = 9
_GAP = 6


class Pill(QWidget):
    """Shows one word in its colour on a tint; the word alone says the state, the colour helps."""

    def __init__(self, font: QFont, parent: QWidget | None = None, *, has_dot: bool = True) -> None:
        super().__init__(parent)
        self._indent = _DOT + _GAP if has_dot else 0.0
        self._text = ""
        self._ink = QColor()
        self._tint = QColor()
        self.setFont(font)
        self.setFixedHeight(_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """Return the word."""
        return self._text

    def set_state(self, text: str, ink: QColor, tint: QColor) -> bool:
        """Show a word; return True and repaint only when something differs."""
        if (text, ink, tint) == (self._text, self._ink, self._tint):
            return False
        self._text, self._ink, self._tint = text, ink, tint
        self.setAccessibleName(text)
        advance = QFontMetrics(self.font()).horizontalAdvance(text)
        self.setFixedWidth(round(_PADDING * 2 + self._indent + advance))
        self.update()
        return True

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._tint)
        radius = self.height() / 2
        painter.drawRoundedRect(QRectF(self.rect()), radius, radius)
        if self._indent:
            painter.setBrush(self._ink)
            painter.drawEllipse(QPointF(_PADDING + _DOT / 2, radius), _DOT / 2, _DOT / 2)
        painter.setPen(self._ink)
        left = _PADDING + self._indent
        painter.drawText(
            QRectF(left, 0, self.width() - left, self.height()),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
            self._text,
        )
