"""Looks up sizes and fits for the rows of the hub that are in view, a few at a time."""

from collections.abc import Iterable
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui.panels.hub_results import HubCalls
from app.wire.errors import AppError, ErrorCode
from app.wire.hub import HubDetails, HubModel

_REST_MS: Final = 150
"""Rows that fly past are not looked up."""
_AT_ONCE: Final = 2
_NO_USE: Final = (ErrorCode.HUB_LIMITED, ErrorCode.HUB_OFFLINE, ErrorCode.ENGINE_GONE)
"""After these failures, asking for the next row would only make it worse."""


class HubLookups(QObject):
    """Asks once for each model, in the order of the rows; what leaves the view is not asked for."""

    found = Signal(object)  # HubModel

    def __init__(self, calls: HubCalls, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._calls = calls
        self._queue: list[str] = []
        self._asked: set[str] = set()
        self._open = 0
        self._is_paused = False
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._fill)

    def set_visible(self, models: Iterable[HubModel]) -> None:
        """Look these up, first things first, and forget those that were wanted before."""
        self._queue = [model.id for model in models if model.id not in self._asked]
        if self._queue and not self._is_paused:
            self._rest.start()
        else:
            self._rest.stop()

    def resume(self) -> None:
        """Ask again after a failure: the hub has answered something."""
        self._is_paused = False

    def forget(self) -> None:
        """Take what was found as outdated."""
        self._asked.clear()

    def _fill(self) -> None:
        while self._queue and self._open < _AT_ONCE and not self._is_paused:
            model_id = self._queue.pop(0)
            if model_id in self._asked:
                continue
            self._asked.add(model_id)
            self._open += 1
            self._calls.describe(model_id, self._on_found, self._on_failed)

    def _on_found(self, details: HubDetails) -> None:
        self._open -= 1
        self.found.emit(details.model)
        self._fill()

    def _on_failed(self, error: AppError) -> None:
        self._open -= 1
        if error.code in _NO_USE:
            self._is_paused = True
            self._asked.clear()
        self._fill()


def needs_details(model: HubModel) -> bool:
    """Return True when something that a row shows is not known yet."""
    return model.size_bytes is None or (model.fit is None and model.supported is not False)
