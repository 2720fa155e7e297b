"""Documents on disk: a crash leaves the old or the new version, never half of one."""

import contextlib
import glob
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

KEPT_VERSIONS = 10


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace the file's content durably. Raises OSError, with the old content untouched."""
    path.parent.mkdir(parents=True, exist_ok=True)
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
    folder.mkdir(parents=True, exist_ok=True)
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
    trash.mkdir(parents=True, exist_ok=True)
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
    path.parent.mkdir(parents=True, exist_ok=True)
    found.replace(path)
    _sync_folder(path.parent)


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
    """Remove logs that are too old, then the oldest until the rest fits."""
    logs = sorted(
        ((file.stat(), file) for file in folder.glob("*.log*")),
        key=lambda pair: pair[0].st_mtime,
        reverse=True,
    )
    total = 0
    for status, file in logs:
        total += status.st_size
        if total > max_bytes or time.time() - status.st_mtime > max_age_s:
            file.unlink(missing_ok=True)


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
