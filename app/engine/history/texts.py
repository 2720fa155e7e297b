"""Prompts and answers in the database, while the user wants them kept."""

import sqlite3
from collections.abc import Sequence

from app.wire.requests import MAX_TEXTS_BYTES, RequestTexts


def write(link: sqlite3.Connection, texts: Sequence[RequestTexts]) -> None:
    """Add texts, and remove the oldest of more than MAX_TEXTS_BYTES."""
    if not texts:
        return
    link.executemany(
        "INSERT OR REPLACE INTO texts (id, prompt, answer, is_cut, size) VALUES (?, ?, ?, ?, ?)",
        [(t.id, t.prompt, t.answer, t.is_cut, _size(t)) for t in texts],
    )
    link.execute(
        "DELETE FROM texts WHERE id <= (SELECT id FROM "
        "(SELECT id, sum(size) OVER (ORDER BY id DESC) AS together FROM texts) "
        "WHERE together > ? ORDER BY id DESC LIMIT 1)",
        (MAX_TEXTS_BYTES,),
    )


def prune(link: sqlite3.Connection) -> None:
    """Remove the texts of requests that are not in the log any more."""
    link.execute("DELETE FROM texts WHERE id NOT IN (SELECT id FROM requests)")


def read(link: sqlite3.Connection, request_id: int) -> RequestTexts | None:
    """Return the texts of a request, None when none are kept."""
    row = link.execute(
        "SELECT id, prompt, answer, is_cut FROM texts WHERE id = ?", (request_id,)
    ).fetchone()
    return None if row is None else RequestTexts(row[0], row[1], row[2], bool(row[3]))


def clear(link: sqlite3.Connection) -> None:
    """Remove all texts."""
    link.execute("DELETE FROM texts")


def forget(link: sqlite3.Connection) -> None:
    """Remove what the journal still has of deleted texts; not within a transaction."""
    link.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _size(texts: RequestTexts) -> int:
    return len((texts.prompt + texts.answer).encode("utf-8", "replace"))
