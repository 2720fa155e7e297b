"""Whether the last run of a program ended in order: a note while it lives, removed at its end."""

import contextlib
import ctypes
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from app import __version__, files, paths


class Cause(Enum):
    """How a run ended that did not end in order."""

    DIED = "died"
    """It crashed or was killed."""
    COMPUTER = "computer"
    """The computer was switched off, or started anew, under it."""


@dataclass(frozen=True)
class BadEnd:
    """A run that did not end in order."""

    cause: Cause
    pid: int
    started_at: float
    """Seconds since the epoch; 0 when the note could not be read."""
    version: str


class Ending:
    """The note of one program, `app` or `engine`, of this home.

    Only who holds the home's lock for this program may use it: a note that is found then is of a
    run that is over.
    """

    def __init__(self, program: str, *, boot: Callable[[], str] | None = None) -> None:
        self._path = _path(program)
        self._boot = boot or _boot_id

    def begin(self, pid: int) -> BadEnd | None:
        """Leave a note, and return how the last run ended if that was bad. Raises OSError."""
        found = self.last()
        note = {"pid": pid, "boot": self._boot(), "started_at": time.time(), "version": __version__}
        files.write_atomically(self._path, json.dumps(note), mode=0o600)
        return found

    def end(self) -> None:
        """Take the note away: this run has ended in order. Raises OSError."""
        self._path.unlink(missing_ok=True)

    def last(self) -> BadEnd | None:
        """Return how the last run ended if that was bad. Raises OSError."""
        boot = self._boot()
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        # Not msgspec: the window shows itself before anything that takes long to load.
        try:
            note = json.loads(data)
            cause = Cause.DIED if note["boot"] == boot else Cause.COMPUTER
            return BadEnd(cause, int(note["pid"]), float(note["started_at"]), str(note["version"]))
        except (ValueError, LookupError, TypeError, RecursionError):
            # Its bytes did not reach the disk; that it is there says enough.
            return BadEnd(Cause.COMPUTER, 0, 0.0, "")


def _path(program: str) -> Path:
    return paths.run() / f"{program}.alive"


def _boot_id() -> str:
    """Return a word that is another one after each start of the computer; empty when unknown."""
    if sys.platform == "darwin":
        return _mac_boot_id()
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _mac_boot_id() -> str:
    size = ctypes.c_size_t(64)
    buffer = ctypes.create_string_buffer(size.value)
    with contextlib.suppress(OSError, AttributeError):
        system = ctypes.CDLL(None)
        if system.sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0) == 0:
            return buffer.value.decode("ascii", "replace")
    return ""
