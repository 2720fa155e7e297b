"""Who is next: the order of the downloads, and when the hours let them run."""

from collections.abc import Callable
from datetime import datetime

from app.engine.downloads.entry import Entry
from app.engine.downloads.hours import opens_at
from app.wire.nouns import DownloadState
from app.wire.storage import MoveTo


class Queue:
    """All downloads by id, in their order. Changes nothing in them."""

    def __init__(self, hours: Callable[[], str], now: Callable[[], datetime]) -> None:
        self._hours = hours
        self._now = now
        self.entries: dict[str, Entry] = {}

    def opens_at(self, entry: Entry) -> datetime | None:
        """Return when a download may run again; None when it may now."""
        return None if entry.download.any_time else opens_at(self._hours(), self._now())

    def in_line(self) -> list[Entry]:
        """Return those that wait for their turn, the next first."""
        return [entry for entry in self.entries.values() if entry.is_in_line]

    def busy(self) -> int:
        """Return how many downloads fill a place."""
        # One that waits for the network must not keep others from trying.
        return sum(
            entry.is_running and entry.download.state is not DownloadState.WAITING
            for entry in self.entries.values()
        )

    def any_running(self) -> bool:
        """True while the worker has an order to download."""
        return any(entry.is_running for entry in self.entries.values())

    def move(self, download_id: str, to: MoveTo) -> None:
        """Move one that is in line; at the end of the line already, it stays."""
        line = [entry.download.id for entry in self.in_line()]
        if download_id not in line:
            return
        place = line.index(download_id)
        targets = {
            MoveTo.TOP: 0,
            MoveTo.UP: max(0, place - 1),
            MoveTo.DOWN: place + 1,
            MoveTo.BOTTOM: len(line),
        }
        line.insert(targets[to], line.pop(place))
        moved = iter([self.entries[name] for name in line])
        waiting = set(line)
        # The others keep their places, and those in line share out theirs anew.
        order = [next(moved) if n in waiting else e for n, e in self.entries.items()]
        self.entries = {entry.download.id: entry for entry in order}
