"""In which order servers are shown, and which of them a filter leaves."""

from collections.abc import Iterable, Mapping
from enum import Enum

from PySide6.QtCore import QCoreApplication

from app.gui.mirror import Series
from app.gui.models.server_state import status
from app.wire.nouns import Server


class TileOrder(Enum):
    """What servers are sorted by."""

    STARTED = "started"
    NAME = "name"
    MEMORY = "memory"
    TOKENS = "tokens"

    @property
    def is_metric(self) -> bool:
        """True for an order that figures change, so that it needs a beat of its own."""
        return self in (TileOrder.MEMORY, TileOrder.TOKENS)


_METRICS = {TileOrder.MEMORY: "memory_bytes", TileOrder.TOKENS: "tokens_per_s"}


def order_text(order: TileOrder) -> str:
    """Return the name of an order for a menu."""
    match order:
        case TileOrder.STARTED:
            return QCoreApplication.translate("TileTools", "Start order")
        case TileOrder.NAME:
            return QCoreApplication.translate("TileTools", "Name")
        case TileOrder.MEMORY:
            return QCoreApplication.translate("TileTools", "Memory")
        case TileOrder.TOKENS:
            return QCoreApplication.translate("TileTools", "Tokens/s")


def sorted_ids(
    servers: Iterable[Server], series: Mapping[str, Series], order: TileOrder
) -> list[str]:
    """Return the ids of servers in an order; those that are alike stay as they come."""
    rows = list(servers)
    if order is TileOrder.NAME:
        rows.sort(key=lambda server: (server.name.casefold(), server.id))
    elif (metric := _METRICS.get(order)) is not None:

        def figure(server: Server) -> float:
            value = series[server.id].latest(metric) if server.id in series else None
            return -1.0 if value is None or not server.state.has_process else value

        rows.sort(key=figure, reverse=True)
    return [server.id for server in rows]


def matches(server: Server, words: list[str], *, requests_open: float | None) -> bool:
    """Return True when every word is a part of the server's name, model or state."""
    if not words:
        return True
    state = status(server, requests_open, is_live=True).word
    hay = f"{server.name} {server.model} {state} {server.state.value}".casefold()
    return all(word in hay for word in words)
