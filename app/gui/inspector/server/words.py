"""What the page of a server says about its state, in words."""

import time
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from app.gui import format as fmt
from app.gui.mirror import Mirror
from app.wire.nouns import Phase, Server, ServerState


def _tr(text: str) -> str:
    return QCoreApplication.translate("ServerPage", text)


class StateWord(NamedTuple):
    """A state in a word, its palette tokens, and since when."""

    text: str
    ink: str
    tint: str
    since: str


_WORDS: dict[ServerState, tuple[str, str, str]] = {
    ServerState.STALLED: ("Stalled", "bad", "bads"),
    ServerState.BACKING_OFF: ("Starting again", "warn", "warns"),
    ServerState.READY: ("Ready", "ok", "oks"),
    ServerState.BUSY: ("Generating", "acc", "accs"),
    ServerState.STARTING: ("Starting", "warn", "warns"),
    ServerState.STOPPING: ("Stopping", "tx2", "chip"),
    ServerState.STOPPED: ("Stopped", "tx2", "chip"),
    ServerState.FAILED: ("Failed", "bad", "bads"),
}


def state_word(server: Server | None, mirror: Mirror) -> StateWord:
    """Return the state of a server; without the engine much of it is unknown."""
    if server is None:
        return StateWord(_tr("Not started"), "tx2", "chip", "")
    word, ink, tint = _WORDS[server.state]
    series = mirror.series.get(server.id)
    if server.state is ServerState.READY and series and series.latest("requests_open"):
        word, ink, tint = _WORDS[ServerState.BUSY]
    elif server.state is ServerState.STARTING and server.phase is Phase.LOADING:
        word = "Loading model"
    if mirror.is_stale and server.state.is_active:
        return StateWord(_tr("Unknown"), "tx2", "chip", "")
    return StateWord(_tr(word), ink, tint, _since(server))


def _since(server: Server) -> str:
    now = time.time()
    match server.state:
        case ServerState.READY | ServerState.BUSY:
            begin = server.ready_at or server.started_at or server.state_since
            return _tr("up for {time}").format(time=fmt.duration(now - begin))
        case ServerState.STARTING if server.progress is not None:
            return f"{server.progress:.0%}"
        case ServerState.STOPPED | ServerState.FAILED:
            return fmt.ago(now - server.state_since)
        case _:
            return _tr("for {time}").format(time=fmt.duration(now - server.state_since))


def clock(at: float) -> str:
    """Return a time of today as `18:03:12`, an older one with its day."""
    moment = time.localtime(at)
    if moment[:3] == time.localtime()[:3]:
        return time.strftime("%H:%M:%S", moment)
    return time.strftime("%d %b %H:%M", moment)


def is_serving(server: Server | None) -> bool:
    """Return True when requests can be sent to the server."""
    return server is not None and server.state.serves
