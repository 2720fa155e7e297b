"""The state of a server in one or two words, with the colours that go with it."""

from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from app.wire.errors import ErrorCode
from app.wire.nouns import Phase, Server, ServerState


class Status(NamedTuple):
    """The word in the pill, and the palette tokens of word and tint."""

    word: str
    ink: str
    tint: str


_STATES: dict[ServerState, Status] = {
    ServerState.STALLED: Status("Stalled", "bad", "bads"),
    ServerState.BACKING_OFF: Status("Starting again", "warn", "warns"),
    ServerState.READY: Status("Ready", "ok", "oks"),
    ServerState.BUSY: Status("Generating", "acc", "accs"),
    ServerState.STARTING: Status("Starting", "warn", "warns"),
    ServerState.STOPPING: Status("Stopping", "tx2", "chip"),
    ServerState.STOPPED: Status("Stopped", "tx2", "chip"),
    ServerState.FAILED: Status("Failed", "bad", "bads"),
}
_LOADING = Status("Loading model", "warn", "warns")
_REFUSED = Status("Not started", "warn", "warns")
_UNKNOWN = Status("Unknown", "tx2", "chip")


def status(server: Server, requests_open: float | None, *, is_live: bool) -> Status:
    """Return the state of a server; without the engine much of it is unknown."""
    found = _STATES[server.state]
    if server.state is ServerState.READY and requests_open:
        found = _STATES[ServerState.BUSY]
    elif server.state is ServerState.STARTING and server.phase is Phase.LOADING:
        found = _LOADING
    elif was_refused(server):
        found = _REFUSED
    if not is_live:
        found = _UNKNOWN if server.state.is_active else Status(found.word, "tx2", "chip")
    return found._replace(word=QCoreApplication.translate("ServerTile", found.word))


def was_refused(server: Server) -> bool:
    """Return True for a server that was not started because the memory would not do."""
    failure = server.failure
    is_off = server.state is ServerState.FAILED
    return is_off and failure is not None and failure.code is ErrorCode.NO_ROOM


def stop_reason(server: Server) -> str:
    """Return why a server ends or has ended when nobody asked for it; else empty."""
    is_off = server.state in (ServerState.STOPPING, ServerState.STOPPED)
    return server.stop_reason if is_off else ""
