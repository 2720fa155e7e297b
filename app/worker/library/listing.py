"""What a folder holds: names and sizes by one pass, quick enough for hundreds of folders."""

import contextlib
import os
import stat
from collections.abc import Generator, Iterator
from hashlib import blake2b

import msgspec

from app.worker.describe import is_weights


class Listing(msgspec.Struct, frozen=True):
    """The files of one model's folder."""

    files: dict[str, int]
    """Name to bytes of every regular file in the folder itself, links followed."""
    size_bytes: int
    """Of all files at and below the folder; what is there under two names counts once."""
    modified_at: float
    """The newest time of a file, seconds since the epoch."""
    marks: tuple[tuple[str, int, int], ...]
    """Name, bytes and time in nanoseconds of each of `files`."""

    def stamp(self) -> str:
        """Return another text when any of `files` is new, gone, or changed in size or time."""
        return _digest(repr(sorted(self.marks)))


def list_folder(folder: str) -> Listing:
    """Return what `folder` holds. What cannot be looked at is left out. Raises OSError for itself.

    Folders below count for size and time only; those that are links do not count.
    """
    files: dict[str, int] = {}
    marks: list[tuple[str, int, int]] = []
    sizes: dict[tuple[int, int], int] = {}
    newest = 0
    below: list[str] = []
    with _entries(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(f"{folder}/{entry.name}")
                continue
            status = _status(entry)
            if status is not None:
                files[entry.name] = status.st_size
                marks.append((entry.name, status.st_size, status.st_mtime_ns))
                sizes[status.st_dev, status.st_ino] = status.st_size
                newest = max(newest, status.st_mtime_ns)
    for status in _statuses_below(below):
        sizes[status.st_dev, status.st_ino] = status.st_size
        newest = max(newest, status.st_mtime_ns)
    return Listing(files, sum(sizes.values()), newest / 1e9, tuple(marks))


def link_stamp(folder: str, blobs: list[str]) -> str:
    """Return a stamp of a snapshot in the hub's cache, for a fifth of the looks at the disk.

    What a link stands for never changes there, so only weights are looked at themselves: a cut one
    must be seen. blobs: the names in the folder that the links lead to. Raises OSError.
    """
    marks: list[tuple[str, int, int]] = []
    with _entries(folder) as entries:
        for entry in entries:
            if entry.is_symlink() and not is_weights(entry.name):
                marks.append((entry.name, entry.inode(), -1))
            elif (status := _status(entry)) is not None:
                marks.append((entry.name, status.st_size, status.st_mtime_ns))
            else:
                marks.append((entry.name, entry.inode(), -2))
    marks.sort()
    return _digest(f"{marks} {sorted(blobs)}")


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=12).hexdigest()


@contextlib.contextmanager
def _entries(folder: str) -> Generator[Iterator["os.DirEntry[str]"], None, None]:
    # By a descriptor: each look at a file then begins there and not at the root of the disk.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    finally:
        os.close(descriptor)


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        status = entry.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _statuses_below(folders: list[str]) -> Iterator[os.stat_result]:
    while folders:
        folder = folders.pop()
        try:
            with _entries(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{folder}/{entry.name}")
                    elif (status := _status(entry)) is not None:
                        yield status
        except OSError:
            continue
