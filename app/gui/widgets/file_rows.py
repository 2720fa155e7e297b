"""A list of files with their sizes, painted, since a model may have hundreds."""

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRect, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.gui import format as fmt
from app.gui.guarded import guarded
from app.gui.theme import theme
from app.wire.hub import HubFile

_ROW: Final = 24
_GAP: Final = 12


class FileRows(QWidget):
    """Name left, size right; a name that is too long elides and is told in full in a tool-tip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._files: tuple[HubFile, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFont(theme().font("secondary"))
        theme().changed.connect(self.update)

    def files(self) -> tuple[HubFile, ...]:
        """Return the files that are listed."""
        return self._files

    def show_files(self, files: Sequence[HubFile]) -> None:
        """List these files."""
        self._files = tuple(files)
        self.setFixedHeight(_ROW * len(files))
        spoken = (f"{f.name}, {fmt.spoken_size(f.size_bytes)}" for f in files[:_ROW])
        self.setAccessibleName("; ".join(spoken))
        self.update()

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(0, _ROW * len(self._files))

    @guarded(False)
    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            row = event.pos().y() // _ROW
            if 0 <= row < len(self._files) and self._elided(self._files[row])[0] != (
                self._files[row].name
            ):
                place = QRect(0, row * _ROW, self.width(), _ROW)
                QToolTip.showText(event.globalPos(), self._files[row].name, self, place)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self.font())
        metrics = QFontMetricsF(self.font())
        exposed = event.rect()
        last = min(len(self._files), exposed.bottom() // _ROW + 1)
        for row in range(max(0, exposed.top() // _ROW), last):
            file = self._files[row]
            name, size, width = self._elided(file)
            base = row * _ROW + (_ROW + metrics.capHeight()) / 2
            painter.setPen(theme().color("tx"))
            painter.drawText(QPointF(0, base), name)
            painter.setPen(theme().color("tx2"))
            painter.drawText(QPointF(self.width() - width, base), size)

    def _elided(self, file: HubFile) -> tuple[str, str, float]:
        metrics = QFontMetricsF(self.font())
        size = fmt.file_size(file.size_bytes)
        width = metrics.horizontalAdvance(size)
        room = self.width() - width - _GAP
        return metrics.elidedText(file.name, Qt.TextElideMode.ElideMiddle, room), size, width
