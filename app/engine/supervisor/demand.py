"""Servers on demand: which failure still counts, and when an idle one is stopped."""

import time

from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, Server, ServerState
from app.wire.policy import idle_stop_s

LONGEST_START_S = 3600.0
"""A bound for waits; the start's own deadline, by the size of the model, comes long before."""
_REST_S = 30.0
"""After a failed start, so that a client that tries again and again does not load again and again.
"""


def needs_start(server: Server) -> bool:
    """Return True for a server that does not come up by itself. Raises what made it fail."""
    is_fresh = time.time() - server.state_since < _REST_S
    # A start that was refused for memory has loaded nothing, and memory comes free.
    was_refused = server.failure is not None and server.failure.code is ErrorCode.NO_ROOM
    if server.state is ServerState.FAILED and is_fresh and not was_refused:
        raise not_started(server)
    # A start now would also forget how often a server that backs off has crashed.
    return server.state in (ServerState.STOPPED, ServerState.STOPPING, ServerState.FAILED)


def not_started(server: Server) -> AppError:
    """Return why a server is not ready after a start."""
    failure = server.failure
    if server.state is ServerState.FAILED and failure is not None:
        return AppError(failure.message, hint=failure.hint, code=failure.code)
    return AppError(
        f"“{server.name}” did not become ready: it is {server.state.value}.",
        hint="Try again.",
        code=ErrorCode.SERVER_NOT_READY,
    )


def is_idle_too_long(profile: Profile | None, idle_s: float) -> bool:
    """Return True when the profile wants a server stopped that had no request for so long."""
    limit_s = idle_stop_s(profile.policy) if profile is not None else None
    return limit_s is not None and idle_s >= limit_s
