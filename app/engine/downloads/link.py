"""The engine's end of the download worker: started when needed, again when it dies, ended idle."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from app import files, paths
from app.engine.process import Child
from app.wire.transfer import Limit, Order, TransferEvent, decode_transfer_event

_log = logging.getLogger("download")
_IDLE_S = 20.0
"""A new worker takes half a second; an idle one holds about 100 MB."""
_CLOSE_S = 3.0
_PAUSE_S = 0.2
_ENVIRONMENT = {
    # Our own transfer code does everything that xet and the hub's progress bars would do.
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


class WorkerLink:
    """Sends orders to the worker, in order, and hands on its events."""

    def __init__(
        self,
        cache: Path,
        *,
        on_event: Callable[[TransferEvent], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._on_event = on_event
        self._on_lost = on_lost
        self._child: Child | None = None
        self._limit = 0.0
        self._backlog: list[Order] = []
        self._is_wanted = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._losses = 0

    @property
    def losses(self) -> int:
        """How often in a row the worker died before it did anything useful."""
        return self._losses

    def send(self, order: Order) -> None:
        """Send an order, to a new worker if there is none."""
        self.stay()
        if self._child is not None:
            self._child.send(order)
        else:
            self._backlog.append(order)
            self._is_wanted.set()

    def set_limit(self, bytes_per_s: float) -> None:
        """Set the speed for all downloads together; 0 is no limit."""
        self._limit = bytes_per_s
        if self._child is not None:
            self._child.send(Limit(bytes_per_s))

    def rest(self) -> None:
        """End the worker soon, unless an order comes."""
        if self._child is not None and self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self._end_idle)

    def stay(self) -> None:
        """Do not end the worker."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    async def run(self) -> None:
        """Keep a worker while one is wanted, until this is cancelled."""
        try:
            while True:
                await self._is_wanted.wait()
                self._is_wanted.clear()
                await self._run_once()
        finally:
            self.stay()
            if self._child is not None:
                await self._child.close(deadline_s=_CLOSE_S)
            if self._ending is not None:
                await self._ending

    async def _run_once(self) -> None:
        try:
            child = await self._spawn()
        except OSError as error:
            _log.error("the download worker cannot be started: %s", error)
            await self._lose()
            return
        self._child = child
        child.send(Limit(self._limit))
        backlog, self._backlog = self._backlog, []
        for order in backlog:
            child.send(order)
        try:
            async for line in child.lines():
                self._take(line)
        finally:
            was_wanted = self._child is child
            # A cancelled run leaves the closing to its own end.
            if not was_wanted or not _is_cancelled():
                await child.close(deadline_s=_CLOSE_S)
                self._child = None if was_wanted else self._child
        if was_wanted:
            await self._lose()

    async def _spawn(self) -> Child:
        files.make_folder(paths.logs())
        return await Child.spawn(
            "worker",
            "download",
            "--cache",
            str(self._cache),
            stderr=paths.logs() / "downloads.log",
            env=_ENVIRONMENT,
        )

    async def _lose(self) -> None:
        self._losses += 1
        self.stay()
        _log.warning("the download worker has ended unexpectedly")
        await asyncio.sleep(_PAUSE_S * 2 ** min(self._losses - 1, 6))
        self._on_lost()

    def _take(self, line: bytes) -> None:
        try:
            event = decode_transfer_event(line)
        except msgspec.DecodeError:
            _log.warning("the download worker wrote nonsense: %r", line[:200])
            return
        self._losses = 0
        self._on_event(event)

    def _end_idle(self) -> None:
        self._idle = None
        child, self._child = self._child, None
        if child is not None:
            self._ending = asyncio.get_running_loop().create_task(
                child.close(deadline_s=_CLOSE_S), name="idle download worker"
            )


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    with contextlib.suppress(AttributeError):
        return task is not None and task.cancelling() > 0
    return False
