"""One process of a server, from its guard's start to the proof that all of it is gone."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec

from app.engine.process import Child
from app.engine.supervisor import runfile
from app.engine.supervisor.preflight import Launch
from app.wire.child import ChildEvent, Exited, Listening, Spawned, decode_child_event

_log = logging.getLogger("server")
_WORTH_TELLING_BYTES = 2**30
"""Below this, Python and MLX themselves take a good part of the memory, and it is over soon."""
_END_S = 5.0
"""How long a guard may take to end beyond the grace of its server; it takes milliseconds."""
_LOOK_S = 1.0
_ORPHAN_S = 10.0
"""A runner whose guard was killed ends itself within 8 s."""
_OVERDUE_S = 15.0
"""A guard that has not told the end this long after a stop's patience hangs."""
_REST_S = 2.0
"""The patience with what a stop has already waited for."""


class Life:
    """Runs one process and hands its events to `take`, in the engine's loop."""

    def __init__(self, child: Child, launch: Launch, take: Callable[[ChildEvent], None]) -> None:
        self._child = child
        self._launch = launch
        self._take = take
        self._patience_s = launch.grace_s
        self._overdue_at = math.inf
        self._pid: int | None = None
        self._recording: asyncio.Task[runfile.RunFile | None] | None = None
        self._limit = asyncio.timeout(None)
        self._nonsense = 0
        self.exit: Exited | None = None
        """How the server ended; None when its guard was killed and could not tell."""

    @classmethod
    async def begin(cls, launch: Launch, take: Callable[[ChildEvent], None]) -> "Life":
        """Start a guard for the launch. Raises OSError."""
        return cls(await Child.spawn("guard", stderr=Path(launch.log)), launch, take)

    async def run(self) -> None:
        """Start the server and return when every process of it is gone."""
        self._child.send(self._launch)
        stand_in = asyncio.create_task(self._stand_in(), name="guard-watch")
        is_over = False
        try:
            async with self._limit:
                await self._read()
            is_over = self.exit is not None
        except TimeoutError:
            is_over = True
        finally:
            stand_in.cancel()
            rest_s = 0.0 if is_over else self._patience_s
            await _to_the_end(self._end(rest_s + _END_S))

    def loaded_share(self, held_bytes: int) -> float | None:
        """Return how much of the weights a process holds, 0 to 0.99; None for a small model.

        MLX reads weights into memory, so what the process holds tells how far it is.
        """
        weights = self._launch.weights_bytes
        if weights < _WORTH_TELLING_BYTES:
            return None
        return min(0.99, max(0.0, held_bytes / weights))

    def unloaded_bytes(self, held_bytes: int) -> int:
        """Return how much of the weights is still to be read into memory."""
        return max(0, self._launch.weights_bytes - held_bytes)

    async def drop(self) -> None:
        """End a guard that got no order."""
        await self._child.close(deadline_s=_END_S)

    def stop(self, patience_s: float) -> None:
        """Ask the server to end, and kill its group when the patience is over."""
        self._patience_s = patience_s
        self._overdue_at = time.monotonic() + patience_s + _OVERDUE_S
        self._child.send({"stop": patience_s})

    async def _read(self) -> None:
        async for line in self._child.lines():
            try:
                event = decode_child_event(line)
            except msgspec.DecodeError:
                self._nonsense += 1
                if self._nonsense == 1:
                    _log.warning("a line that is no event was ignored")
                continue
            if isinstance(event, Exited):
                self.exit = event
                # Not the end of the pipe: a process that left the group may hold it open.
                return
            if isinstance(event, Spawned):
                if self._pid is not None:
                    # The guard tells it once; a server may write anything.
                    continue
                self._pid = event.pid
            if isinstance(event, Spawned | Listening):
                self._record(event.port if isinstance(event, Listening) else None)
            self._take(event)

    def _record(self, port: int | None) -> None:
        pid, before = self._pid, self._recording
        if pid is None:
            return

        async def record() -> runfile.RunFile | None:
            if before is not None:
                await before
            launch = self._launch
            return await asyncio.to_thread(
                runfile.write, launch.server_id, pid, launch.run_id, port
            )

        self._recording = asyncio.create_task(record(), name=f"run-file-{self._launch.server_id}")

    async def _stand_in(self) -> None:
        """Do the work of a guard that is killed or hangs; the pipe may then never end."""
        # Nothing announces the end of a child whose pipes somebody else holds open.
        while not self._child.is_gone and time.monotonic() < self._overdue_at:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        patience_s = _REST_S
        if self._child.is_gone:
            await asyncio.sleep(_ORPHAN_S)
            patience_s = self._launch.grace_s
        _log.warning("server %s has lost its guard and is ended", self._launch.server_id)
        record = await self._recording if self._recording is not None else None
        while record is not None and not await asyncio.to_thread(
            runfile.end, record, patience_s=patience_s
        ):
            _log.warning("server %s does not end yet", self._launch.server_id)
        self._limit.reschedule(asyncio.get_running_loop().time())

    async def _end(self, deadline_s: float) -> None:
        await self._child.close(deadline_s=deadline_s)
        await self._bury()

    async def _bury(self) -> None:
        """End what a guard that was killed has left, and forget the process."""
        record = await self._recording if self._recording is not None else None
        if record is not None:
            gone = await asyncio.to_thread(runfile.end, record, patience_s=_REST_S)
            if not gone:
                _log.error("process %d of server %s does not end", record.pid, record.server_id)
                return
        await asyncio.to_thread(runfile.remove, self._launch.server_id)


async def _to_the_end(work: Coroutine[object, object, None]) -> None:
    """Wait for work that even a cancelled task owes; the cancellation comes after it.

    The work needs a deadline of its own.
    """
    task = asyncio.create_task(work)
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            is_cancelled = True
    task.result()
    if is_cancelled:
        raise asyncio.CancelledError
