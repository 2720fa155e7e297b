"""Why a server ended, in words for the user."""

import signal
from pathlib import Path

import msgspec

from app.engine.supervisor import logfiles
from app.wire.child import Exited
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Failure

_TAIL_LINES = 12
_TAIL_BYTES = 32_768
_FATAL = "Fatal Python error: "
"""As faulthandler writes it, with up to a hundred lines of stack and all extensions after it."""
_SIGNALS = {
    signal.SIGSEGV: "crashed: it used memory that is not its own",
    signal.SIGBUS: "crashed: a part of its memory or of the model's file could not be read",
    signal.SIGILL: "crashed: this processor does not know one of its instructions",
    signal.SIGFPE: "crashed in a calculation",
    signal.SIGTRAP: "crashed on a check of its own",
    signal.SIGABRT: "gave up on an error inside a library",
    signal.SIGTERM: "was asked to end by another program",
    signal.SIGINT: "was asked to end by another program",
    signal.SIGHUP: "was asked to end by another program",
    signal.SIGXCPU: "was ended by the system: it used its share of processor time",
}
_STATUSES = {
    0: "ended by itself without an error",
    1: "ended by an error",
    2: "did not understand its options",
    126: "could not be run: its program is not executable",
    127: "could not be run: its program was not found",
}
_GPU_MEMORY = ("insufficient memory", "kiogpucommandbuffercallbackerroroutofmemory")

_SHORT_SHARE = 0.1
"""Systems begin to kill for memory while this share of it is still counted as free."""

HEALING = frozenset(
    {
        ErrorCode.SERVER_CRASHED,
        ErrorCode.OUT_OF_MEMORY,
        ErrorCode.SERVER_STALLED,
        ErrorCode.PORT_BUSY,
    }
)
"""Failures that another start can heal; a broken model stays broken."""


def stalled(name: str, silent_s: float) -> Failure:
    """Return the failure of a server that generates nothing any more."""
    what = f" for {silent_s:.0f} s" if silent_s else ""
    return Failure(
        ErrorCode.SERVER_STALLED,
        f"“{name}” has generated nothing{what}, though it runs.",
        "Restart it. Open requests are lost.",
    )


def bug() -> Failure:
    """Return the failure of a server whose supervision went wrong."""
    return Failure(ErrorCode.INTERNAL, "An error in the app ended this server.")


def from_error(error: AppError) -> Failure:
    """Return the failure that an expected error means."""
    return Failure(error.code, error.message, error.hint)


def from_os_error(error: OSError) -> Failure:
    """Return the failure of a process that could not be started."""
    return Failure(
        ErrorCode.SERVER_CRASHED,
        f"The server could not be started: {error.strerror or error}.",
        "Free some memory or disk space, then start it again.",
    )


def from_exit(end: Exited | None, log: Path, free_share: float | None = None) -> Failure:
    """Return the failure that an unexpected end means, with the last lines of the log.

    free_share: how much of the machine's memory was free before, 0 to 1; None if not known.
    """
    lines = last_lines(log)
    text = "\n".join(lines).lower()
    if any(part in text for part in _GPU_MEMORY):
        failure = Failure(
            ErrorCode.OUT_OF_MEMORY,
            "The GPU ran out of memory.",
            "Stop another server, or choose a smaller model or fewer parallel answers.",
        )
    elif end is None:
        failure = Failure(
            ErrorCode.SERVER_CRASHED,
            "The server's guard was ended by another program, and the server with it.",
            "Start it again.",
        )
    elif end.signal == signal.SIGKILL:
        failure = _killed(free_share)
    else:
        failure = Failure(
            ErrorCode.SERVER_CRASHED, f"The server {_how(end)}.", "The log has the details."
        )
    return with_log(failure, log)


def _killed(free_share: float | None) -> Failure:
    if free_share is not None and free_share < _SHORT_SHARE:
        return Failure(
            ErrorCode.OUT_OF_MEMORY,
            "The server was killed from outside (signal 9), probably because memory ran out.",
            "Stop another server or choose a smaller model, then start it again.",
        )
    known = f"; {free_share:.0%} of the memory was free" if free_share is not None else ""
    return Failure(
        ErrorCode.SERVER_CRASHED,
        f"The server was killed from outside (signal 9), by a program or by hand{known}.",
        "Start it again.",
    )


def with_log(failure: Failure, log: Path) -> Failure:
    """Return the failure with the last lines of the log."""
    return msgspec.structs.replace(failure, log_tail=tuple(last_lines(log)))


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log that say something."""
    # Of the stack below a fatal error the log has more than enough; what led there is above it.
    text = logfiles.tail(log, _TAIL_BYTES)
    above, mark, stack = text.rpartition(_FATAL)
    text = above + mark + stack.partition("\n")[0] if mark else text
    lines = [line.rstrip() for line in text.splitlines()]
    return [line[:400] for line in lines if line][-_TAIL_LINES:]


def gave_up(failure: Failure, restarts: int) -> Failure:
    """Return the failure of a server that is not started again by itself any more."""
    return msgspec.structs.replace(
        failure,
        message=f"{failure.message} It was started again {restarts} times and now stays off.",
    )


def _how(end: Exited) -> str:
    if end.signal is not None:
        try:
            number = signal.Signals(end.signal)
        except ValueError:
            return f"was ended by signal {end.signal}"
        return f"{_SIGNALS.get(number, 'was ended')} (signal {end.signal}, {number.name})"
    return f"{_STATUSES.get(end.code or 0, 'ended by itself')} (exit status {end.code})"
