"""The starts under way: at most one for each profile, of which the user's last word counts."""

from functools import partial

from PySide6.QtCore import QObject, Signal

from app.gui.workers.connection import Connection
from app.gui.workers.server_launcher import Launched, Outcome, ServerLauncher
from app.gui.workers.thread import Crew


class Launches(QObject):
    """Lets each launcher run alone, so that orders about a profile reach the engine in order."""

    launched = Signal(object)  # Launched
    refused = Signal(str, object)  # profile id, AppError

    def __init__(self, crew: Crew, parent: QObject) -> None:
        super().__init__(parent)
        self._crew = crew
        self._running: dict[str, ServerLauncher] = {}
        self._next: dict[str, ServerLauncher] = {}

    def begin(self, connection: Connection, profile_id: str, *, restart: bool) -> None:
        """Start or restart a server, as soon as an earlier launcher of it has let go."""
        launcher = ServerLauncher(connection, profile_id, restart=restart)
        running = self._running.get(profile_id)
        if running is None:
            self._start(launcher)
            return
        # It may still wait for what the window has already seen; nobody needs its outcome now.
        running.detach()
        self._next[profile_id] = launcher

    def cancel(self, profile_id: str) -> None:
        """Give a start up, also one whose order has not reached the engine yet."""
        self._next.pop(profile_id, None)
        running = self._running.get(profile_id)
        if running is not None:
            running.cancel()

    def detach(self) -> None:
        """Wait for none of them any more; what the engine was told goes on."""
        self._next.clear()
        for launcher in self._running.values():
            launcher.detach()

    def are_under_way(self) -> bool:
        """Return True while a launcher works."""
        return bool(self._running)

    def _start(self, launcher: ServerLauncher) -> None:
        self._running[launcher.profile_id] = launcher
        launcher.succeeded.connect(self._on_succeeded)
        launcher.failed.connect(partial(self.refused.emit, launcher.profile_id))
        launcher.finished.connect(self._on_finished)
        self._crew.start(launcher)

    def _on_succeeded(self, launched: Launched) -> None:
        if launched.outcome is not Outcome.CANCELLED:
            self.launched.emit(launched)

    def _on_finished(self) -> None:
        for launcher in [x for x in self._running.values() if x.isFinished()]:
            del self._running[launcher.profile_id]
            following = self._next.pop(launcher.profile_id, None)
            if following is not None:
                self._start(following)
