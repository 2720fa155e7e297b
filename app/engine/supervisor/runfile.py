"""A file for each live server, so that the next engine finds what a crash left behind.

The pipes end every server with its owner; this is for the case that they could not.
"""

import contextlib
import logging
import os
import secrets
import signal
import time
from pathlib import Path

import msgspec
import psutil

from app import files, paths

_log = logging.getLogger("server")
ID_FLAG = "--run-id"
_PATIENCE_S = 5.0
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


def write(server_id: str, pid: int, run_id: str, port: int | None) -> None:
    """Record a live server. Blocks for a few milliseconds; failing is logged, not raised."""
    try:
        record = RunFile(server_id, pid, psutil.Process(pid).create_time(), run_id, port)
        text = msgspec.json.encode(record).decode()
        files.write_atomically(_path(server_id), text, mode=0o600)
    except (OSError, psutil.Error) as error:
        _log.warning("server %s: no run file could be written (%s)", server_id, error)


def remove(server_id: str) -> None:
    """Forget a server that is gone."""
    _path(server_id).unlink(missing_ok=True)


def reap_leftovers() -> list[str]:
    """End every process that a run file proves to be ours; return the ids of their servers.

    Blocks up to 6 s. A process that only shares the number is never signalled.
    """
    ended: list[str] = []
    for path in sorted(_folder().glob("*.json")):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=RunFile)
        except (OSError, msgspec.DecodeError):
            record = None
        if record is not None and is_ours(record):
            _log.warning("server %s was left over as process %d", record.server_id, record.pid)
            _end_group(record.pid)
            ended.append(record.server_id)
        path.unlink(missing_ok=True)
    return ended


def is_ours(record: RunFile) -> bool:
    """Return True when the process still is the one that the file was written for."""
    try:
        process = psutil.Process(record.pid)
        same_birth = abs(process.create_time() - record.created) < _CLOCK_SLACK_S
        return same_birth and f"{ID_FLAG}={record.run_id}" in process.cmdline()
    except psutil.Error:
        return False


def _end_group(pid: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGTERM)
        while time.monotonic() < deadline and _has_members(pid):
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)


def _has_members(group: int) -> bool:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def _folder() -> Path:
    return paths.run() / "servers"


def _path(server_id: str) -> Path:
    return _folder() / f"{server_id}.json"
