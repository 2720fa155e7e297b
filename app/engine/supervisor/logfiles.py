"""The log files of servers: one for each run, bounded while it runs, kept and removed by rule.

`p.log` is the present run, `p.log.1` to `p.log.3` are earlier ones, `p.log.0` is the earlier part
of a present run that was cut, and `p.log.crash` is the last run that ended in a crash.
"""

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from app import files, paths

_log = logging.getLogger("server")
MAX_BYTES = 20_000_000
KEPT_RUNS = 3
_COPY_BYTES = 1 << 20
_PART = ".0"
_CRASH = ".crash"
_NAME = re.compile(r"(.+)\.log(?:\.\d|\.crash(?:\.0)?)?")


def log_file(server_id: str) -> Path:
    """Return where a server's log is written."""
    return _folder() / f"{server_id}.log"


def parts_of(log: Path, run: str) -> tuple[Path, ...]:
    """Return the files of a run, oldest first: the present one (``), `1` to `3`, or `crash`."""
    if run.isdecimal():
        return (_beside(log, f".{run}"),)
    base = f".{run}" if run else ""
    return (_beside(log, base + _PART), _beside(log, base))


def begin(log: Path) -> None:
    """Make room for the log of a new run. Raises OSError."""
    files.make_folder(log.parent)
    _beside(log, _PART).unlink(missing_ok=True)
    files.rotate(log, keep=KEPT_RUNS)


def end_clean(log: Path) -> None:
    """Keep the last three runs, of which the one that has just ended is the newest."""
    files.discard(_beside(log, f".{KEPT_RUNS}"))


def keep_crash(log: Path) -> None:
    """Keep the log of a run that crashed, in the place of an earlier crash's; logs a failure."""
    for part in ("", _PART):
        source, kept = _beside(log, part), _beside(log, _CRASH + part)
        try:
            kept.unlink(missing_ok=True)
            if source.exists():
                _link(source, kept)
        except OSError as error:
            _log.warning("the log of a crash could not be kept: %s", error)


def drop_crash(log: Path) -> None:
    """Remove the kept log of a crash."""
    for part in ("", _PART):
        files.discard(_beside(log, _CRASH + part))


def remove(log: Path) -> None:
    """Remove all logs of a server."""
    files.remove_rotated(log)
    drop_crash(log)


def shorten(log: Path, *, max_bytes: int = MAX_BYTES) -> bool:
    """Move what is in a log to its earlier part when it is too long; return True if it was.

    The server goes on writing to the same file: it appends, so that truncating leaves no hole.
    Lines that it writes between the last read and the truncation are lost. Raises OSError.
    """
    try:
        source = log.open("r+b")
    except FileNotFoundError:
        return False
    part = _beside(log, _PART)
    with source:
        size = os.fstat(source.fileno()).st_size
        if size <= max_bytes:
            return False
        with part.open("wb") as target:
            part.chmod(0o600)
            # Of a flood the newest lines only, or the bound would be none.
            source.seek(size - max_bytes)
            left = 2 * max_bytes
            while left > 0 and (data := source.read(min(left, _COPY_BYTES))):
                left -= target.write(data)
        # The open file, not the name: that may belong to the next run by now.
        source.truncate(0)
    return True


def shorten_all(logs: Collection[Path]) -> None:
    """Shorten those that are too long, and workers' logs. Blocks up to 0.1 s for each of them."""
    for log, cut in [
        *((log, shorten) for log in logs),
        *((w, files.trim) for w in paths.worker_logs()),
    ]:
        try:
            if cut(log):
                _log.info("the log %s was cut", log.name)
        except OSError as error:
            _log.warning("the log %s could not be cut: %s", log.name, error)


def tail(log: Path, max_bytes: int) -> str:
    """Return the end of the present run's log, from the start of a line."""
    text = files.tail(log, max_bytes)
    left = max_bytes - len(text.encode())
    earlier = files.tail(_beside(log, _PART), left) if left > 0 else ""
    return earlier + text


def sweep(known: Collection[str]) -> None:
    """Remove the logs of servers that no profile has any more."""
    with contextlib.suppress(FileNotFoundError):
        for file in list(_folder().iterdir()):
            match = _NAME.fullmatch(file.name)
            if match is not None and match[1] not in known:
                files.discard(file)


def _link(source: Path, kept: Path) -> None:
    try:
        # A name of its own, which neither rotation nor the next run touches.
        kept.hardlink_to(source)
    except OSError:
        # Some network volumes know no hard links.
        shutil.copyfile(source, kept)


def _beside(log: Path, suffix: str) -> Path:
    return log.with_name(log.name + suffix)


def _folder() -> Path:
    return paths.logs() / "servers"
