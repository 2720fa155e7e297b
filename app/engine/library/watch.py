"""Tells whether anything in the folders of models has changed, by a look at a few dates each."""

import os
from collections.abc import Iterable

_MAX_DEPTH = 3
_MAX_FOLDERS = 5_000


class Watch:
    """Remembers dates. `look` blocks 5 ms for 500 models, and belongs into a thread."""

    def __init__(self) -> None:
        self._below: dict[str, tuple[int, list[str]]] = {}
        """Folder to its date and the folders in it, which are the same while the date is."""

    def look(self, cache: str, folders: Iterable[str]) -> int:
        """Return a number that is another one after a change."""
        before, self._below = self._below, {}
        dates: list[tuple[str, int]] = []
        for repo in self._folders_in(cache, before):
            if os.path.basename(repo).startswith("models--"):  # noqa: PTH119 - texts are quicker
                self._look_at_repo(repo, before, dates)
        for folder in folders:
            self._look_below(folder, before, dates)
        return hash(tuple(dates))

    def _look_at_repo(
        self, repo: str, before: dict[str, tuple[int, list[str]]], dates: list[tuple[str, int]]
    ) -> None:
        dates.append((repo, _date(f"{repo}/refs/main")))
        snapshots = self._folders_in(f"{repo}/snapshots", before)
        dates += [(snapshot, _date(snapshot)) for snapshot in snapshots]

    def _look_below(
        self, root: str, before: dict[str, tuple[int, list[str]]], dates: list[tuple[str, int]]
    ) -> None:
        waiting = [(root, 0)]
        while waiting and len(dates) < _MAX_FOLDERS:
            folder, depth = waiting.pop()
            inside = self._folders_in(folder, before)
            dates.append((folder, self._below[folder][0]))
            if depth < _MAX_DEPTH:
                waiting += [(below, depth + 1) for below in inside]

    def _folders_in(self, folder: str, before: dict[str, tuple[int, list[str]]]) -> list[str]:
        date = _date(folder)
        known = before.get(folder)
        if known is None or known[0] != date:
            known = (date, _list(folder))
        self._below[folder] = known
        return known[1]


def _date(path: str) -> int:
    """Return when a file or folder was changed, 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - texts are quicker
    except (OSError, ValueError):
        return 0


def _list(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.path for e in entries if not e.name.startswith(".") and e.is_dir())
    except (OSError, ValueError):
        return []
