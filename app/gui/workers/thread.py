"""One piece of blocking work in a QThread, and the set of all that still run."""

import logging
from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QDeadlineTimer, QObject, QThread, Signal

from app.wire.errors import AppError, ErrorCode

_log = logging.getLogger("gui")
_T = TypeVar("_T")


class Worker(QThread):
    """Runs one function in its own thread; its outcome arrives as a signal in the GUI thread."""

    succeeded = Signal(object)  # what the function returned
    failed = Signal(object)  # AppError

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        super().__init__()
        self.setObjectName(name)
        self._work = work

    def run(self) -> None:
        """Do the work; runs in the new thread."""
        try:
            result = self._work()
        except AppError as error:
            self.failed.emit(error)
        except Exception:  # noqa: BLE001 - worker run()
            _log.exception("the work %s failed", self.objectName())
            sentence = "Something went wrong inside the app; its log has the details."
            self.failed.emit(AppError(sentence, code=ErrorCode.INTERNAL))
        else:
            self.succeeded.emit(result)


class Crew(QObject):
    """Keeps every running worker alive: destroying a running QThread ends the process."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workers: set[Worker] = set()

    def start(self, worker: Worker) -> None:
        """Start a worker and forget it when it has finished."""
        self._workers.add(worker)
        worker.finished.connect(self._forget_finished)
        worker.start()

    def run(
        self,
        name: str,
        work: Callable[[], _T],
        on_success: Callable[[_T], object] | None = None,
        on_failure: Callable[[AppError], object] | None = None,
    ) -> None:
        """Run a function in a worker; the callbacks are called in the GUI thread."""
        worker = Worker(name, work)
        if on_success is not None:
            worker.succeeded.connect(on_success)
        if on_failure is not None:
            worker.failed.connect(on_failure)
        self.start(worker)

    def workers(self) -> list[Worker]:
        """Return the workers that have not been forgotten yet."""
        return list(self._workers)

    def join(self, timeout_s: float) -> bool:
        """Wait for all workers; return False when one still runs after the time-out."""
        deadline = QDeadlineTimer(int(timeout_s * 1000))
        ended = [worker.wait(deadline) for worker in tuple(self._workers)]
        for worker, is_ended in zip(tuple(self._workers), ended, strict=True):
            if is_ended:
                self._workers.discard(worker)
            else:
                _log.error("the work %s did not end", worker.objectName())
        return all(ended)

    def _forget_finished(self) -> None:
        for worker in [w for w in self._workers if w.isFinished()]:
            self._workers.discard(worker)
            worker.deleteLater()
