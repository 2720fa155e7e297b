"""Keeps the computer from idle sleep while a server works, by one small program of the system."""

import asyncio
import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping

from app.engine.bus import Bus
from app.engine.process import child_environment
from app.wire.events import SampleValues
from app.wire.nouns import ServerState

_log = logging.getLogger("engine")
LINGER_S = 30.0
"""Awake for this long after the last work, since the next request of a session often follows."""
# A program that the system refuses (no bus, no rights) was seen to end within 0.1 s.
_BROKEN_S = 5.0
_END_S = 2.0
Spawn = Callable[[list[str]], Awaitable[asyncio.subprocess.Process]]


def inhibitor(platform: str = sys.platform, pid: int | None = None) -> list[str] | None:
    """Return the command that holds off idle sleep while it runs, None where there is none.

    Never one that keeps the display on: with the display on, a long load of the GPU can end in its
    watchdog. Both commands end with the engine, however that dies: caffeinate follows its pid, and
    cat reads to the end of the pipe that the engine holds.
    """
    if platform == "darwin":
        return ["/usr/bin/caffeinate", "-i", "-w", str(pid or os.getpid())]
    program = shutil.which("systemd-inhibit")
    if program is None:
        return None
    what = ["--what=idle", "--who=MLX Model Manager", "--why=A model server works"]
    return [program, *what, "cat"]


async def spawn_inhibitor(command: list[str]) -> asyncio.subprocess.Process:
    """Start the command, with a pipe to its standard input. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(),
        start_new_session=True,
    )


class KeepAwake:
    """Runs the system's program from the first work until a while after the last.

    `tick` comes once a second from the engine's loop, `close` once at its end.
    """

    def __init__(
        self,
        bus: Bus,
        is_enabled: Callable[[], bool],
        *,
        command: Callable[[], list[str] | None] = inhibitor,
        spawn: Spawn = spawn_inhibitor,
    ) -> None:
        self._bus = bus
        self._is_enabled = is_enabled
        self._command = command
        self._spawn = spawn
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = 0.0
        self._worked_at: float | None = None
        self._counts: dict[str, float | None] = {}
        self._starts: set[tuple[str, float | None]] = set()
        self._is_broken = False

    @property
    def pid(self) -> int | None:
        """Process id of the program while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def tick(self, now: float, values: Mapping[str, SampleValues]) -> None:
        """Start or end the program by what the servers do at `now`, monotonic seconds."""
        if self._works(values):
            self._worked_at = now
        is_wanted = self._worked_at is not None and now - self._worked_at < LINGER_S
        if not is_wanted or not self._is_enabled():
            await self.close()
        elif self.pid is None:
            await self._start(now)

    async def close(self) -> None:
        """End the program and wait for it, at most a few seconds."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for end in (process.terminate, process.kill):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    end()
            try:
                async with asyncio.timeout(_END_S):
                    await process.wait()
                break
            except TimeoutError:
                continue
        self._process = None
        _log.info("the computer may sleep again")

    def _works(self, values: Mapping[str, SampleValues]) -> bool:
        before, self._counts = self._counts, {k: v.get("requests_total") for k, v in values.items()}
        # A request that came and went between two ticks is work, too.
        counted = any(
            count is not None and before.get(name) is not None and count != before[name]
            for name, count in self._counts.items()
        )
        opened = any(v.get("requests_open") for v in values.values())
        servers = self._bus.servers.values()
        # So is a start of less than a tick.
        before_it, self._starts = self._starts, {(s.id, s.started_at) for s in servers if s.pid}
        begun = not self._starts <= before_it
        return opened or counted or begun or any(s.state is ServerState.STARTING for s in servers)

    async def _start(self, now: float) -> None:
        if self._process is not None and now - self._started_at < _BROKEN_S:
            self._is_broken = True
            code = self._process.returncode
            _log.info("the computer cannot be kept awake: the system refuses (%s)", code)
        # What ended by itself later was ended by somebody; it is made anew.
        self._process = None
        command = None if self._is_broken else self._command()
        if command is None:
            return
        try:
            self._process = await self._spawn(command)
        except OSError as error:
            self._is_broken = True
            _log.info("the computer cannot be kept awake: %s", error)
            return
        self._started_at = now
        _log.info("the computer is kept awake while a server works")
