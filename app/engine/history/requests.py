"""Requests in the database, one row each."""

import contextlib
import sqlite3
from collections.abc import Sequence

import msgspec

from app.wire.requests import RequestRecord

MAX_ROWS = 50_000
_DAY_S = 86_400.0
_COLUMNS = (
    "id", "at", "client", "server", "profile", "model", "state", "prompt_tokens",
    "completion_tokens", "ttft_s", "duration_s", "tokens_per_s", "is_stream", "error",
    "kind", "key",
)  # fmt: skip
_INSERT = (
    f"INSERT OR REPLACE INTO requests ({', '.join(_COLUMNS)}) "  # noqa: S608 - fixed names
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM requests "  # noqa: S608 - fixed names


def write(link: sqlite3.Connection, records: Sequence[RequestRecord]) -> None:
    """Add requests that have ended."""
    link.executemany(_INSERT, [[getattr(r, name) for name in _COLUMNS] for r in records])


def prune(link: sqlite3.Connection, now: float, days: int) -> None:
    """Remove what is older than `days`, with 0 all, and the oldest of more than MAX_ROWS."""
    link.execute("DELETE FROM requests WHERE at < ? OR ? = 0", (now - days * _DAY_S, days))
    link.execute(
        "DELETE FROM requests WHERE id <= "
        "(SELECT id FROM requests ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (MAX_ROWS,),
    )


def read(
    link: sqlite3.Connection, *, count: int, server: str | None, before: int | None
) -> list[RequestRecord]:
    """Return the last requests with an id below `before`, the newest first."""
    rows = link.execute(
        f"{_SELECT} WHERE (:server IS NULL OR server = :server) "
        "AND (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :count",
        {"server": server, "before": before, "count": count},
    )
    pairs = (dict(zip(_COLUMNS, row, strict=True)) for row in rows)
    found: list[RequestRecord] = []
    for pair in pairs:
        # A bit that turned on the disk costs its row, not the list.
        with contextlib.suppress(msgspec.ValidationError):
            found.append(msgspec.convert(pair, RequestRecord, strict=False))
    return found


def newest(link: sqlite3.Connection) -> float | None:
    """Return the time of the newest request, None when there is none."""
    return link.execute("SELECT max(at) FROM requests").fetchone()[0]


def last_id(link: sqlite3.Connection) -> int:
    """Return the largest id, 0 when there is none."""
    return link.execute("SELECT max(id) FROM requests").fetchone()[0] or 0
