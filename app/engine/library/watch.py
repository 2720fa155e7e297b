"""Tells whether anything in the folders of models has changed, by dates and by sizes of weights."""

import os
from collections.abc import Iterable

_MAX_DEPTH = 3
_MAX_FOLDERS = 5_000
_MAX_REF_BYTES = 200
# Cut or rewritten ones leave their folder's date as it is, so they are looked at themselves.
_WEIGHTS = ".safetensors"

_Mark = tuple[str, int, int]
"""Path, date in nanoseconds and bytes."""
_Inside = tuple[_Mark, list[str], list[str]]
"""A folder's mark, then the folders and the telling files in it."""


class Watch:
    """Remembers dates. `look` blocks 5 ms for 500 models, and belongs into a thread."""

    def __init__(self) -> None:
        self._below: dict[str, _Inside] = {}
        """What is in a folder, which is the same while its date is."""
        self._mains: dict[str, tuple[_Mark, str]] = {}
        """The mark of each `refs/main`, and the snapshot that it leads to."""

    def look(self, cache: str, folders: Iterable[str], others: Iterable[str] = ()) -> int:
        """Return a number that is another one after a change.

        others: paths of which only the date matters, and that they come to be.
        """
        before, self._below = self._below, {}
        marks = [mark for path in others if (mark := _mark(path))[1]]
        for repo in self._inside(cache, before)[1]:
            if os.path.basename(repo).startswith("models--"):  # noqa: PTH119 - texts are quicker
                ref, snapshot = self._main(repo)
                mark, _, files = self._inside(snapshot, before)
                marks += [ref, mark, *map(_mark, files)]
        for folder in folders:
            self._look_below(folder, before, marks)
        return hash(tuple(marks))

    def _main(self, repo: str) -> tuple[_Mark, str]:
        """Return the mark of a repository's `main`, and the only snapshot that counts."""
        mark = _mark(f"{repo}/refs/main")
        known = self._mains.get(repo)
        if known is None or known[0] != mark:
            known = self._mains[repo] = (mark, f"{repo}/snapshots/{_read(mark[0])}")
        return known

    def _look_below(self, root: str, before: dict[str, _Inside], marks: list[_Mark]) -> None:
        waiting, seen = [(root, 0)], 0
        while waiting and seen < _MAX_FOLDERS:
            folder, depth = waiting.pop()
            seen += 1
            mark, folders, files = self._inside(folder, before)
            marks += [mark, *map(_mark, files)]
            if depth < _MAX_DEPTH:
                waiting += [(below, depth + 1) for below in folders]

    def _inside(self, folder: str, before: dict[str, _Inside]) -> _Inside:
        mark = _mark(folder)
        known = before.get(folder)
        if known is None or known[0] != mark:
            known = (mark, *_list(folder))
        self._below[folder] = known
        return known


def _mark(path: str) -> _Mark:
    """Return the mark of a file or folder, zeros where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - texts are quicker
    except (OSError, ValueError):
        return path, 0, 0
    return path, status.st_mtime_ns, status.st_size


def _read(path: str) -> str:
    """Return the commit in a file, empty where there is none."""
    try:
        # A pipe would be waited for without O_NONBLOCK.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _MAX_REF_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _list(folder: str) -> tuple[list[str], list[str]]:
    """Return the folders in a folder, and the files that tell of its model."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.name.endswith(_WEIGHTS):
                    # Where the link leads, which is a third quicker to look at than the link.
                    files.append(os.path.realpath(entry.path))
                elif entry.name == "config.json":
                    # What the hub's links stand for never changes, and each look costs.
                    files += [] if entry.is_symlink() else [entry.path]
                elif entry.is_dir():
                    folders.append(entry.path)
    except (OSError, ValueError):
        return [], []
    return sorted(folders), sorted(files)
