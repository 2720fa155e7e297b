"""Documents on disk: a crash leaves the old or the new version, never half of one."""

import contextlib
import errno
import glob
import logging
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

_log = logging.getLogger("store")
KEPT_VERSIONS = 10
# Two thousand stacks, or the story of some thousand downloads.
MOST_LOG_BYTES = 2_000_000


class _Home:
    """The folder of this program, which one can lose: its disk is ejected, or it is moved away."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self._identity: tuple[int, int] | None = None

    def hold(self, path: Path) -> None:
        self._identity = _identity(path)
        self.path = path

    def is_gone(self) -> bool:
        return self.path is not None and _identity(self.path) != self._identity


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


_home = _Home()


def hold_home(path: Path) -> None:
    """From now on make no folder below `path` unless it is still the same folder as now.

    Otherwise a program whose disk was ejected would begin a second, empty home in its place.
    """
    _home.hold(path)


def lost_home() -> str:
    """Return the sentence for a home that is no longer there, nothing while it is."""
    if not _home.is_gone():
        return ""
    return (
        f"The folder {_home.path} is gone: its disk was ejected, or it was moved or deleted. "
        "Running servers go on, but nothing can be saved until it is back."
    )


def make_folder(folder: Path) -> None:
    """Make the folder with those above it. Raises OSError, also when it lies in a lost home."""
    if _home.path is not None and folder.is_relative_to(_home.path) and _home.is_gone():
        raise OSError(errno.ENODEV, f"the folder {_home.path} is gone", str(folder))
    folder.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace the file's content durably. Raises OSError, with the old content untouched."""
    make_folder(path.parent)
    temporary = path.with_name(f".tmp-{path.name}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def keep_version(path: Path, backups: Path) -> None:
    """Copy the file into `backups/<stem>/` and drop all but the newest KEPT_VERSIONS there."""
    if not path.exists():
        return
    folder = backups / path.stem
    make_folder(folder)
    copy = folder / f"{_stamp(folder)}{path.suffix}"
    temporary = folder / f".tmp-{copy.name}"
    try:
        with temporary.open("wb") as file:
            file.write(path.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        # Only a whole copy has a name that counts.
        temporary.replace(copy)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    for old in sorted(folder.iterdir())[:-KEPT_VERSIONS]:
        old.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Give a damaged file another name, which it returns, so that nothing overwrites it.

    Raises OSError; then the file is where it was.
    """
    aside, number = path.with_name(f"{path.name}.broken"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.broken-{number}")
    path.replace(aside)
    _sync_folder(path.parent)
    return aside


def update_toml(path: Path, changes: Mapping[str, bool | int | str], backups: Path) -> None:
    """Set top-level values of a TOML file; comments and everything else in it stay.

    Raises OSError, or ValueError when the file is not TOML; then it is as it was.
    """
    import tomlkit  # lazy: the window reads with tomllib and rarely writes

    text = path.read_text(encoding="utf-8") if path.exists() else ""
    document = tomlkit.parse(text)
    for name, value in changes.items():
        document[name] = value
    keep_version(path, backups)
    write_atomically(path, tomlkit.dumps(document))


def move_to_trash(path: Path, trash: Path) -> Path:
    """Move the file into the trash folder under a name of its own, and return where it is."""
    make_folder(trash)
    target = trash / f"{_stamp(trash)}-{path.name}"
    path.replace(target)
    _sync_folder(trash)
    _sync_folder(path.parent)
    return target


def newest_in_trash(path: Path, trash: Path) -> Path | None:
    """Return what was moved to the trash last from this path, None when nothing was."""
    # Behind the time in front a name follows as it was, which may itself begin with digits.
    found = [f for f in trash.glob(f"*-{glob.escape(path.name)}") if f.name[21:] == path.name]
    return max(found, key=lambda file: file.name, default=None)


def move_back(found: Path, path: Path) -> None:
    """Move a file out of the trash to where it was. Raises OSError."""
    make_folder(path.parent)
    found.replace(path)
    _sync_folder(path.parent)


def discard(path: Path) -> None:
    """Delete a file that nobody needs any more; a disk that refuses that is only logged."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s cannot be removed: %s", path, error.strerror or error)


def sweep_temporaries(folder: Path, *, older_than_s: float = 3600.0) -> None:
    """Remove what interrupted writes left behind."""
    limit = time.time() - older_than_s
    for leftover in folder.glob(".tmp-*"):
        with contextlib.suppress(FileNotFoundError):
            if leftover.stat().st_mtime < limit:
                leftover.unlink()


def rotate(path: Path, *, keep: int) -> None:
    """Rename `path` to `path.1`, `path.1` to `path.2` and so on; drop what exceeds `keep`."""
    for number in range(keep, 0, -1):
        source = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if source.exists():
            source.replace(path.with_name(f"{path.name}.{number}"))


def remove_rotated(path: Path) -> None:
    """Remove a log and its rotated versions."""
    path.unlink(missing_ok=True)
    for file in path.parent.glob(f"{glob.escape(path.name)}.[0-9]"):
        file.unlink(missing_ok=True)


def sweep_logs(folder: Path, *, max_bytes: int, max_age_s: float) -> None:
    """Remove logs that are too old, then the oldest until the rest fits.

    The age is that beside the newest log, since the clock may be far ahead.
    """
    logs = sorted(
        ((file.stat(), file) for file in folder.glob("*.log*")),
        key=lambda pair: pair[0].st_mtime,
        reverse=True,
    )
    total, newest = 0, max((status.st_mtime for status, _ in logs), default=0.0)
    for status, file in logs:
        total += status.st_size
        if total > max_bytes or min(time.time(), newest) - status.st_mtime > max_age_s:
            file.unlink(missing_ok=True)


def trim(log: Path, *, max_bytes: int = MOST_LOG_BYTES) -> bool:
    """Cut a log that is too long to its newest half; return True if it was. Raises OSError.

    Whoever appends to it goes on; lines that are written meanwhile may be lost.
    """
    try:
        file = log.open("r+b")
    except FileNotFoundError:
        return False
    with file:
        size = file.seek(0, os.SEEK_END)
        if size <= max_bytes:
            return False
        file.seek(size - max_bytes // 2)
        kept = file.read(max_bytes).partition(b"\n")[2]
        file.truncate(0)
    with log.open("ab") as file:
        file.write(kept)
    return True


def is_newer(path: Path, at: float) -> bool:
    """Return True for a file that holds something written after `at`, seconds since the epoch."""
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_size > 0 and status.st_mtime >= at > 0


def tail(path: Path, max_bytes: int) -> str:
    """Return the end of a text file, from the start of a line; empty when there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max_bytes))
            data = file.read()
    except FileNotFoundError:
        return ""
    if size > max_bytes:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace")


def _stamp(folder: Path) -> str:
    """Return digits that sort behind those of every name there, though the clock was set back."""
    newest = max((int(f.name[:20]) for f in folder.iterdir() if f.name[:20].isdecimal()), default=0)
    return f"{max(time.time_ns(), newest + 1):020d}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
