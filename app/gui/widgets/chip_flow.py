"""Small words in rounded boxes, in as many lines as they need."""

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme

_HEIGHT: Final = 20
_PAD: Final = 8
_GAP: Final = 6


class ChipFlow(QWidget):
    """The first chip stands out; a long one elides."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._texts: tuple[str, ...] = ()
        self.setFont(theme().font("label"))
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme().changed.connect(self.update)

    def texts(self) -> tuple[str, ...]:
        """Return the words."""
        return self._texts

    def show_texts(self, texts: Sequence[str]) -> None:
        """Show these words."""
        if tuple(texts) != self._texts:
            self._texts = tuple(texts)
            self.setAccessibleName(", ".join(texts))
            self.setVisible(bool(texts))
            self.updateGeometry()
            self.update()

    @guarded(False)
    def hasHeightForWidth(self) -> bool:
        return True

    @guarded(_HEIGHT)
    def heightForWidth(self, width: int) -> int:
        boxes = self._boxes(width)
        return boxes[-1].bottom() + 1 if boxes else 0

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(0, _HEIGHT)

    @guarded(QSize())
    def minimumSizeHint(self) -> QSize:
        return QSize(0, _HEIGHT)

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(self.font())
        for number, box in enumerate(self._boxes(self.width())):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.color("chip" if number else "accs"))
            painter.drawRoundedRect(QRectF(box), 5, 5)
            painter.setPen(t.color("tx2" if number else "acc"))
            room = box.adjusted(_PAD, 0, -_PAD, 0)
            text = metrics.elidedText(
                self._texts[number], Qt.TextElideMode.ElideRight, room.width()
            )
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, text)

    def _boxes(self, width: int) -> list[QRect]:
        metrics = QFontMetrics(self.font())
        boxes: list[QRect] = []
        left = top = 0
        for text in self._texts:
            wide = min(metrics.horizontalAdvance(text) + 2 * _PAD + 1, max(width, 4 * _PAD))
            if left and left + wide > width:
                left, top = 0, top + _HEIGHT + _GAP
            boxes.append(QRect(left, top, wide, _HEIGHT))
            left += wide + _GAP
        return boxes
