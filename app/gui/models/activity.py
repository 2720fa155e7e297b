"""Which models are in use, as their rows tell it."""

from collections.abc import Iterable

from app.wire.nouns import Server, ServerState

_TELLING = (
    ServerState.STALLED, ServerState.READY, ServerState.STARTING, ServerState.BACKING_OFF,
)  # fmt: skip
"""States that a model's tile tells; of several servers with one model, the first here."""


def activity_of(servers: Iterable[Server]) -> dict[str, ServerState]:
    """Return one of STALLED, READY, STARTING and BACKING_OFF for each model that a server uses."""
    activity: dict[str, ServerState] = {}
    for server in servers:
        state = ServerState.READY if server.state is ServerState.BUSY else server.state
        if state in _TELLING:
            known = activity.get(server.model, state)
            activity[server.model] = min(state, known, key=_TELLING.index)
    return activity
