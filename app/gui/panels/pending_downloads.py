"""The models for which a download was asked for and has not begun yet."""

from collections.abc import Iterable
from functools import partial
from typing import Final

from PySide6.QtCore import QObject, QTimer

from app.gui.models.model_list import ModelList

_PENDING_MS: Final = 8_000
"""A download that has not begun by then was refused, and the window has said why."""


class PendingDownloads(QObject):
    """Has the rows of these models say so, for a while."""

    def __init__(self, models: ModelList) -> None:
        super().__init__(models)
        self._list = models
        self._ids: frozenset[str] = frozenset()

    def add(self, model_id: str) -> None:
        """Take a download that was asked for just now."""
        self._set(self._ids | {model_id})
        QTimer.singleShot(_PENDING_MS, self, partial(self.end, (model_id,)))

    def end(self, ids: Iterable[str]) -> None:
        """Forget these: they have begun, or are here."""
        if self._ids:
            self._set(self._ids.difference(ids))

    def _set(self, ids: frozenset[str]) -> None:
        if ids != self._ids:
            self._ids = ids
            self._list.set_pending(ids)
