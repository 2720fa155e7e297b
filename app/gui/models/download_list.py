"""The downloads as rows, in the order they were asked for; changed by id, never reset."""

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

    def sync(self, downloads: dict[str, Download]) -> None:
        """Take the mirror's downloads; tells only what differs."""
        for row in reversed(range(len(self._rows))):
            if self._rows[row].id not in downloads:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self._rows[row]
                self.endRemoveRows()
        known = {download.id: row for row, download in enumerate(self._rows)}
        for download in sorted(downloads.values(), key=lambda d: (d.added_at, d.id)):
            row = known.get(download.id)
            if row is None:
                end = len(self._rows)
                self.beginInsertRows(QModelIndex(), end, end)
                self._rows.append(download)
                self.endInsertRows()
            elif self._rows[row] != download:
                self._rows[row] = download
                index = self.index(row)
                self.dataChanged.emit(index, index)

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
