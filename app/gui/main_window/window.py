"""The main window: on the screen first, filled after its first frame."""

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QDialog, QMainWindow

from app import paths
from app.ending import BadEnd
from app.gui.memory import Memory
from app.gui.theme import theme

if TYPE_CHECKING:
    from app.gui.main_window.parts import Parts
    from app.gui.main_window.remarks import Remarks
    from app.gui.main_window.system import System

_log = logging.getLogger("gui")
_FIRST_SIZE = (1400, 860)
_SMALLEST = (960, 600)
_SIDE_WIDTH = 400
_SAVE_S = 60.0
"""Three documents on a disk that takes 5 s for each of their flushes, twice over."""
_NO_FRAME_MS = 500
"""A window that is covered gets no frame; its engine must start all the same."""


class MainWindow(QMainWindow):
    """One window on one engine. `filled` comes when its parts are there, `closed` at the end."""

    filled = Signal()
    closed = Signal()

    def __init__(self, url: str | None = None, *, bad_end: BadEnd | None = None) -> None:
        super().__init__()
        self.setWindowTitle("MLX Model Manager")
        self.setMinimumSize(*_SMALLEST)
        self._url = url
        self._bad_end = bad_end
        self._is_ending = False
        self._memory = Memory(paths.home() / "window.json")
        self.saver = self._memory.saver
        self.parts: Parts | None = None
        self.system: System | None = None
        self.remarks: Remarks | None = None
        self._targets: list[str] = []
        appearance = self._memory.value("appearance")
        if isinstance(appearance, str):
            theme().choose(appearance)
        self._restore()
        self._first_frame = QTimer(self)
        self._first_frame.setSingleShot(True)
        self._first_frame.timeout.connect(self._fill)
        self._first_frame.start(_NO_FRAME_MS)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the bare ground of both halves until the parts cover it."""
        if self.parts is not None:
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme().color("win"))
        painter.fillRect(0, 0, _SIDE_WIDTH, self.height(), theme().color("side"))
        self._first_frame.start(0)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hide where that is wanted; else close when the engine has ended, after a question."""
        if self._is_ending:
            event.accept()
            return
        event.ignore()
        # Only the close button; a command that closes the window means to quit.
        if event.spontaneous() and self.system is not None and self.system.hides_window:
            self.put_away()
        else:
            self.request_quit()

    def come_to_front(self) -> None:
        """Show the window above all others."""
        if self._is_ending:
            return
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def put_away(self) -> None:
        """Hide the window; where nothing would bring it back, minimise it."""
        if self.system is not None and self.system.can_bring_back:
            self.hide()
        else:
            self.showMinimized()

    def open_targets(self, targets: list[str]) -> None:
        """Follow links and open profile files, as soon as the window is filled."""
        if self.system is None:
            self._targets.extend(targets)
        else:
            self.system.links.open(targets)

    def request_quit(self) -> None:
        """Quit if nothing speaks against it or the user agrees."""
        if self._is_ending:
            return
        if self.parts is not None:
            if not self.isVisible() and self.parts.session.servers_at_stake():
                # A question of a hidden window would be hidden too.
                self.come_to_front()
            if not self.parts.may_quit():
                return
        self.quit()

    def quit(self) -> None:
        """End everything in order, then emit `closed`. The window goes at once."""
        if self._is_ending:
            return
        self._is_ending = True
        self._memory.set_value("geometry", self.saveGeometry())
        self._memory.set_value("appearance", theme().mode)
        # A window that is hidden leaves its dialogs on the screen.
        for dialog in self.findChildren(QDialog):
            if dialog.isVisible():
                # No close: that would ask about unsaved input, and nobody may be there to answer.
                dialog.done(QDialog.DialogCode.Rejected)
        self.hide()
        if self.system is not None:
            self.system.end()
        if self.parts is None:
            self._on_ended()
            return
        self.parts.end()

    def join(self) -> bool:
        """Wait for what still works for the window; return False when something did not end."""
        is_saved = self.saver.flush(_SAVE_S)
        return is_saved and (self.parts is None or self.parts.session.join())

    def _fill(self) -> None:
        if self.parts is not None or self._is_ending:
            return
        _log.info("the first frame is out")
        # Half of the app's modules are needed only from here on; the first frame is out.
        from app.gui.main_window.parts import Parts
        from app.gui.main_window.remarks import Remarks
        from app.gui.main_window.system import System
        from app.gui.main_window.text_keys import TextKeys

        TextKeys(self)
        self.parts = Parts(self, self._memory, self._url)
        self.system = System(self, self.parts, self._memory)
        self.remarks = Remarks(self.parts, self._memory, self._bad_end)
        self.parts.ended.connect(self._on_ended)
        self.parts.begin()
        _log.info("the window is filled")
        self.filled.emit()
        if self._targets:
            self.system.links.open(self._targets)

    def _on_ended(self) -> None:
        self.close()
        self.closed.emit()

    def _restore(self) -> None:
        geometry = self._memory.bytes_of("geometry")
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        else:
            self.resize(*_FIRST_SIZE)
