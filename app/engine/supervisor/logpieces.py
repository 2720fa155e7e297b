"""Reads the logs of servers in pieces, so that following one costs only what is new."""

import os
from pathlib import Path

from app.engine.supervisor import logfiles
from app.wire.errors import AppError, ErrorCode
from app.wire.server_log import CRASH, PRESENT, LogPiece, LogRun

_RUNS = (PRESENT, *(str(number) for number in range(1, logfiles.KEPT_RUNS + 1)), CRASH)


def runs(log: Path) -> list[LogRun]:
    """Return the runs whose logs are there, the newest first and the crash last.

    The log of a crash is left out while it is also that of another run.
    """
    found: list[LogRun] = []
    seen: set[int] = set()
    for run in _RUNS:
        *_, file = logfiles.parts_of(log, run)
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        # A crash's log is the same file under another name until that run's own name is dropped.
        if status.st_ino not in seen:
            seen.add(status.st_ino)
            size = sum(_size(part) for part in logfiles.parts_of(log, run))
            found.append(LogRun(run, size, status.st_mtime, str(file)))
    return found


def piece(log: Path, run: str, offset: int | None, max_bytes: int) -> LogPiece:
    """Return bytes from `offset` on, or the end of the log when that is None.

    Beyond the end there is nothing. Raises AppError for a run that no log has.
    """
    if run not in _RUNS:
        raise AppError(f"There is no run “{run[:40]}”.", code=ErrorCode.BAD_REQUEST)
    parts = [(part, _size(part)) for part in logfiles.parts_of(log, run)]
    size = sum(length for _, length in parts)
    begin = max(0, size - max_bytes) if offset is None else min(offset, size)
    data = b""
    skip = begin
    for part, length in parts:
        if skip < length and len(data) < max_bytes:
            data += _read(part, skip, min(length - skip, max_bytes - len(data)))
        skip = max(0, skip - length)
    return LogPiece(data, begin, size, _version([part for part, _ in parts]))


def _version(parts: list[Path]) -> str:
    """Return a word for the files behind a log: which they are, and how often one was cut."""
    words: list[str] = []
    for number, part in enumerate(parts, start=1):
        try:
            status = part.stat()
        except FileNotFoundError:
            words.append("-")
            continue
        # The last part only grows; the one before is written anew at each cut.
        is_last = number == len(parts)
        words.append(f"{status.st_ino}" if is_last else f"{status.st_ino}.{status.st_mtime_ns}")
    return "/".join(words)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, offset: int, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset, os.SEEK_SET)
            return file.read(count)
    except FileNotFoundError:
        return b""
