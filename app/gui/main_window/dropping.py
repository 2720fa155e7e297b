"""Profiles that are dragged onto the window as files."""

from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, QRectF, Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QMainWindow, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme
from app.wire.portable import SUFFIX

_MARGIN = 10.0
_RADIUS = 12.0


class _Veil(QWidget):
    """Covers the window while something that can be dropped is above it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = colours.color("win")
        ground.setAlphaF(0.94)
        painter.fillRect(self.rect(), ground)
        frame = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        painter.setPen(QPen(colours.color("acc"), 2, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(frame, _RADIUS, _RADIUS)
        painter.setFont(colours.font("page"))
        painter.setPen(colours.color("tx"))
        text = self.tr("Drop to import profiles")
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text)


class DropTarget(QObject):
    """Lets exported profiles be dropped anywhere on a window; says which."""

    dropped = Signal(object)  # list[Path]

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.veil = _Veil(window)
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    @guarded(False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is not self._window:
            return False
        match event:
            # A drag that enters is one that moves, too, and a drop as well.
            case QDragEnterEvent():
                return self._enter(event)
            case QDragMoveEvent():
                return self._accept(event)
            case QDragLeaveEvent():
                self.veil.hide()
                return False
            case QDropEvent():
                return self._drop(event)
            case _:
                return False

    def _enter(self, event: QDragEnterEvent) -> bool:
        if not self._accept(event):
            return False
        self.veil.setGeometry(self._window.rect())
        self.veil.raise_()
        self.veil.show()
        return True

    def _accept(self, event: QDropEvent) -> bool:
        if not profile_files(event.mimeData()):
            return False
        event.acceptProposedAction()
        return True

    def _drop(self, event: QDropEvent) -> bool:
        self.veil.hide()
        files = profile_files(event.mimeData())
        if not files:
            return False
        event.acceptProposedAction()
        self.dropped.emit(files)
        return True


def profile_files(data: QMimeData) -> list[Path]:
    """Return the exported profiles among what is dragged."""
    names = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
    return [Path(name) for name in names if name.endswith(SUFFIX)]
