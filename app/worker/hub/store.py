"""Details that were looked up before, on this disk, by model and date of its last change."""

import logging
import sqlite3
import threading
import time
from pathlib import Path

import msgspec

from app.wire.hub import HubDetails, HubModel
from app.wire.reading import read_json

_log = logging.getLogger("hub")
_VERSION = 3
"""Raised when HubDetails changes; older files are made anew."""
_MOST_ROWS = 2_000
FRESH_S = 300.0
"""For so long the hub is not asked again for the same model."""


class Store:
    """A cache that may vanish at any time: every trouble with it is a miss."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db = self._open()

    def get(self, repo_id: str, *, fresh: bool = False) -> HubDetails | None:
        """Return what is known of a model; fresh: only when the hub need not be asked again."""
        oldest = time.time() - FRESH_S if fresh else 0.0
        return self._read("SELECT body FROM details WHERE id = ? AND at >= ?", (repo_id, oldest))

    def same(self, model: HubModel) -> HubDetails | None:
        """Return what is known of a model if it has not changed since."""
        return self._read(
            "SELECT body FROM details WHERE id = ? AND updated_at = ?",
            (model.id, model.updated_at),
        )

    def put(self, details: HubDetails, *, is_fresh: bool = True) -> None:
        """Remember a model; is_fresh: False when its card has not been looked at yet."""
        body = msgspec.json.encode(details)
        at = time.time() if is_fresh else time.time() - FRESH_S
        row = (details.model.id, details.model.updated_at, at, body)
        with self._lock:
            if self._db is None:
                return
            try:
                with self._db:
                    self._db.execute("INSERT OR REPLACE INTO details VALUES (?, ?, ?, ?)", row)
                    self._db.execute(
                        "DELETE FROM details WHERE id IN "
                        "(SELECT id FROM details ORDER BY at DESC LIMIT -1 OFFSET ?)",
                        (_MOST_ROWS,),
                    )
            except sqlite3.Error as error:
                self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _read(self, query: str, values: tuple[object, ...]) -> HubDetails | None:
        with self._lock:
            if self._db is None:
                return None
            try:
                row = self._db.execute(query, values).fetchone()
                found = read_json(row[0], HubDetails) if row else None
                # A damaged index leads to the row of another model.
                if found is None or found.model.id == values[0]:
                    return found
                _log.warning("a row of %s is of another model", self._path)
            except sqlite3.Error as error:
                self._give_up(error)
            except (msgspec.DecodeError, TypeError) as error:
                _log.warning("a row of %s makes no sense: %s", self._path, error)
        return None

    def _open(self) -> sqlite3.Connection | None:
        for _ in range(2):
            try:
                return _connect(self._path)
            except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
                # The last: an error of the database that quotes damaged text.
                _log.warning("%s cannot be used and is made anew: %s", self._path, error)
                self._remove()
        return None

    def _give_up(self, error: sqlite3.Error) -> None:
        _log.warning("%s is not used any more: %s", self._path, error)
        if self._db is not None:
            self._db.close()
        self._db = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        ):
            self._remove()
            self._db = self._open()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            try:
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            except OSError as error:
                _log.warning("%s cannot be removed: %s", self._path, error)


def _connect(path: Path) -> sqlite3.Connection:
    # One lock guards the connection, so threads may share it.
    db = sqlite3.connect(path, timeout=2.0, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            with db:
                db.execute("DROP TABLE IF EXISTS details")
                db.execute(
                    "CREATE TABLE details "
                    "(id TEXT PRIMARY KEY, updated_at REAL, at REAL, body BLOB)"
                )
                db.execute(f"PRAGMA user_version = {_VERSION:d}")
        db.execute("SELECT id, updated_at, at, body FROM details LIMIT 1").fetchone()
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages are damaged")
    except (sqlite3.Error, UnicodeDecodeError):
        db.close()
        raise
    return db
