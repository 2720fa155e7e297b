"""Light text widgets: one elided line, or a few wrapped lines, painted without a layout pass."""

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QTextLayout
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.gui.guarded import guarded

_ELLIPSIS = "…"


class ElidedLabel(QWidget):
    """One line of text that elides where it must and then tells the whole text in its tool-tip.

    A QLabel would ask its layout for a new size at every new text; figures change each second.
    """

    def __init__(
        self,
        font: QFont,
        *,
        elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._text = ""
        self._reason = ""
        self._elide = elide
        self._align = align | Qt.AlignmentFlag.AlignVCenter
        self._colour = QColor()
        self.setFont(font)
        self.setFixedHeight(QFontMetrics(font).height())
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """Return the whole text."""
        return self._text

    def setText(self, text: str) -> bool:
        """Show `text`; return True and repaint only when it differs."""
        if text == self._text:
            return False
        self._text = text
        self.setAccessibleName(text)
        self._tell_all()
        self.update()
        return True

    def set_reason(self, text: str) -> None:
        """Use `text` as the tool-tip in place of the elided text; empty goes back."""
        if text != self._reason:
            self._reason = text
            self._tell_all()

    def set_colour(self, colour: QColor) -> None:
        """Paint with `colour` from now on."""
        if colour != self._colour:
            self._colour = colour
            self.update()

    def natural_width(self) -> int:
        """Return the width in pixels that the whole text needs."""
        return QFontMetrics(self.font()).horizontalAdvance(self._text) + 1

    def resizeEvent(self, _event: object) -> None:
        self._tell_all()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self._colour)
        painter.drawText(self.rect(), self._align, self._shown())

    def _shown(self) -> str:
        return QFontMetrics(self.font()).elidedText(self._text, self._elide, self.width())

    def _tell_all(self) -> None:
        tip = self._reason or (self._text if self.natural_width() > self.width() + 1 else "")
        if tip != self.toolTip():
            self.setToolTip(tip)


class WrappedLabel(QWidget):
    """A few lines of text, as high as they are; the tool-tip has what does not fit."""

    def __init__(self, font: QFont, *, most: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._most = most
        self._lines: list[str] = []
        self._colour = QColor()
        self.setFont(font)
        self._leading = QFontMetrics(font).height() + 1
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def text(self) -> str:
        """Return the whole text."""
        return self._text

    def setText(self, text: str) -> None:
        """Show `text`."""
        if text != self._text:
            self._text = text
            self.setAccessibleName(text)
            self._break_up()
            self.updateGeometry()

    def set_colour(self, colour: QColor) -> None:
        """Paint with `colour` from now on."""
        self._colour = colour
        self.update()

    @guarded(False)
    def hasHeightForWidth(self) -> bool:
        return True

    @guarded(-1)
    def heightForWidth(self, width: int) -> int:
        lines = wrapped_lines(self._text, self.font(), width, self._most)
        return self._leading * max(1, len(lines))

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(0, self._leading)

    @guarded(QSize())
    def minimumSizeHint(self) -> QSize:
        return QSize(0, self._leading)

    def resizeEvent(self, _event: object) -> None:
        self._break_up()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self._colour)
        draw_lines(painter, self._lines, 0, 0, self._leading)

    def _break_up(self) -> None:
        self._lines = wrapped_lines(self._text, self.font(), self.width(), self._most)
        self.setToolTip(self._text if is_cut(self._lines) else "")
        self.update()


def wrapped_lines(text: str, font: QFont, width: int, count: int) -> list[str]:
    """Return `text` broken into at most `count` lines of `width` pixels; the last one elides."""
    layout = QTextLayout(text, font)
    lines: list[str] = []
    layout.beginLayout()
    while len(lines) < count:
        line = layout.createLine()
        if not line.isValid():
            break
        line.setLineWidth(width)
        start = line.textStart()
        is_last = len(lines) == count - 1
        piece = text[start:] if is_last else text[start : start + line.textLength()]
        lines.append(piece.strip())
    layout.endLayout()
    if lines:
        metrics = QFontMetrics(font)
        lines[-1] = metrics.elidedText(lines[-1], Qt.TextElideMode.ElideRight, width)
    return lines


def is_cut(lines: list[str]) -> bool:
    """Return True when `wrapped_lines` had to leave text out."""
    return bool(lines) and lines[-1].endswith(_ELLIPSIS)


def draw_lines(painter: QPainter, lines: list[str], left: float, top: float, leading: int) -> None:
    """Draw lines from `top` downwards, `leading` pixels each, with the painter's font and pen."""
    metrics = painter.fontMetrics()
    baseline = top + (leading - metrics.height()) / 2 + metrics.ascent()
    for number, line in enumerate(lines):
        painter.drawText(QPointF(left, round(baseline + number * leading)), line)
