"""Follows an engine's event stream on a QThread and hands each event to the GUI thread."""

import threading
import time

from PySide6.QtCore import Signal

from app.client.api import Api
from app.client.errors import EngineGone
from app.gui.workers.connection import Connection
from app.gui.workers.thread import Worker
from app.wire.errors import AppError

_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 5.0


class MetricsFeed(Worker):
    """Reads snapshots, deltas and samples until it is stopped; reconnects by itself.

    `failed` carries an AppError when the engine wants another key or speaks another version:
    then nothing more comes.
    """

    received = Signal(object)  # app.wire.events.Event
    lost = Signal(object)  # AppError: why; the stream is being tried again

    def __init__(self, connection: Connection, *, every_s: int = 1) -> None:
        super().__init__("metrics-feed", self._follow)
        self._connection = connection
        self._every_s = every_s
        self._stopped = threading.Event()
        self._api: Api | None = None

    def stop(self) -> None:
        """End the stream now; called from the GUI thread."""
        self._stopped.set()
        if self._api is not None:
            self._api.interrupt()

    def set_pace(self, every_s: int) -> None:
        """Want figures every `every_s` seconds from now on; called from the GUI thread."""
        if every_s != self._every_s:
            self._every_s = every_s
            if self._api is not None:
                self._api.interrupt()

    def _follow(self) -> None:
        wait_s = _FIRST_RETRY_S
        while not self._stopped.is_set():
            began = time.monotonic()
            every_s = self._every_s
            try:
                self._read_until_lost(every_s)
            except AppError as error:
                if self._stopped.is_set():
                    return
                # At another pace it was this side that hung up.
                if every_s == self._every_s:
                    if error.status in (401, 409):
                        raise
                    self.lost.emit(error)
            if every_s != self._every_s:
                continue
            if time.monotonic() - began > _LAST_RETRY_S:
                wait_s = _FIRST_RETRY_S
            self._stopped.wait(wait_s)
            wait_s = min(wait_s * 2, _LAST_RETRY_S)

    def _read_until_lost(self, every_s: int) -> None:
        with Api(self._connection.url, self._connection.key) as api:
            self._api = api
            try:
                for event in api.events(every_s=every_s):
                    # A new pace was wished before there was a stream to interrupt.
                    if self._stopped.is_set() or every_s != self._every_s:
                        return
                    self.received.emit(event)
            finally:
                self._api = None
        self.lost.emit(EngineGone("The engine closed the connection."))
