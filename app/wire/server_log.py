"""A server's log in pieces, and the runs whose logs are kept."""

import msgspec

PRESENT = ""
"""The run that goes on, or was the last one."""
CRASH = "crash"
"""The last run that ended in a crash."""
MAX_PIECE = 2 * 1024 * 1024
"""The most bytes of a log in one answer."""

SIZE_HEADER = "X-Log-Size"
OFFSET_HEADER = "X-Log-Offset"
VERSION_HEADER = "X-Log-Version"


class LogRun(msgspec.Struct, frozen=True):
    """One run of a server whose log is kept."""

    id: str
    """PRESENT, CRASH, or `1` for the run before, `2` for the one before that."""
    size_bytes: int
    ended_at: float
    """When the last line was written, seconds since the epoch."""
    path: str
    """The file, on the engine's computer."""


class LogPiece(msgspec.Struct, frozen=True):
    """Some bytes of a run's log. A line may be cut at either end."""

    data: bytes
    offset: int
    """Where `data` begins."""
    size: int
    """How long the log was."""
    version: str
    """Changes when the text behind an offset is another one: a new run, or a log that was cut."""
