"""The profiles of the mirror as a Qt list: what was used last comes first, then by name."""

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.gui import format as fmt
from app.gui.guarded import guarded
from app.gui.mirror import Mirror
from app.gui.models.memory_plan import fit_of
from app.gui.models.server_state import status
from app.wire.hub import Verdict
from app.wire.nouns import Profile

ID_ROLE = Qt.ItemDataRole.UserRole + 1
MODEL_ROLE = Qt.ItemDataRole.UserRole + 2
FAULT_ROLE = Qt.ItemDataRole.UserRole + 3
SEARCH_ROLE = Qt.ItemDataRole.UserRole + 4
"""Name and model in one text, for a completer that looks for any part of it."""
NOTE_ROLE = Qt.ItemDataRole.UserRole + 5
"""What its server does; of one that does not run, what it would take of memory."""

_Index = QModelIndex | QPersistentModelIndex
_REMEMBERED = 50


def fault_text(profile: Profile) -> str:
    """Return what is wrong with a profile's file and where; empty when nothing is."""
    if profile.fault is None:
        return ""
    message = profile.fault.message.rstrip(".")
    return message if profile.fault.line is None else f"{message} (line {profile.fault.line})"


class ProfileList(QAbstractListModel):
    """Follows `Mirror.profiles` row by row; it is never reset, so that views keep their place."""

    def __init__(self, mirror: Mirror, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._rows: list[Profile] = []
        self._recent: list[str] = []
        self._is_held = False
        self.refresh()
        mirror.profiles_changed.connect(self.refresh)

    @property
    def recent(self) -> tuple[str, ...]:
        """Ids of the profiles that were used last, the last one first."""
        return tuple(self._recent)

    def set_recent(self, ids: Iterable[str]) -> None:
        """Take the order of an earlier time; ids that are not there yet keep their place."""
        self._recent = list(dict.fromkeys(ids))[:_REMEMBERED]
        self.refresh()

    def put_first(self, profile_id: str) -> None:
        """Take notice that a profile is used now."""
        if self._recent[:1] != [profile_id]:
            self.set_recent((profile_id, *self._recent))

    def hold(self, *, is_held: bool) -> None:
        """Keep the rows as they are while a list of them is open; afterwards catch up.

        No row leaves the pointer then, and a completer, which starts anew with every change, keeps
        its highlight.
        """
        self._is_held = is_held
        self.refresh()

    def profile_at(self, row: int) -> Profile | None:
        """Return the profile in a row."""
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def row_of(self, profile_id: str | None) -> int:
        """Return the row of a profile, -1 when there is none."""
        return next((n for n, p in enumerate(self._rows) if p.id == profile_id), -1)

    def refresh(self) -> None:
        """Take over what changed in the mirror, unless the rows are held."""
        if self._is_held:
            return
        place = {profile_id: number for number, profile_id in enumerate(self._recent)}
        wanted = sorted(
            self._mirror.profiles.values(),
            key=lambda p: (place.get(p.id, len(place)), p.name.casefold(), p.id),
        )
        ids = {profile.id for profile in wanted}
        for row in range(len(self._rows) - 1, -1, -1):
            if self._rows[row].id not in ids:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self._rows[row]
                self.endRemoveRows()
        for row, profile in enumerate(wanted):
            self._put(row, profile)

    def _put(self, row: int, profile: Profile) -> None:
        old = self.row_of(profile.id)
        if old < 0:
            self.beginInsertRows(QModelIndex(), row, row)
            self._rows.insert(row, profile)
            self.endInsertRows()
            return
        if old != row:
            self.beginMoveRows(QModelIndex(), old, old, QModelIndex(), row)
            self._rows.insert(row, self._rows.pop(old))
            self.endMoveRows()
        if old != row or self._rows[row] != profile:
            self._rows[row] = profile
            index = self.index(row)
            # After a move, too: QCompleter keeps what it found by row, and hears of no move.
            self.dataChanged.emit(index, index)

    @guarded(0)
    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._rows)

    @guarded(None)
    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        profile = self.profile_at(index.row())
        if profile is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.EditRole:
                return profile.name
            case Qt.ItemDataRole.ToolTipRole:
                return fault_text(profile) or profile.model
            case Qt.ItemDataRole.AccessibleTextRole:
                trouble = fault_text(profile)
                parts = (profile.name, trouble or profile.model, self._note(profile))
                return ", ".join(filter(None, parts))
            case _:
                return self._own_data(profile, role)

    def _own_data(self, profile: Profile, role: int) -> str | None:
        if role == ID_ROLE:
            return profile.id
        if role == MODEL_ROLE:
            return profile.model
        if role == FAULT_ROLE:
            return fault_text(profile)
        if role == SEARCH_ROLE:
            return f"{profile.name} {profile.model}"
        if role == NOTE_ROLE:
            return self._note(profile)
        return None

    def _note(self, profile: Profile) -> str:
        server = self._mirror.servers.get(profile.id)
        if self._mirror.is_stale or profile.fault is not None:
            return ""
        if server is not None and server.state.has_process:
            return status(server, None, is_live=True).word
        model = self._mirror.models.get(profile.model)
        fit = None if model is None else fit_of(model, self._mirror)
        if fit is None or fit.needed_bytes is None:
            return ""
        needed = fmt.memory_text(fit.needed_bytes)
        if fit.verdict is Verdict.TOO_BIG:
            return self.tr("needs {memory}, too big").format(memory=needed)
        return self.tr("needs {memory}").format(memory=needed)
