"""Figures come rarely while nobody can see them, so that a hidden window costs next to nothing."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QWidget

from app.gui.guarded import guarded
from app.wire.events import SLOW_S

# A look at another window is not worth two connections.
_GRACE_MS = 5000


class Pace(QObject):
    """Calls `wish` with how often figures are wanted, in seconds, whenever that changes."""

    def __init__(
        self, window: QWidget, wish: Callable[[int], None], *, grace_ms: int = _GRACE_MS
    ) -> None:
        super().__init__(window)
        self._window = window
        self._wish = wish
        self._every_s = 1
        self.grace = QTimer(self)
        self.grace.setSingleShot(True)
        self.grace.setInterval(grace_ms)
        self.grace.timeout.connect(self._slow_down)
        window.installEventFilter(self)

    @guarded(default=False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look whether the window can be seen after whatever may have changed that."""
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.WindowStateChange):
            if not self._is_seen():
                self.grace.start()
            else:
                self.grace.stop()
                self._set(1)
        return super().eventFilter(watched, event)

    def _slow_down(self) -> None:
        if not self._is_seen():
            self._set(SLOW_S)

    def _is_seen(self) -> bool:
        return self._window.isVisible() and not self._window.isMinimized()

    def _set(self, every_s: int) -> None:
        if every_s != self._every_s:
            self._every_s = every_s
            self._wish(every_s)
