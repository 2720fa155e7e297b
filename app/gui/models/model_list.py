"""The models on this disk as rows for views: changed by id, never reset."""

import html
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import msgspec
from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.gui import format  # noqa: A004 - the project's module of number formats
from app.gui.guarded import guarded
from app.wire.nouns import Model, ModelSource, ServerState

_Index = QModelIndex | QPersistentModelIndex


class Role(IntEnum):
    """What a row answers besides Qt's own roles."""

    MODEL = Qt.ItemDataRole.UserRole
    ACTIVITY = Qt.ItemDataRole.UserRole + 1
    """STARTING, READY, STALLED or BACKING_OFF while a server uses the model, else None.

    Qt hands the enum on as plain text: compare it with ==."""


class SortOrder(IntEnum):
    """What the list is sorted by; the value indexes `Row.keys`."""

    NAME = 0
    SIZE = 1
    NEWEST = 2


class Row(msgspec.Struct, frozen=True):
    """A model with what filter and sort need, computed once."""

    model: Model
    haystack: str
    """Lower case; a search word matches when it is part of this."""
    keys: tuple[tuple[float, str], ...]
    """One sort key for each SortOrder, smallest first."""


class ModelList(QAbstractListModel):
    """One row for each model, in the order of arrival; a proxy filters and sorts."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []
        """Read by the proxy, which must not pay for `data()` at every row."""
        self._activity: dict[str, ServerState] = {}

    @guarded(0)
    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.rows)

    @guarded(None)
    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        model = self.rows[index.row()].model
        answer: Any = None
        match role:
            case Role.MODEL:
                answer = model
            case Role.ACTIVITY:
                answer = self._activity.get(model.id)
            case Qt.ItemDataRole.DisplayRole:
                answer = model.name
            case Qt.ItemDataRole.ToolTipRole:
                answer = _tool_tip(model)
            case Qt.ItemDataRole.AccessibleTextRole:
                answer = self._sentence(model)
            case _:
                pass
        return answer

    def sync(self, models: Mapping[str, Model]) -> None:
        """Make the rows those of `models` with the fewest changes."""
        for row in range(len(self.rows) - 1, -1, -1):
            if self.rows[row].model.id not in models:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self.rows[row]
                self.endRemoveRows()
        known = set[str]()
        for row, old in enumerate(self.rows):
            known.add(old.model.id)
            new = models[old.model.id]
            if new is not old.model and new != old.model:
                self.rows[row] = _row(new)
                self.dataChanged.emit(self.index(row), self.index(row))
        added = [_row(model) for model in models.values() if model.id not in known]
        if added:
            self.beginInsertRows(QModelIndex(), len(self.rows), len(self.rows) + len(added) - 1)
            self.rows += added
            self.endInsertRows()

    def set_activity(self, activity: Mapping[str, ServerState]) -> None:
        """Tell which models are in use by servers, by model id."""
        before, self._activity = self._activity, dict(activity)
        if before == self._activity:
            return
        roles = [Role.ACTIVITY, Qt.ItemDataRole.AccessibleTextRole]
        for row, item in enumerate(self.rows):
            if before.get(item.model.id) != self._activity.get(item.model.id):
                self.dataChanged.emit(self.index(row), self.index(row), roles)

    def _sentence(self, model: Model) -> str:
        parts = [_spoken_name(model)]
        if model.quantization:
            parts.append(model.quantization.replace("-", " "))
        parts.append(format.spoken_size(model.size_bytes))
        parts.append(
            self.tr("demo model") if model.source is ModelSource.DEMO else self.tr("installed")
        )
        match self._activity.get(model.id):
            case ServerState.READY:
                parts.append(self.tr("running"))
            case ServerState.STARTING:
                parts.append(self.tr("starting"))
            case ServerState.STALLED:
                parts.append(self.tr("stalled"))
            case ServerState.BACKING_OFF:
                parts.append(self.tr("starting again"))
            case _:
                pass
        if model.problem:
            parts.append(self.tr("cannot run: {0}").format(model.problem))
        return ", ".join(parts)


def _row(model: Model) -> Row:
    family = model.family or ""
    quantization = model.quantization or ""
    words = (
        model.name, model.author, family, format.family(family), quantization,
        quantization.replace("-", ""), *model.tags,
        model.source.value if model.source is ModelSource.DEMO else "",
    )  # fmt: skip
    # Numbers get leading zeros so that 8B stands before 30B; the id makes the order total.
    by_name = re.sub(r"\d+", lambda digits: digits[0].zfill(12), model.name.casefold())
    tail = f"{by_name}\0{model.id}"
    return Row(
        model=model,
        haystack=" ".join(words).lower(),
        keys=((0.0, tail), (-float(model.size_bytes), tail), (-model.modified_at, tail)),
    )


def _tool_tip(model: Model) -> str:
    lines = [f"<b>{html.escape(model.name)}</b>"]
    if model.problem:
        lines.append(html.escape(model.problem))
    lines.append(html.escape(model.path))
    return "<br>".join(lines)


def _spoken_name(model: Model) -> str:
    """Return the name without the quantization at its end, which the sentence says anyway."""
    words = model.name.replace("_", "-").split("-")
    short = (model.quantization or "").replace("-", "").lower()
    if len(words) > 1 and words[-1].lower() == short:
        del words[-1]
    return " ".join(words)
