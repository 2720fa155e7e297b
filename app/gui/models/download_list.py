"""The downloads as rows: what moves first, then the queue, then what has stopped; never reset."""

from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.gui.guarded import guarded
from app.gui.models import download_text
from app.wire.nouns import Download

_Index = QModelIndex | QPersistentModelIndex


class DownloadRole(IntEnum):
    """What a row can tell beside its text."""

    DOWNLOAD = Qt.ItemDataRole.UserRole + 1


class DownloadList(QAbstractListModel):
    """One row for each download of the mirror."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[Download] = []

    def sync(self, downloads: dict[str, Download], *, holds: bool = False) -> list[str]:
        """Take the mirror's downloads; tells only what differs, and returns the ids that are new.

        holds: rows stay where they are, but for those in line; a new one still stands above all
        that have stopped.
        """
        for row in reversed(range(len(self._rows))):
            if self._rows[row].id not in downloads:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self._rows[row]
                self.endRemoveRows()
        for row, before in enumerate(self._rows):
            if before != downloads[before.id]:
                self._rows[row] = downloads[before.id]
                index = self.index(row)
                self.dataChanged.emit(index, index)
        known = {download.id for download in self._rows}
        fresh = sorted((d for d in downloads.values() if d.id not in known), key=_rank)
        for download in fresh:
            below = (n for n, other in enumerate(self._rows) if _rank(other) > _rank(download))
            row = next(below, len(self._rows))
            self.beginInsertRows(QModelIndex(), row, row)
            self._rows.insert(row, download)
            self.endInsertRows()
        self._arrange(self._lined_up() if holds else sorted(self._rows, key=_rank))
        return [download.id for download in fresh]

    def move_limits(self, download_id: str) -> tuple[bool, bool]:
        """Return whether a download can move up and down in the queue."""
        line = sorted(d.place for d in self._rows if d.place is not None)
        places = [d.place for d in self._rows if d.id == download_id]
        if not places or places[0] is None:
            return False, False
        return places[0] > line[0], places[0] < line[-1]

    def _lined_up(self) -> list[Download]:
        """Return the rows with those in line sharing out theirs by their places."""
        waiting = [download for download in self._rows if download.place is not None]
        line = iter(sorted(waiting, key=lambda d: d.place or 0))
        return [download if download.place is None else next(line) for download in self._rows]

    def _arrange(self, rows: list[Download]) -> None:
        if rows == self._rows:
            return
        self.layoutAboutToBeChanged.emit()
        places = {download.id: row for row, download in enumerate(rows)}
        before = self.persistentIndexList()
        after = [self.index(places[self._rows[index.row()].id]) for index in before]
        self._rows = rows
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    @guarded(0)
    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._rows)

    @guarded(None)
    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        download = self._rows[index.row()]
        match role:
            case DownloadRole.DOWNLOAD:
                return download
            case Qt.ItemDataRole.DisplayRole:
                return download.id
            case Qt.ItemDataRole.ToolTipRole:
                return download_text.tip(download)
            case Qt.ItemDataRole.AccessibleTextRole:
                return download_text.spoken(download)
            case _:
                return None


def _rank(download: Download) -> tuple[bool, int, float, str]:
    """Return a sort key: what moves, those in line by their places, then the last that stopped."""
    is_active = download.state.is_active
    age = download.added_at if is_active else -download.added_at
    return not is_active, download.place or 0, age, download.id
