"""The database file: opened, set aside when it is torn, replaced by memory when it is unusable."""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from app import files

_log = logging.getLogger("store")
_T = TypeVar("_T")
_VERSION = 2
_BUSY_S = 5.0
_TEXTS = """
CREATE TABLE texts (
    id INTEGER PRIMARY KEY, prompt TEXT NOT NULL, answer TEXT NOT NULL, is_cut INTEGER NOT NULL,
    size INTEGER NOT NULL
);
"""
_SCHEMA = f"""
{_TEXTS}
CREATE TABLE figures (
    step INTEGER NOT NULL, at INTEGER NOT NULL, server TEXT NOT NULL,
    samples INTEGER NOT NULL, "values" TEXT NOT NULL,
    PRIMARY KEY (step, at, server)
) WITHOUT ROWID;
CREATE TABLE requests (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, client TEXT NOT NULL, server TEXT NOT NULL,
    profile TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,
    prompt_tokens INTEGER, completion_tokens INTEGER, ttft_s REAL, duration_s REAL,
    tokens_per_s REAL, is_stream INTEGER NOT NULL, error TEXT, kind TEXT,
    "key" TEXT NOT NULL DEFAULT ''
);
CREATE INDEX requests_of_a_server ON requests (server, id);
CREATE INDEX requests_by_time ON requests (at);
"""
_FROM_1 = f"""
ALTER TABLE requests ADD COLUMN kind TEXT;
ALTER TABLE requests ADD COLUMN "key" TEXT NOT NULL DEFAULT '';
{_TEXTS}"""
_NEEDED = (
    'SELECT step, at, server, samples, "values" FROM figures LIMIT 0',
    """
    SELECT id, at, client, server, profile, model, state, prompt_tokens, completion_tokens,
        ttft_s, duration_s, tokens_per_s, is_stream, error, kind, "key" FROM requests LIMIT 0
    """,
    "SELECT id, prompt, answer, is_cut, size FROM texts LIMIT 0",
)
_TORN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class BusyError(Exception):
    """Another program holds the database; the work may be tried again."""


class _UnusableFileError(Exception):
    """Another version of the app made the file, or what is in it does not fit together."""


class Database:
    """One connection, which callers in several threads take turns at. Every method blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A task that is cancelled lets its thread go on: closed meanwhile, SQLite reads what is
        # freed and the process ends.
        self._turn = threading.Lock()
        self._link: sqlite3.Connection | None = None
        self.problem = ""
        """The last trouble with the file, in words."""

    def work(self, job: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what `job` returns; it runs in one transaction. Raises BusyError.

        Trouble with the file is a warning: the job then runs on a new file or in memory.
        """
        with self._turn:
            return self._work(job)

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._drop()

    def _work(self, job: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return self._attempt(job)
        except sqlite3.ProgrammingError:
            raise
        except _UnusableFileError as error:
            self._set_aside(str(error))
        except UnicodeDecodeError:
            # The sentence of an error that quotes a damaged schema.
            self._drop()
            self._set_aside("its tables are damaged")
        except sqlite3.DatabaseError as error:
            # Errors of the module itself, such as text that cannot be read, have no code.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise BusyError from error
            self._drop()
            if code in _TORN:
                self._set_aside(str(error))
            else:
                self._use_memory(str(error))
        try:
            return self._attempt(job)
        except sqlite3.DatabaseError as error:
            self._use_memory(str(error))
        return self._attempt(job)

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(sqlite3.Error):
                link.close()

    def _attempt(self, job: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._link is None:
            self._link = self._open()
        with self._link:
            return job(self._link)

    def _open(self) -> sqlite3.Connection:
        with contextlib.suppress(OSError):
            # Who used which model from where is nobody else's business.
            self._path.touch(mode=0o600)
        link = _connect(str(self._path))
        try:
            version = _version(link)
            # Readers and the writer do not wait for each other, and a commit needs no fsync.
            link.execute("PRAGMA journal_mode = WAL")
            link.execute("PRAGMA synchronous = NORMAL")
            # A text that was deleted is not to be found in the file.
            link.execute("PRAGMA secure_delete = ON")
            if version == 0:
                _create(link)
            elif version == 1:
                _run(link, _FROM_1)
            _check(link)
        except BaseException:
            link.close()
            raise
        return link

    def _set_aside(self, reason: str) -> None:
        try:
            aside = files.set_aside(self._path)
            # What was not yet in the file itself belongs to it; the index can be made again.
            with contextlib.suppress(FileNotFoundError):
                _beside(self._path, "-wal").replace(_beside(aside, "-wal"))
            _beside(self._path, "-shm").unlink(missing_ok=True)
        except OSError as error:
            self._use_memory(error.strerror or str(error))
            return
        self._tell(
            f"The history could not be read ({reason}); it begins anew, and the old file is kept "
            f"as {aside.name}."
        )

    def _use_memory(self, reason: str) -> None:
        self._drop()
        self._link = _connect(":memory:")
        _create(self._link)
        self._tell(
            "The history of figures and requests is not saved until the engine's next start: "
            f"{self._path.name} cannot be used ({reason})."
        )

    def _tell(self, sentence: str) -> None:
        _log.warning("%s", sentence)
        self.problem = sentence


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _connect(place: str) -> sqlite3.Connection:
    # Used by one thread at a time, but not always by the same one.
    link = sqlite3.connect(place, timeout=_BUSY_S, check_same_thread=False)
    # A damaged letter must not make the row, and all rows around it, unreadable.
    link.text_factory = _readable
    return link


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _version(link: sqlite3.Connection) -> int:
    """Return 0 for a new file, or the version. Raises _UnusableFileError for a strange one."""
    version: int = link.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= _VERSION:
        raise _UnusableFileError(f"its version is {version}")
    return version


def _check(link: sqlite3.Connection) -> None:
    """Raise _UnusableFileError when pages are damaged; takes some 40 ms for 10 MB.

    Without this a damaged page is met days later, amid a write.
    """
    # Not quick_check, which takes half the time but passes rows that are out of their order: a
    # search then ends before it reaches what is written after them.
    found: str = link.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise _UnusableFileError("its pages are damaged")
    try:
        # A name that was hit is sound in itself, and yet no query finds it.
        for query in _NEEDED:
            link.execute(query)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR:
            raise _UnusableFileError("its tables are damaged") from error
        raise


def _create(link: sqlite3.Connection) -> None:
    _run(link, _SCHEMA)


def _run(link: sqlite3.Connection, script: str) -> None:
    link.executescript(f"BEGIN; {script} PRAGMA user_version = {_VERSION}; COMMIT;")
