"""What the command palette offers, as a list that follows what is typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.gui.guarded import guarded
from app.gui.models.fuzzy import find

ENTRY_ROLE: Final = Qt.ItemDataRole.UserRole + 1
PLACES_ROLE: Final = Qt.ItemDataRole.UserRole + 2
"""Positions of the letters in the title that match."""
_MOST: Final = 60
_RECENT: Final = 12.0
"""What having been used lately adds to a score."""
_BESIDE: Final = 25.0
"""What a match beside the title costs."""

_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class PaletteEntry:
    """One thing that can be done."""

    id: str
    """What it does and with what, such as `start:coding`; stays the same between sessions."""
    title: str
    detail: str = ""
    keys: str = ""
    icon: str = "terminal"


class PaletteList(QAbstractListModel):
    """The entries that match, best first; without a query those that were used last come first."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: tuple[PaletteEntry, ...] = ()
        self._recent: dict[str, int] = {}
        self._query = ""
        self._rows: list[tuple[PaletteEntry, tuple[int, ...]]] = []

    def set_entries(self, entries: Sequence[PaletteEntry], recent: Sequence[str]) -> None:
        """Offer these; `recent` are the ids that were used, the latest first."""
        self._entries = tuple(entries)
        self._recent = {entry_id: place for place, entry_id in enumerate(recent)}
        self.set_query("")

    def set_query(self, query: str) -> None:
        """Show what matches; all of it for a query without a letter."""
        self.beginResetModel()
        self._query = query.strip()
        self._rows = self._found() if self._query else self._latest()
        self.endResetModel()

    @property
    def query(self) -> str:
        """What is looked for."""
        return self._query

    def entry_at(self, row: int) -> PaletteEntry | None:
        """Return the entry in a row."""
        return self._rows[row][0] if 0 <= row < len(self._rows) else None

    def _latest(self) -> list[tuple[PaletteEntry, tuple[int, ...]]]:
        after = len(self._recent)
        entries = sorted(self._entries, key=lambda entry: self._recent.get(entry.id, after))
        return [(entry, ()) for entry in entries]

    def _found(self) -> list[tuple[PaletteEntry, tuple[int, ...]]]:
        rows: list[tuple[float, int, PaletteEntry, tuple[int, ...]]] = []
        for number, entry in enumerate(self._entries):
            found = find(self._query, entry.title)
            places = found.places if found is not None else ()
            score = found.score if found is not None else 0.0
            if found is None:
                whole = find(self._query, f"{entry.title} {entry.detail}")
                if whole is None:
                    continue
                places = tuple(p for p in whole.places if p < len(entry.title))
                score = whole.score - _BESIDE
            if (place := self._recent.get(entry.id)) is not None:
                score += _RECENT / (1 + place)
            rows.append((-score, number, entry, places))
        rows.sort(key=lambda row: row[:2])
        return [(entry, places) for _, _, entry, places in rows[:_MOST]]

    @guarded(0)
    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._rows)

    @guarded(None)
    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not 0 <= index.row() < len(self._rows):
            return None
        entry, places = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return entry.title
            case Qt.ItemDataRole.AccessibleTextRole:
                return ", ".join(part for part in (entry.title, entry.detail, entry.keys) if part)
            case _ if role == ENTRY_ROLE:
                return entry
            case _ if role == PLACES_ROLE:
                return places
            case _:
                return None
