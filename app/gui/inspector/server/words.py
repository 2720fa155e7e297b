"""What the page of a server says about its state, in words."""

import time
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from app.gui import format as fmt
from app.gui.mirror import Mirror
from app.gui.models.server_state import status, stop_reason
from app.wire.nouns import Server, ServerState


def _tr(text: str) -> str:
    return QCoreApplication.translate("ServerPage", text)


class StateWord(NamedTuple):
    """A state in a word, its palette tokens, and since when."""

    text: str
    ink: str
    tint: str
    since: str


def state_word(server: Server | None, mirror: Mirror) -> StateWord:
    """Return the state of a server; without the engine much of it is unknown."""
    if server is None:
        return StateWord(_tr("Not started"), "tx2", "chip", "")
    series = mirror.series.get(server.id)
    opened = series.latest("requests_open") if series else None
    found = status(server, opened, is_live=not mirror.is_stale)
    is_known = not (mirror.is_stale and server.state.is_active)
    return StateWord(*found, _since(server) if is_known else "")


def _since(server: Server) -> str:
    now = time.time()
    match server.state:
        case ServerState.READY | ServerState.BUSY:
            begin = server.ready_at or server.started_at or server.state_since
            return _tr("up for {time}").format(time=fmt.duration(now - begin))
        case ServerState.STARTING if server.progress is not None:
            return f"{server.progress:.0%}"
        case ServerState.STOPPED | ServerState.FAILED:
            ago = fmt.ago(now - server.state_since)
            return f"{ago} · {stop_reason(server)}" if stop_reason(server) else ago
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
