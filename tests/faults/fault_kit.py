"""A real supervisor over failing servers, which checks its transitions and what it leaves."""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import leaks
import psutil
import pytest
from engine_kit import is_free
from model_kit import make_folder, model_files
from patience import DEADLINE_S

from app import paths
from app.engine.bus import Bus
from app.engine.runtimes.base import Runtime
from app.engine.runtimes.mlx_lm import MlxLm
from app.engine.sampler import Sampler
from app.engine.supervisor import Supervisor, life, logfiles, preflight, states
from app.wire.nouns import EngineInfo, Failure, Machine, Profile, Server, ServerState
from app.wire.options import OptionValue, RuntimeInfo

READY = ("importing", "loading", "listen", "loaded", "beat")
TICK_S = 0.1
PROC_FILES = Path("/proc/self/fd")


@dataclass
class FaultRuntime:
    """Starts the failing server; explains like the real runtime."""

    words: tuple[str, ...] = READY
    info: RuntimeInfo = field(default_factory=lambda: RuntimeInfo("fault", "Fault", "1", ()))

    def environment(self, profile: Profile) -> dict[str, str]:
        return {}

    def command(self, profile: Profile, model: str) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("fault_server.py")), *self.words]

    def explain(self, stage: str, error: str, profile: Profile) -> Failure:
        return MlxLm().explain(stage, error, profile)


@dataclass
class World:
    """A supervisor with one profile, `p`, that is ticked like in the engine, only faster."""

    supervisor: Supervisor
    bus: Bus
    runtime: FaultRuntime
    history: list[ServerState] = field(default_factory=list)
    seen: list[Server] = field(default_factory=list)
    removals: int = 0
    illegal: list[str] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)

    @property
    def server(self) -> Server:
        return self.bus.servers["p"]

    @property
    def process(self) -> psutil.Process:
        assert self.server.pid is not None
        return psutil.Process(self.server.pid)

    @property
    def guard(self) -> psutil.Process:
        guard = self.process.parent()
        assert guard is not None
        return guard

    @property
    def logs(self) -> dict[str, int]:
        """The server's log files with their sizes."""
        folder = logfiles.log_file("p").parent
        return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}

    async def until(self, condition: Callable[[Server], bool]) -> Server:
        """Return the server as soon as it is so."""
        subscription = self.bus.subscribe()
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition(self.server):
                    await subscription.next(DEADLINE_S)
        finally:
            subscription.close()
        return self.server

    async def until_state(self, *wanted: ServerState) -> Server:
        return await self.until(lambda server: server.state in wanted)

    async def start(self) -> Server:
        self.supervisor.start("p")
        server = await self.supervisor.settled("p", DEADLINE_S)
        assert server.state.serves, server.failure
        return server

    async def stop(self) -> Server:
        self.supervisor.stop("p")
        return await self.until_state(ServerState.STOPPED)

    async def tick(self) -> None:
        """Do what the engine does every second."""
        machine, values = await asyncio.to_thread(self.supervisor._sampler.tick, time.monotonic())
        self.supervisor.tick(time.monotonic(), machine, values)

    def record(self) -> None:
        """Look at every published change, in the moment in which it is published."""
        put, remove = self.bus.put, self.bus.remove

        def watched_put(item: Any) -> None:
            if isinstance(item, Server):
                self._take(item)
            put(item)

        def watched_remove(item: Any) -> None:
            if isinstance(item, Server):
                self.removals += 1
                self.history.append(ServerState.STOPPED)
            remove(item)

        self.bus.put, self.bus.remove = watched_put, watched_remove  # type: ignore[method-assign]

    def _take(self, server: Server) -> None:
        before = self.history[-1] if self.history else ServerState.STOPPED
        if server.state is not before:
            if server.state not in states.TRANSITIONS[before]:
                self.illegal.append(f"{before} to {server.state}")
            self.history.append(server.state)
        self.seen.append(server)
        self.ports |= {server.port} - {None}


@contextlib.asynccontextmanager
async def world(
    *words: str, policy: dict[str, OptionValue] | None = None, patience_s: float = 30.0
) -> AsyncIterator[World]:
    """Run a supervisor; afterwards no process, port, run file or open file of it may be left."""
    # Before the count: the first thread and the loop's own pipes stay open.
    await asyncio.to_thread(int)
    # The loop keeps what it opens for its first child.
    pipe = asyncio.subprocess.PIPE
    await (await asyncio.create_subprocess_exec("true", stdin=pipe, stdout=pipe)).communicate()
    files_before = open_files()
    folder = make_folder(paths.home() / "model", model_files())
    info = EngineInfo(
        "0", 1, 1, "", "", "", 0.0, "", "", False, False, Machine("m", "c", 2**34), ()
    )
    bus = Bus(info)
    bus.put(Profile("p", "Profile", str(folder), "fault", policy=policy or {}))
    runtime = FaultRuntime(words or READY)
    runtimes: dict[str, Runtime] = {"fault": runtime}
    sampler = Sampler(2**34, used_memory=used_memory)
    supervisor = Supervisor(bus, runtimes, sampler, paths.home() / "hub", patience_s=patience_s)
    supervisor.used_memory = used_memory  # type: ignore[method-assign]
    one = World(supervisor, bus, runtime)
    one.record()
    ticker = asyncio.create_task(tick_on(one))
    try:
        yield one
    finally:
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)
        await supervisor.close()
        bus.close()
    assert not one.illegal
    await nothing_left(one.ports, files_before)


def used_memory() -> int:
    """The memory of a machine on which nothing else happens."""
    total = 0
    for process in leaks.processes_with_home_under(paths.home()):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return 2**32 + total


async def tick_on(one: World) -> None:
    while True:
        await one.tick()
        await asyncio.sleep(TICK_S)


async def nothing_left(ports: set[int], files_before: int) -> None:
    """Check that the home has no process, the ports nobody, and this process no new open file."""
    left = [p for p in leaks.processes_with_home_under(paths.home()) if p.is_running()]
    _, alive = await asyncio.to_thread(psutil.wait_procs, left, 5)
    assert not alive, f"left: {alive}"
    assert not [port for port in ports if port > 1 and not is_free(port)]
    assert not list((paths.run() / "servers").glob("*"))
    # Closed by the loop in its next rounds.
    await so(lambda: open_files() <= files_before)


def open_files() -> int:
    """Return how many descriptors this process has open."""
    folder = PROC_FILES if PROC_FILES.is_dir() else Path("/dev/fd")
    return len(list(folder.iterdir()))


async def so(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def what_tasks_wait_for() -> list[str]:
    """Return for each task of this loop the lines in which it waits, outermost first."""
    found = []
    for task in asyncio.all_tasks():
        lines, at = [task.get_name()], task.get_coro()
        while at is not None:
            frame = getattr(at, "cr_frame", None)
            lines.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}" if frame else repr(at))
            at = getattr(at, "cr_await", None)
        found.append(" > ".join(lines))
    return found


def run(
    scenario: Callable[[World], Awaitable[None]],
    *words: str,
    grace_s: float | None = None,
    **options: Any,
) -> None:
    """Run a scenario in a world of its own."""

    async def live() -> None:
        async with world(*words, **options) as one:
            await scenario(one)

    with pytest.MonkeyPatch.context() as patch:
        if grace_s is not None:
            patch.setattr(preflight, "GRACE_S", grace_s)
        asyncio.run(asyncio.wait_for(live(), DEADLINE_S * 2))


def quick_stand_in(patch: pytest.MonkeyPatch) -> None:
    """Let the supervisor miss a guard at once, not after 10 s."""
    patch.setattr(life, "_LOOK_S", 0.05)
    patch.setattr(life, "_ORPHAN_S", 0.1)
    patch.setattr(life, "_OVERDUE_S", 0.1)


async def ask(port: int, *, timeout_s: float = 5.0) -> bytes:
    """Send a request to a server and return what comes back until it ends or time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"POST /v1/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(timeout_s):
                while data := await reader.read(65536):
                    answer += data
        return answer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.contextmanager
def stranger_on_a_port() -> Any:
    """Listen on a port, as another program does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]
