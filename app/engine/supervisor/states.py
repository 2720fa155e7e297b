"""The legal transitions of a server, in one table."""

from app.wire.nouns import ServerState

_S = ServerState

TRANSITIONS: dict[ServerState, frozenset[ServerState]] = {
    # Failed without a start: it was refused.
    _S.STOPPED: frozenset({_S.STARTING, _S.FAILED}),
    _S.STARTING: frozenset({_S.READY, _S.STOPPING, _S.STOPPED, _S.FAILED, _S.BACKING_OFF}),
    _S.READY: frozenset({_S.BUSY, _S.STALLED, _S.STOPPING, _S.FAILED, _S.BACKING_OFF}),
    _S.BUSY: frozenset({_S.READY, _S.STALLED, _S.STOPPING, _S.FAILED, _S.BACKING_OFF}),
    _S.STALLED: frozenset({_S.READY, _S.BUSY, _S.STOPPING, _S.FAILED, _S.BACKING_OFF}),
    _S.STOPPING: frozenset({_S.STARTING, _S.STOPPED, _S.FAILED, _S.BACKING_OFF}),
    _S.FAILED: frozenset({_S.STARTING}),
    _S.BACKING_OFF: frozenset({_S.STARTING, _S.STOPPED}),
}
"""From each state, the states that may follow."""


class IllegalTransitionError(RuntimeError):
    """A bug in the supervisor: this state cannot follow that one."""


def check(before: ServerState, after: ServerState) -> None:
    """Raise IllegalTransitionError unless `after` may follow `before`."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransitionError(f"{before.value} cannot become {after.value}")
