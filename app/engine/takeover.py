"""Ends the engine of this home that another program has started, and no other process."""

import contextlib
import fcntl
import http
import json
import os
import signal
import time
import urllib.request

import psutil

from app import paths
from app.ending import BadEnd, Cause, Ending
from app.wire.errors import AppError, ErrorCode

_PATIENCE_S = 70.0
"""An engine ends its servers first; one that holds much memory gets a minute for that."""
_SILENT_S = 10.0
"""For an engine that answers nobody, until it is killed."""
_HEALTH_S = 5.0
_LOOK_S = 0.1
_SLACK_S = 2.0
"""Creation times are rounded differently by different readers."""


def end_running() -> None:
    """End the engine whose note lies in this home. Blocks up to 80 s.

    Raises AppError when none is proved to be it, or it does not end.
    """
    if not _is_held():
        return
    note = Ending("engine").last()
    process = None if note is None else _proved(note)
    if process is None:
        raise AppError(
            f"Nothing proves which process is the engine of {paths.home()}, so none is ended.",
            hint="Restart the computer, or end it yourself.",
            code=ErrorCode.ENGINE_GONE,
        )
    _end(process)
    if _is_held():
        raise AppError(f"The engine, process {process.pid}, does not end.")


def _proved(note: BadEnd) -> psutil.Process | None:
    """Return the writer of the note: it was born before it wrote, and nobody can be in its place.

    Who got its number later was born later than the note.
    """
    try:
        process = psutil.Process(note.pid)
        is_older = process.create_time() <= note.started_at + _SLACK_S
        is_ours = process.uids().real == os.getuid() and "engine" in process.cmdline()
    except psutil.Error:
        return None
    return process if note.cause is Cause.DIED and is_older and is_ours else None


def _end(process: psutil.Process) -> None:
    patience_s = _PATIENCE_S if _answers() else _SILENT_S
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
        # It may be suspended, and would not hear the other one.
        process.send_signal(signal.SIGCONT)
        if not _is_let_go(patience_s):
            process.kill()
            _is_let_go(_SILENT_S)


def _is_let_go(timeout_s: float) -> bool:
    """Wait for the lock: a process that nobody waits for keeps its number after its end."""
    deadline = time.monotonic() + timeout_s
    while _is_held():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)
    return True


def _answers() -> bool:
    try:
        url = json.loads(paths.engine_file().read_bytes())["url"]
        with urllib.request.urlopen(f"{url}/health", timeout=_HEALTH_S) as answer:  # noqa: S310 - ours
            return answer.status == http.HTTPStatus.OK
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _is_held() -> bool:
    """Return True while an engine has the lock of this home."""
    try:
        with paths.engine_lock().open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
