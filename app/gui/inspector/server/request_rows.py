"""Requests as rows of a table: changed by id, new ones on top, older ones below."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from app.gui import format as fmt
from app.gui.guarded import guarded
from app.gui.inspector.server.words import clock
from app.gui.theme import theme
from app.wire.requests import RequestRecord, RequestState

_Index = QModelIndex | QPersistentModelIndex
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_INKS = {
    RequestState.QUEUED: "warn", RequestState.WAITING: "warn",
    RequestState.ANSWERING: "acc", RequestState.FAILED: "bad",
    RequestState.REFUSED: "bad", RequestState.HUNG_UP: "tx2",
}  # fmt: skip


class Column(IntEnum):
    """The columns, from left to right."""

    TIME = 0
    STATE = 1
    CLIENT = 2
    MODEL = 3
    TOKENS = 4
    FIRST = 5
    RATE = 6
    DURATION = 7


class RequestRows(QAbstractTableModel):
    """The requests of one server, the newest first."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.records: list[RequestRecord] = []
        self._heads = (
            self.tr("Time"), self.tr("State"), self.tr("Client"), self.tr("Model"),
            self.tr("Tokens"), self.tr("TTFT"), self.tr("tok/s"), self.tr("Took"),
        )  # fmt: skip
        self._tips = (
            self.tr("When the request came"), self.tr("How far it is, or how it ended"),
            self.tr("The name of the key, or the address, of who asked"),
            self.tr("The model that answered"),
            self.tr("Tokens of the prompt → tokens of the answer"),
            self.tr("Time from the request to the first token"),
            self.tr("Generated tokens after the first, by the time that they took"),
            self.tr("Time from the request to the end of the answer"),
        )  # fmt: skip

    @guarded(0)
    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.records)

    @guarded(0)
    def columnCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(Column)

    @guarded(None)
    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        found: Any = None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                found = self._heads[section]
            case Qt.ItemDataRole.ToolTipRole:
                found = self._tips[section]
            case Qt.ItemDataRole.TextAlignmentRole:
                found = _RIGHT if section >= Column.TOKENS else _LEFT
            case _:
                pass
        return found

    @guarded(None)
    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        record, column = self.records[index.row()], Column(index.column())
        found: Any = None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                found = _cell(record, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                found = _RIGHT if column >= Column.TOKENS else _LEFT
            case Qt.ItemDataRole.ForegroundRole:
                found = _ink(record, column)
            case Qt.ItemDataRole.ToolTipRole:
                found = _story(record)
            case Qt.ItemDataRole.AccessibleTextRole:
                found = f"{self._heads[column]}: {_cell(record, column)}"
            case _:
                pass
        return found

    def sync(self, newest: Sequence[RequestRecord]) -> int:
        """Take the latest records, the newest first; return how many of them are new."""
        if not newest:
            return 0
        known = {record.id: row for row, record in enumerate(self.records)}
        added = [record for record in newest if record.id not in known]
        for record in newest:
            row = known.get(record.id)
            if row is not None and self.records[row] != record:
                self.records[row] = record
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(Column) - 1))
        if added:
            self.beginInsertRows(QModelIndex(), 0, len(added) - 1)
            self.records[:0] = added
            self.endInsertRows()
        return len(added)

    def add_older(self, older: Sequence[RequestRecord]) -> None:
        """Take records that came before all others, the newest first."""
        first = len(self.records)
        if older:
            self.beginInsertRows(QModelIndex(), first, first + len(older) - 1)
            self.records += older
            self.endInsertRows()

    def clear(self) -> None:
        """Forget all records, because those of another engine follow."""
        self.beginResetModel()
        self.records = []
        self.endResetModel()

    def as_text(self, rows: Sequence[int]) -> str:
        """Return rows for a spreadsheet: tab-separated, with a line of names."""
        lines = ["\t".join(self._heads)]
        lines += ["\t".join(_cell(self.records[row], c) for c in Column) for row in rows]
        return "\n".join(lines)


def state_text(state: RequestState) -> str:
    """Return a state in a word."""
    words = {
        RequestState.QUEUED: "Queued", RequestState.WAITING: "Waiting",
        RequestState.ANSWERING: "Answering", RequestState.DONE: "Done",
        RequestState.FAILED: "Failed", RequestState.REFUSED: "Refused",
        RequestState.HUNG_UP: "Hung up",
    }  # fmt: skip
    return words[state]


def _cell(record: RequestRecord, column: Column) -> str:
    match column:
        case Column.TIME:
            text = clock(record.at)
        case Column.STATE:
            text = state_text(record.state)
            if record.prompt_read is not None:
                text = f"Reading prompt {record.prompt_read:.0%}"
            text = f"{text}: {record.error}" if record.error else text
        case Column.CLIENT:
            text = record.key or record.client
        case Column.MODEL:
            text = record.model.rstrip("/").rsplit("/", 1)[-1]
        case Column.TOKENS:
            text = f"{fmt.count(record.prompt_tokens)} → {fmt.count(record.completion_tokens)}"
            is_known = record.prompt_tokens is not None or record.completion_tokens is not None
            text = text if is_known else fmt.UNKNOWN
        case Column.FIRST:
            text = seconds(record.ttft_s)
        case Column.RATE:
            text = fmt.rate(record.tokens_per_s)[0]
        case Column.DURATION:
            text = seconds(record.duration_s)
    return text


def seconds(value: float | None) -> str:
    """Return a time as short as a column: `84 ms`, `1.2 s`, `3 min 05 s`."""
    if value is None:
        return fmt.UNKNOWN
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 59.95 else fmt.duration(value)


def _ink(record: RequestRecord, column: Column) -> QColor:
    t = theme()
    if column is Column.STATE and record.state in _INKS:
        return t.color(_INKS[record.state])
    return t.color("tx" if column in (Column.TIME, Column.TOKENS) else "tx2")


def _story(record: RequestRecord) -> str:
    reasons = {
        RequestState.QUEUED: "It waits for its server's start or in its queue.",
        RequestState.WAITING: "The server reads the prompt.",
        RequestState.ANSWERING: "The answer is being generated.",
        RequestState.DONE: "Answered in full.",
        RequestState.FAILED: "The server gave no usable answer.",
        RequestState.REFUSED: "The request was not accepted.",
        RequestState.HUNG_UP: "The client did not wait for the end of the answer.",
    }
    who = f"{record.key} at {record.client}" if record.key else record.client
    how = "streamed" if record.is_stream else "in one piece"
    figures = (
        f"tokens {_cell(record, Column.TOKENS)}", f"first after {seconds(record.ttft_s)}",
        f"{_cell(record, Column.RATE)} tok/s", f"took {seconds(record.duration_s)}",
    )  # fmt: skip
    return "\n".join(
        (
            record.error or reasons[record.state],
            f"{clock(record.at)}  {who}, {how}",
            record.model,
            ", ".join(figures),
        )
    )
