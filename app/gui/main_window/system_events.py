"""What macOS says to the app: open this, quit, and a click on the Dock icon."""

import sys

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QFileOpenEvent, QGuiApplication

from app.gui.guarded import guarded
from app.gui.links import is_link, is_profile_file
from app.gui.main_window.window import MainWindow


class SystemEvents(QObject):
    """An event filter of the application that turns these into calls of the window."""

    def __init__(self, app: QGuiApplication, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._has_ended = False
        window.closed.connect(self._on_closed)
        if sys.platform == "darwin":
            app.applicationStateChanged.connect(self.on_state)

    @guarded(default=False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take over files, links and Quit; everything else goes its way."""
        if isinstance(event, QFileOpenEvent):
            return self._open(event)
        if event.type() is QEvent.Type.Quit and not self._has_ended:
            # Qt would close the window, which only hides it; and servers end in order first.
            event.ignore()
            self._window.request_quit()
            return True
        return super().eventFilter(watched, event)

    def on_state(self, state: Qt.ApplicationState) -> None:
        """Show a window that is hidden: a click in the Dock makes the app active."""
        if state is Qt.ApplicationState.ApplicationActive and not self._window.isVisible():
            self._window.come_to_front()

    def _open(self, event: QFileOpenEvent) -> bool:
        target = event.file() or event.url().toString()
        if not (is_link(target) or is_profile_file(target)):
            return False
        self._window.open_targets([target])
        return True

    def _on_closed(self) -> None:
        self._has_ended = True
