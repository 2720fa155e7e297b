"""The models on this disk and on the hub as rows for views: changed by id, never reset."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
)

from app.gui.guarded import guarded
from app.gui.models import model_text
from app.gui.models.model_rows import (
    Note,
    Row,
    RowKind,
    SortOrder,
    hub_row,
    installed_row,
    note_row,
)
from app.wire.hub import Fit, HubModel
from app.wire.nouns import Model, ServerState

_Index = QModelIndex | QPersistentModelIndex
_NOTHING: Any = None
MIME: Final = "application/x-mlx-model"
"""What a dragged row carries: the id of an installed model in UTF-8."""


class Role(IntEnum):
    """What a row answers besides Qt's own roles."""

    MODEL = Qt.ItemDataRole.UserRole
    """Model or HubModel; None for a row that is no model."""
    ACTIVITY = Qt.ItemDataRole.UserRole + 1
    """STARTING, READY, STALLED or BACKING_OFF while a server uses the model, else None.

    Qt hands the enum on as plain text: compare it with ==."""
    ROW = Qt.ItemDataRole.UserRole + 2
    FIT = Qt.ItemDataRole.UserRole + 3
    """Fit: whether the model fits the memory now; None where nothing can be said."""


class ModelList(QAbstractListModel):
    """Installed models in the chosen order, then those of the hub as they were answered.

    A proxy filters. A model of both is two rows; the proxy shows one of them.
    """

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        fit_of: Callable[[Model], Fit | None] = lambda _model: None,
    ) -> None:
        super().__init__(parent)
        self._fit_of = fit_of
        """For a model on this disk; asked for rows in sight only."""
        self.rows: list[Row] = []
        """Read by the proxy, which must not pay for `data()` at every row."""
        self._haystacks: list[str] | None = None
        self._places: dict[str, int] | None = None
        self._models: dict[str, Model] = {}
        self._hub: dict[str, HubModel] = {}
        self._notes: dict[RowKind, Note] = {}
        self._activity: dict[str, ServerState] = {}
        self._pending: frozenset[str] = frozenset()
        self._order = SortOrder.NAME

    @property
    def order(self) -> SortOrder:
        """What the installed models are sorted by."""
        return self._order

    @property
    def haystacks(self) -> list[str]:
        """What the words of a search are looked for in, one for each row; for reading only."""
        if self._haystacks is None:
            self._haystacks = [row.haystack for row in self.rows]
        return self._haystacks

    def block(self, kind: RowKind) -> tuple[int, int]:
        """Return where the rows of a kind begin and end; the end is not one of them."""
        return (
            bisect_left(self.rows, kind, key=lambda row: row.kind),
            bisect_right(self.rows, kind, key=lambda row: row.kind),
        )

    @guarded(0)
    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.rows)

    @guarded(None)
    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        answer: Any = None
        match role:
            case Role.ROW:
                answer = row
            case Role.MODEL:
                answer = None if isinstance(row.item, Note) else row.item
            case Role.FIT:
                answer = self._fit(row)
            case Role.ACTIVITY:
                answer = row.activity
            case Qt.ItemDataRole.DisplayRole:
                answer = row.item.title if isinstance(row.item, Note) else row.item.name
            case Qt.ItemDataRole.ToolTipRole:
                answer = model_text.tool_tip(row, self._fit(row))
            case Qt.ItemDataRole.AccessibleTextRole:
                answer = model_text.sentence(row, self._fit(row))
            case _:
                pass
        return answer

    @guarded(Qt.ItemFlag.NoItemFlags)
    def flags(self, index: _Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        row = self.rows[index.row()]
        if isinstance(row.item, Note) and not row.item.button:
            return Qt.ItemFlag.ItemNeverHasChildren
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if row.installed is not None and row.installed.problem is None:
            flags |= Qt.ItemFlag.ItemIsDragEnabled
        return flags | Qt.ItemFlag.ItemNeverHasChildren

    @guarded([MIME])
    def mimeTypes(self) -> list[str]:
        return [MIME]

    @guarded(_NOTHING)
    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        data = QMimeData()
        for index in indexes:
            row = self.rows[index.row()]
            if row.installed is not None:
                data.setData(MIME, row.id.encode())
                data.setText(row.id)
        return data

    def _fit(self, row: Row) -> Fit | None:
        if row.installed is not None:
            return self._fit_of(row.installed)
        return row.item.fit if isinstance(row.item, HubModel) else None

    def place_of(self, key: str) -> int | None:
        """Return the row of a key, None when there is none."""
        if self._places is None:
            self._places = {row.key: place for place, row in enumerate(self.rows)}
        return self._places.get(key)

    def sync(self, models: Mapping[str, Model]) -> None:
        """Make the installed rows those of `models` with the fewest changes."""
        before, self._models = self._models, dict(models)
        if before.keys() == models.keys():
            changed = [m for m in models.values() if before[m.id] is not m and before[m.id] != m]
            if not changed:
                return
            fresh = [self._installed(model) for model in changed]
            if not any(self._moves(row) for row in fresh):
                self._put(fresh)
                self._put(self._hub_rows(row.id for row in fresh))
                return
        known = {row.key: row for row in self.rows if row.kind is RowKind.INSTALLED}
        rows = [self._kept(known, model, before.get(model.id)) for model in models.values()]
        rows.sort(key=self._sort_key)
        self._sync_block(RowKind.INSTALLED, rows)
        touched = {m.id for m in models.values() if before.get(m.id) != m} | (
            before.keys() - models.keys()
        )
        self._put(self._hub_rows(touched))

    def set_order(self, order: SortOrder) -> None:
        """Sort the installed models by `order` from now on."""
        if order is not self._order:
            self._order = order
            rows = [row for row in self.rows if row.kind is RowKind.INSTALLED]
            self._sync_block(RowKind.INSTALLED, sorted(rows, key=self._sort_key))

    def set_hub(self, models: Iterable[HubModel]) -> None:
        """Make the rows of the hub those of `models`, in this order."""
        before, self._hub = self._hub, {model.id: model for model in models}
        known = {row.key: row for row in self.rows if row.kind is RowKind.HUB}
        rows: list[Row] = []
        for model in self._hub.values():
            row = known.get(f"hub:{model.id}")
            is_same = row is not None and before.get(model.id) == model
            rows.append(row if row is not None and is_same else self._hub_row(model))
        self._sync_block(RowKind.HUB, rows)

    def put_hub(self, model: HubModel) -> None:
        """Take what became known of a model of the hub that is listed."""
        if model.id in self._hub and self._hub[model.id] != model:
            self._hub[model.id] = model
            self._put([self._hub_row(model)])

    def set_notes(self, notes: Mapping[RowKind, Note | None]) -> None:
        """Show these rows that are no models; None or a kind left out removes one."""
        for kind in (RowKind.HEADER, RowKind.NOTE, RowKind.FOOT):
            note, before = notes.get(kind), self._notes.get(kind)
            if note == before:
                continue
            if note is None:
                del self._notes[kind]
            else:
                self._notes[kind] = note
            self._sync_block(kind, [] if note is None else [note_row(kind, note)])

    def set_activity(self, activity: Mapping[str, ServerState]) -> bool:
        """Tell which models are in use by servers, by model id; return True if that is news."""
        before, self._activity = self._activity, dict(activity)
        ids = {i for i in before.keys() | activity.keys() if before.get(i) != activity.get(i)}
        self._renew(ids)
        return bool(ids)

    def set_pending(self, ids: frozenset[str]) -> None:
        """Tell for which models of the hub a download was asked a moment ago."""
        before, self._pending = self._pending, ids
        self._renew(before ^ ids)

    def touch(self, ids: Iterable[str]) -> None:
        """Have views and proxies look at the rows of these models again."""
        for model_id in ids:
            for key in (f"installed:{model_id}", f"hub:{model_id}"):
                place = self.place_of(key)
                if place is not None:
                    self.dataChanged.emit(self.index(place), self.index(place))

    def _renew(self, ids: Iterable[str]) -> None:
        for model_id in ids:
            if (model := self._models.get(model_id)) is not None:
                self._put([self._installed(model)])
            self._put(self._hub_rows([model_id]))

    def _installed(self, model: Model) -> Row:
        return installed_row(model, self._activity.get(model.id))

    def _hub_row(self, model: HubModel) -> Row:
        return hub_row(
            model,
            self._models.get(model.id),
            self._activity.get(model.id),
            is_pending=model.id in self._pending,
        )

    def _hub_rows(self, ids: Iterable[str]) -> list[Row]:
        return [self._hub_row(self._hub[i]) for i in ids if i in self._hub]

    def _kept(self, known: Mapping[str, Row], model: Model, before: Model | None) -> Row:
        row = known.get(f"installed:{model.id}")
        return row if row is not None and before == model else self._installed(model)

    def _sort_key(self, row: Row) -> tuple[float, str]:
        return row.keys[self._order]

    def _moves(self, row: Row) -> bool:
        place = self.place_of(row.key)
        return place is None or self.rows[place].keys[self._order] != row.keys[self._order]

    def _put(self, rows: Iterable[Row]) -> None:
        """Replace rows at their places."""
        for row in rows:
            place = self.place_of(row.key)
            if place is not None:
                self.rows[place] = row
                if self._haystacks is not None:
                    self._haystacks[place] = row.haystack
                self.dataChanged.emit(self.index(place), self.index(place))

    def _forget_places(self) -> None:
        self._places = self._haystacks = None

    def _sync_block(self, kind: RowKind, wanted: list[Row]) -> None:
        """Make the rows of a kind `wanted`: remove, move, replace, then insert."""
        first, last = self.block(kind)
        keys = {row.key for row in wanted}
        for place, end in reversed(_runs(self.rows, first, last, keys)):
            self.beginRemoveRows(QModelIndex(), place, end - 1)
            del self.rows[place:end]
            self._forget_places()
            self.endRemoveRows()
        kept = {row.key for row in self.rows[first : self.block(kind)[1]]}
        self._rearrange(first, [row for row in wanted if row.key in kept])
        place = 0
        while place < len(wanted):
            end = place
            while end < len(wanted) and wanted[end].key not in kept:
                end += 1
            if end > place:
                self.beginInsertRows(QModelIndex(), first + place, first + end - 1)
                self.rows[first + place : first + place] = wanted[place:end]
                self._forget_places()
                self.endInsertRows()
            place = max(end, place + 1)

    def _rearrange(self, first: int, wanted: list[Row]) -> None:
        """Put rows that are all there into this order, and replace those that differ."""
        now = self.rows[first : first + len(wanted)]
        if [row.key for row in now] != [row.key for row in wanted]:
            self.layoutAboutToBeChanged.emit()
            before = self.persistentIndexList()
            keys = [self.rows[index.row()].key for index in before]
            self.rows[first : first + len(wanted)] = wanted
            self._forget_places()
            places = [self.place_of(key) for key in keys]
            after = [self.index(p) if p is not None else QModelIndex() for p in places]
            self.changePersistentIndexList(before, after)
            self.layoutChanged.emit()
        same = {id(row) for row in now}
        self._put(row for row in wanted if id(row) not in same)


def _runs(rows: list[Row], first: int, last: int, keys: set[str]) -> list[tuple[int, int]]:
    """Return the stretches of rows from `first` to `last` whose keys are not in `keys`."""
    runs: list[tuple[int, int]] = []
    for place in range(first, last):
        if rows[place].key in keys:
            continue
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs
