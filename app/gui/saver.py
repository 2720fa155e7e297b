"""Saves the window's documents in a thread, since a disk may take seconds for each."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

_log = logging.getLogger("gui")


@dataclass(frozen=True)
class Outcome:
    """What has become of the last save of a document."""

    document: str
    error: OSError | ValueError | None


class Saver(QObject):
    """Saves one document after another; of several saves of the same, the last that was wanted."""

    ended = Signal(object)  # Outcome

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._waiting: dict[str, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None

    def save(self, document: str, work: Callable[[], object]) -> None:
        """Have `work` save a document soon; it may raise OSError or ValueError."""
        with self._lock:
            self._waiting[document] = work
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._save_all, name="saver")
                self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is saved; return False when that takes longer than the time-out."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _save_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                document = next(iter(self._waiting))
                work = self._waiting.pop(document)
            error = None
            try:
                work()
            except (OSError, ValueError) as found:
                _log.warning("%s could not be saved: %s", document, found)
                error = found
            with self._lock:
                is_last = document not in self._waiting
            if is_last:
                self.ended.emit(Outcome(document, error))
