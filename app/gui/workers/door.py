"""The window's calls to one engine: each runs in a worker, none blocks the window."""

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QObject, Signal

from app.client.api import Api
from app.gui.workers.connection import Connection
from app.gui.workers.thread import Crew
from app.wire.errors import AppError

__all__ = ["Api", "Door"]
_T = TypeVar("_T")


class Door(QObject):
    """Calls one engine. Failures that no caller takes arrive at `failed`."""

    failed = Signal(object)  # AppError

    def __init__(self, connection: Connection, crew: Crew, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.connection = connection
        self._crew = crew

    def call(
        self,
        name: str,
        work: Callable[[Api], _T],
        on_success: Callable[[_T], object] | None = None,
        on_failure: Callable[[AppError], object] | None = None,
    ) -> None:
        """Run `work` with a connection of its own in a worker."""
        connection = self.connection

        def run() -> _T:
            with Api(connection.url, connection.key) as api:
                return work(api)

        self._crew.run(name, run, on_success, on_failure or self.failed.emit)
