"""Whether the models on this disk fit the memory: counted when a row is painted, and kept."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from PySide6.QtCore import QModelIndex, QObject, QTimer

from app.gui.mirror import Mirror
from app.gui.models.memory_plan import plan, room_for
from app.gui.models.model_list import Role
from app.gui.models.model_rows import Row
from app.gui.panels.hub_results import HubCalls
from app.gui.widgets.list_view import ListView
from app.wire.errors import AppError, ErrorCode
from app.wire.fit import default_context
from app.wire.hub import Fit, Verdict
from app.wire.nouns import Model
from app.wire.shape import ModelShape

_REST_MS: Final = 500
"""Rows that fly past are not measured: the first one starts two processes."""
_TENTH: Final = 2**30 // 10
"""Sums are shown in tenths of a GB; a smaller change is none."""


class InstalledFits(QObject):
    """Knows a fit for each model that was asked for, until something else is in the memory."""

    def __init__(
        self, mirror: Mirror, calls: HubCalls | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._measure = calls.measure if calls is not None else None
        self._known: dict[str, tuple[Model, Fit | None]] = {}
        self._measured: dict[str, tuple[Model, ModelShape | None]] = {}
        """None while it is asked for, and where there was no answer."""
        self._view: ListView | None = None
        self._is_asking = False
        self._room: object = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._ask)
        for signal in (
            mirror.sampled, mirror.engine_changed, mirror.foreign_changed,
            mirror.server_changed, mirror.server_removed,
        ):  # fmt: skip
            signal.connect(self._on_memory_changed)

    def fit_of(self, model: Model) -> Fit | None:
        """Return whether it fits now; None where nothing can be said."""
        known = self._known.get(model.id)
        if known is not None and known[0] is model:
            return known[1]
        shape, room = self._shape_of(model), room_for(model.id, self._mirror)
        found = None
        if shape is not None and room is not None and not model.problem:
            found = plan(shape, room, default_context(shape))
        self._known[model.id] = model, found
        return found

    def follow(self, view: ListView) -> None:
        """Have those measured that come into view and whose cache no formula tells."""
        self._view = view
        view.moved.connect(self.look_soon)

    def look_soon(self) -> None:
        """Look what is in view when that rests."""
        if self._measure is not None:
            self._rest.start()

    def _shape_of(self, model: Model) -> ModelShape | None:
        asked, shape = self._measured.get(model.id, (None, None))
        return shape if asked is model and shape is not None else model.shape

    def _needs_measure(self, model: Model) -> bool:
        is_told = model.shape is not None and model.shape.cache is not None
        return not is_told and self._measured.get(model.id, (None,))[0] is not model

    def _ask(self) -> None:
        seen = (model for _, model in self._visible())
        model = next(filter(self._needs_measure, seen), None)
        if self._is_asking or self._measure is None or self._mirror.is_stale or model is None:
            return
        self._is_asking = True
        self._measured[model.id] = model, None
        self._measure(
            model.id,
            lambda fit: self._on_measured(model, fit),
            lambda error: self._on_failed(model, error),
        )

    def _visible(self) -> Iterator[tuple[QModelIndex, Model]]:
        if self._view is None or not self._view.isVisible():
            return
        rows = self._view.model()
        for place in self._view.visible_rows():
            index = rows.index(place, 0)
            row = index.data(Role.ROW)
            if isinstance(row, Row) and row.installed is not None and not row.installed.problem:
                yield index, row.installed

    def _on_measured(self, model: Model, fit: Fit) -> None:
        self._is_asking = False
        if fit.shape is not None:
            shape = fit.shape
            if shape.weights_bytes is None and model.shape is not None:
                weights = model.shape.weights_bytes
                shape = msgspec.structs.replace(shape, weights_bytes=weights)
            self._measured[model.id] = model, shape
            before = {model.id: self._known.pop(model.id, (model, None))}
            self._repaint(self._known | before)
        self._ask()

    def _on_failed(self, model: Model, error: AppError) -> None:
        self._is_asking = False
        if error.code is ErrorCode.ENGINE_GONE:
            # Nobody has looked at it: it is asked for again when the engine is back.
            self._measured.pop(model.id, None)
            return
        self._ask()

    def _on_memory_changed(self, _news: object = None) -> None:
        room = room_for("", self._mirror)
        held = frozenset(s.model for s in self._mirror.servers.values() if s.state.has_process)
        now = (room.limit_bytes, room.others_bytes // _TENTH, held) if room is not None else None
        if now != self._room:
            self._room = now
            before, self._known = self._known, {}
            self._repaint(before)

    def _repaint(self, before: Mapping[str, tuple[Model, Fit | None]]) -> None:
        """Paint the rows in view again whose verdict is another one now."""
        for index, model in self._visible():
            _, known = before.get(model.id, (model, None))
            fit = self.fit_of(model)
            if self._view is not None and _verdict(fit) != _verdict(known):
                self._view.viewport().update(self._view.visualRect(index))


def _verdict(fit: Fit | None) -> Verdict:
    return fit.verdict if fit is not None else Verdict.UNKNOWN
