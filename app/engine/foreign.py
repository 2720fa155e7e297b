"""The model servers that the engine did not start: looked for regularly, ended on request."""

import asyncio
import contextlib
import time

import psutil

from app.engine.bus import Bus
from app.engine.readers.foreign import ForeignReader, classify
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import ForeignServer

_EVERY_S = 10.0
_END_S = 10.0
_SLICE_S = 0.1
# Start times are counted from a boot time that a correction of the clock moves a little.
_SLACK_S = 1.0


class ForeignServers:
    """Publishes foreign servers. All methods belong to the engine's loop."""

    def __init__(self, bus: Bus, reader: ForeignReader | None = None) -> None:
        self._bus = bus
        self._reader = reader or ForeignReader()
        self._wake = asyncio.Event()

    async def follow(self) -> None:
        """Look every 10 seconds, and after a stop, until cancelled."""
        while True:
            self._wake.clear()
            self._bus.replace_foreign(await asyncio.to_thread(self._reader.read))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _EVERY_S)

    async def stop(self, foreign_id: str) -> None:
        """Ask a server to end and wait until it is gone. Raises AppError when it is not."""
        server = self._bus.foreign.get(foreign_id)
        if server is None:
            raise _is_gone()
        try:
            await asyncio.to_thread(end, server)
        finally:
            # Whatever happened, what is listed may be out of date.
            self._wake.set()
        self._bus.remove(server)


def end(server: ForeignServer, *, deadline_s: float = _END_S) -> None:
    """Send SIGTERM to exactly this process and wait until it is gone.

    Blocks up to `deadline_s`. Raises AppError when the process is another one by now or goes on.
    Never kills: that may leave memory of the GPU wired until the next restart.
    """
    try:
        process = psutil.Process(server.pid)
        is_same = abs(process.create_time() - server.created) < _SLACK_S
        if not is_same or classify(process.name(), process.cmdline()) is not server.kind:
            raise _is_gone()
        process.terminate()
        _wait(process, deadline_s)
    except psutil.NoSuchProcess:
        # Gone before the signal or after it, which is what was asked for.
        return
    except psutil.AccessDenied as error:
        raise AppError(
            f"{server.name} (process {server.pid}) belongs to another user.",
            hint="Stop it from that account.",
            code=ErrorCode.FOREIGN_REFUSED,
        ) from error
    except psutil.TimeoutExpired as error:
        raise AppError(
            f"{server.name} (process {server.pid}) was asked to stop, but still runs after "
            f"{deadline_s:.0f} seconds.",
            hint="It may be finishing an answer. Wait, or quit it where it was started.",
            code=ErrorCode.FOREIGN_REFUSED,
        ) from error


def _wait(process: psutil.Process, deadline_s: float) -> None:
    """Wait for the end. Raises psutil.TimeoutExpired."""
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            process.wait(min(_SLICE_S, deadline_s))
        except psutil.TimeoutExpired:
            # One that ended holds neither memory nor port, though its parent may never ask for it.
            if process.status() == psutil.STATUS_ZOMBIE:
                return
            if time.monotonic() > deadline:
                raise
        else:
            return


def _is_gone() -> AppError:
    return AppError(
        "This server is not running any more; another program may have its process number.",
        hint="Nothing was stopped. The list shows what runs now.",
        code=ErrorCode.NOT_FOUND,
    )
