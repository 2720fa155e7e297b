"""A row of segments of which one is chosen."""

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QHBoxLayout, QSizePolicy, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme

_HEIGHT: Final = 30
_RADIUS: Final = 8.0
_PAD: Final = 10


class Segments(QWidget):
    """Left and right move the choice while one segment has the keyboard; Tab passes all."""

    chosen = Signal(object)  # int, the index of the segment

    def __init__(self, texts: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(_HEIGHT)
        self._group = QButtonGroup(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(2)
        for number, text in enumerate(texts):
            segment = _Segment(text, self)
            self._group.addButton(segment, number)
            layout.addWidget(segment, 1)
        self._group.button(0).setChecked(True)
        self._group.idToggled.connect(self._on_toggled)
        theme().changed.connect(self.update)

    @property
    def index(self) -> int:
        """Which segment is chosen."""
        return self._group.checkedId()

    def choose(self, index: int) -> None:
        """Choose a segment."""
        self._group.button(index).setChecked(True)

    def button(self, index: int) -> QAbstractButton:
        """Return a segment."""
        return self._group.button(index)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme().color("line2"), 1))
        painter.setBrush(theme().color("trough"))
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, _RADIUS, _RADIUS)

    def _on_toggled(self, index: int, is_chosen: bool) -> None:
        if is_chosen:
            self.chosen.emit(index)


class _Segment(QAbstractButton):
    """One of the segments; a group makes them exclusive and gives them the arrow keys."""

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setText(text)
        self.setAccessibleName(text)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    @guarded(QSize(40, 26))
    def minimumSizeHint(self) -> QSize:
        return self.sizeHint() - QSize(_PAD, 0)

    @guarded(QSize(40, 26))
    def sizeHint(self) -> QSize:
        font = theme().font("secondary_strong")
        return QSize(QFontMetrics(font).horizontalAdvance(self.text()) + 2 * _PAD, _HEIGHT - 4)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, t = QPainter(self), theme()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        if self.isChecked():
            # Raised in both themes: on dark ground lighter than the trough, not darker.
            painter.setPen(QPen(t.color("line2"), 1))
            painter.setBrush(t.color("press" if t.is_dark else "card"))
            painter.drawRoundedRect(frame, _RADIUS - 2.5, _RADIUS - 2.5)
        if self.hasFocus():
            painter.setPen(QPen(t.color("acc"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(frame.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        is_strong = self.isChecked() or self.underMouse()
        painter.setPen(t.color("tx" if is_strong else "tx2"))
        painter.setFont(t.font("secondary_strong" if self.isChecked() else "secondary"))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text())
