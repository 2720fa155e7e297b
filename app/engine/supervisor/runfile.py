"""A file for each live server, so that the next engine finds what a crash left behind.

The pipes end every server with its owner; this is for the case that they could not.
"""

import contextlib
import logging
import os
import secrets
import signal
import time
from collections.abc import Collection
from enum import Enum
from pathlib import Path

import msgspec
import psutil

from app import files, paths
from app.wire.reading import read_json

_log = logging.getLogger("server")
ID_FLAG = "--run-id"
ID_VARIABLE = "MLX_MANAGER_RUN_ID"
"""The same word in the environment: a server's children have it, too."""
_PATIENCE_S = 10.0
"""A runner without an owner ends itself within 8 s."""
_KILL_S = 5.0
_LOOK_S = 0.05
_CLOCK_SLACK_S = 2.0
"""Creation times are rounded differently by different readers."""


class RunFile(msgspec.Struct, frozen=True):
    """What proves that a process is a server of ours."""

    server_id: str
    pid: int
    created: float
    """When the process was created, seconds since the epoch."""
    run_id: str
    """A random word in the arguments of the process."""
    port: int | None = None


def new_run_id() -> str:
    """Return a word that no other process has in its arguments."""
    return secrets.token_hex(16)


def write(server_id: str, pid: int, run_id: str, port: int | None) -> RunFile | None:
    """Record a live server; None when that fails, which is logged. Blocks for some milliseconds."""
    try:
        record = RunFile(server_id, pid, psutil.Process(pid).create_time(), run_id, port)
        text = msgspec.json.encode(record).decode()
        files.write_atomically(_path(server_id), text, mode=0o600)
    except psutil.NoSuchProcess:
        _log.info("server %s ended before its run file was written", server_id)
        return None
    except (OSError, psutil.Error) as error:
        _log.warning("server %s: no run file could be written (%s)", server_id, error)
        return None
    return record


def remove(server_id: str) -> None:
    """Forget a server that is gone."""
    files.discard(_path(server_id))


def reap_leftovers() -> list[str]:
    """End every process that a run file proves to be ours; return the ids of their servers.

    Blocks up to 15 s. A process that only shares the number is never signalled.
    """
    found: list[RunFile] = []
    for path in sorted(_folder().glob("*.json")):
        try:
            record = read_json(path.read_bytes(), RunFile)
        except (OSError, msgspec.DecodeError):
            record = None
        if record is not None and members(record):
            _log.warning("server %s was left over as process %d", record.server_id, record.pid)
            found.append(record)
        files.discard(path)
    end(*found, patience_s=_PATIENCE_S)
    files.sweep_temporaries(_folder(), older_than_s=0.0)
    return [record.server_id for record in found]


class _Leader(Enum):
    """What has the process id of a run file now."""

    OURS = "ours"
    ENDING = "ending"
    """Most likely ours, and past every signal: it still gives its memory and its port back."""
    GONE = "gone"
    STRANGER = "stranger"


def members(record: RunFile) -> list[psutil.Process]:
    """Return what still lives of a server's process group and is proved to be ours."""
    if not _group_exists(record.pid):
        return []
    leader = _leader(record)
    if leader is _Leader.STRANGER:
        return []
    led_by_ours = leader is _Leader.OURS
    return [
        process
        for process in psutil.process_iter()
        if _is_member(process, record.pid) and (led_by_ours or _has_run_id(process, record))
    ]


def end(*records: RunFile, patience_s: float) -> bool:
    """Ask what lives of these servers to end, then kill it; return True when nothing is left.

    Blocks up to `patience_s` and 5 s more.
    """
    _signal(records, signal.SIGTERM)
    if _wait_gone(records, patience_s):
        return True
    _signal(records, signal.SIGKILL)
    return _wait_gone(records, _KILL_S)


def _wait_gone(records: Collection[RunFile], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while any(members(r) or _leader(r) is _Leader.ENDING for r in records):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)
    return True


def _signal(records: Collection[RunFile], number: signal.Signals) -> None:
    # One by one, since psutil looks at the birth of each once more; a group has no such proof.
    for record in records:
        for process in members(record):
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _leader(record: RunFile) -> _Leader:
    try:
        process = psutil.Process(record.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return _Leader.GONE
        if abs(process.create_time() - record.created) >= _CLOCK_SLACK_S:
            return _Leader.STRANGER
        words = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return _Leader.GONE
    except psutil.Error:
        return _Leader.STRANGER
    if f"{ID_FLAG}={record.run_id}" in words:
        return _Leader.OURS
    # A killed process loses its arguments first, and is no zombie until its memory is given back:
    # half a second for 1.5 GB.
    return _Leader.STRANGER if words else _Leader.ENDING


def _is_member(process: psutil.Process, group: int) -> bool:
    try:
        in_group = os.getpgid(process.pid) == group
        return in_group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ProcessLookupError, PermissionError):
        return False


def _has_run_id(process: psutil.Process, record: RunFile) -> bool:
    try:
        is_younger = process.create_time() > record.created - _CLOCK_SLACK_S
        return is_younger and process.environ().get(ID_VARIABLE) == record.run_id
    except (psutil.Error, OSError):
        return False


def _folder() -> Path:
    return paths.run() / "servers"


def _path(server_id: str) -> Path:
    return _folder() / f"{server_id}.json"
