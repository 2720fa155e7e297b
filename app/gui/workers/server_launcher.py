"""Owns one start of a server, from the press of the button to its outcome."""

import threading
from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import QThread

from app.client.api import Api
from app.gui.workers.connection import Connection
from app.gui.workers.thread import Worker
from app.wire.nouns import Server, ServerState


class Outcome(Enum):
    """How a start ended."""

    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Launched:
    """The end of one start."""

    profile_id: str
    outcome: Outcome
    server: Server
    thread: QThread
    """The thread that the work ran in."""


class ServerLauncher(Worker):
    """Starts (or restarts) one profile on a QThread and waits until it is ready or not.

    `succeeded` carries a Launched; `failed` an AppError when the engine refused or is gone.
    """

    def __init__(self, connection: Connection, profile_id: str, *, restart: bool = False) -> None:
        super().__init__(f"launch-{profile_id}", self._launch)
        self._connection = connection
        self.profile_id = profile_id
        self._restart = restart
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Give the start up; the server is stopped. Called from the GUI thread."""
        self._cancelled.set()

    def detach(self) -> None:
        """Stop waiting at the next slice and leave the server as it is."""
        self.requestInterruption()

    def _launch(self) -> Launched:
        with Api(self._connection.url, self._connection.key) as api:
            begin = api.restart_server if self._restart else api.start_server
            server = begin(self.profile_id)
            is_stopped = False
            while not server.state.is_settled:
                # Once: what others order after it is not for this start to undo.
                if self._cancelled.is_set() and not is_stopped:
                    api.stop_server(self.profile_id)
                    is_stopped = True
                if self.isInterruptionRequested():
                    break
                server = api.server(self.profile_id, wait_s=0.5)
        return Launched(self.profile_id, self._outcome(server), server, QThread.currentThread())

    def _outcome(self, server: Server) -> Outcome:
        if server.state.serves:
            return Outcome.READY
        if server.state is ServerState.FAILED:
            return Outcome.FAILED
        return Outcome.CANCELLED
