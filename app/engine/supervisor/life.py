"""One process of a server, from its guard's start to the proof that all of it is gone."""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from app.engine.process import Child
from app.engine.supervisor.preflight import Launch
from app.wire.child import ChildEvent, Exited, decode_child_event

_log = logging.getLogger("server")
_END_S = 5.0
"""How long a guard may take to end beyond the grace of its server; it takes milliseconds."""


class Life:
    """Runs one process and hands its events to `take`, in the engine's loop."""

    def __init__(self, child: Child, launch: Launch, take: Callable[[ChildEvent], None]) -> None:
        self._child = child
        self._launch = launch
        self._take = take
        self._patience_s = launch.grace_s
        self.exit: Exited | None = None
        """How the server ended; None when its guard was killed and could not tell."""

    @classmethod
    async def begin(cls, launch: Launch, take: Callable[[ChildEvent], None]) -> "Life":
        """Start a guard for the launch. Raises OSError."""
        return cls(await Child.spawn("guard", stderr=Path(launch.log)), launch, take)

    async def run(self) -> None:
        """Start the server and return when every process of it is gone."""
        self._child.send(self._launch)
        try:
            async for line in self._child.lines():
                self._read(line)
                if self.exit is not None:
                    # Not the end of the pipe: a process that left the group may hold it open.
                    break
        finally:
            rest = 0.0 if self.exit is not None else self._patience_s
            await self._child.close(deadline_s=rest + _END_S)

    async def drop(self) -> None:
        """End a guard that got no order."""
        await self._child.close(deadline_s=_END_S)

    def stop(self, patience_s: float) -> None:
        """Ask the server to end, and kill its group when the patience is over."""
        self._patience_s = patience_s
        self._child.send({"stop": patience_s})

    def _read(self, line: bytes) -> None:
        try:
            event = decode_child_event(line)
        except msgspec.DecodeError:
            _log.warning("a line that is no event was ignored")
            return
        if isinstance(event, Exited):
            self.exit = event
        else:
            self._take(event)
