"""The computer stays awake while a server works, and not a moment longer than promised."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from engine_kit import RunningEngine, family, running_engine, until, wait_gone

from app.engine.awake import LINGER_S, KeepAwake, inhibitor, spawn_inhibitor
from app.engine.bus import Bus
from app.wire.events import SampleValues
from app.wire.nouns import EngineInfo, Machine, Server, ServerState

BUSY: dict[str, SampleValues] = {"one": {"requests_open": 1.0, "requests_total": 1.0}}
IDLE: dict[str, SampleValues] = {"one": {"requests_open": 0.0, "requests_total": 1.0}}
NEXT: dict[str, SampleValues] = {"one": {"requests_open": 0.0, "requests_total": 2.0}}
UNKNOWN: dict[str, SampleValues] = {"one": {"requests_open": None, "requests_total": None}}


def bus(state: ServerState = ServerState.READY) -> Bus:
    machine = Machine("m", "c", 1)
    made = Bus(EngineInfo("", 1, 1, "", "", "", 0.0, "", "", False, False, machine, ()))
    made.put(Server("one", "One", "m", state, 0.0))
    return made


class Rig:
    """A KeepAwake that runs `sleep`, with what it started."""

    def __init__(self, *command: str, state: ServerState = ServerState.READY) -> None:
        self.bus = bus(state)
        self.is_enabled = True
        self.started: list[int] = []
        self._line = list(command) or ["sleep", "600"]
        self.awake = KeepAwake(
            self.bus, lambda: self.is_enabled, command=lambda: self._line, spawn=self._spawn
        )

    async def _spawn(self, command: list[str]) -> asyncio.subprocess.Process:
        process = await spawn_inhibitor(command)
        self.started.append(process.pid)
        return process

    @property
    def runs(self) -> bool:
        return self.awake.pid is not None and psutil.pid_exists(self.awake.pid)


@contextlib.asynccontextmanager
async def rig(*command: str, state: ServerState = ServerState.READY) -> AsyncIterator[Rig]:
    one = Rig(*command, state=state)
    try:
        yield one
    finally:
        await one.awake.close()
        assert not one.runs


def test_tick_while_requests_are_open_starts_one_program() -> None:
    async def scenario() -> None:
        async with rig() as one:
            for now in (0.0, 1.0, 2.0):
                await one.awake.tick(now, BUSY)
                assert one.runs
            assert len(one.started) == 1

    asyncio.run(scenario())


def test_start_of_less_than_a_tick_keeps_awake() -> None:
    async def scenario() -> None:
        async with rig() as one:
            await one.awake.tick(0.0, {})
            assert not one.runs
            server = Server("one", "One", "m", ServerState.READY, 0.5, pid=7, started_at=0.2)
            one.bus.put(server)
            await one.awake.tick(1.0, {})
            assert one.runs
            await one.awake.tick(1.0 + LINGER_S, {})
            assert not one.runs

    asyncio.run(scenario())


def test_tick_while_server_starts_keeps_awake() -> None:
    async def scenario() -> None:
        async with rig(state=ServerState.STARTING) as one:
            await one.awake.tick(0.0, {})
            assert one.runs

    asyncio.run(scenario())


def test_tick_with_request_between_two_ticks_keeps_awake() -> None:
    async def scenario() -> None:
        async with rig() as one:
            await one.awake.tick(0.0, IDLE)
            assert not one.runs
            await one.awake.tick(1.0, NEXT)
            assert one.runs

    asyncio.run(scenario())


@pytest.mark.parametrize("values", [{}, IDLE, UNKNOWN])
def test_tick_with_idle_server_starts_nothing(values: dict[str, SampleValues]) -> None:
    async def scenario() -> None:
        async with rig() as one:
            for now in (0.0, 1.0, 2.0):
                await one.awake.tick(now, values)
            assert not one.started

    asyncio.run(scenario())


def test_tick_after_last_work_ends_program_after_the_linger() -> None:
    async def scenario() -> None:
        async with rig() as one:
            await one.awake.tick(0.0, BUSY)
            await one.awake.tick(10.0, BUSY)
            await one.awake.tick(10.0 + LINGER_S - 0.1, IDLE)
            assert one.runs
            await one.awake.tick(10.0 + LINGER_S, IDLE)
            assert not one.runs
            assert not psutil.pid_exists(one.started[0])
            await one.awake.tick(100.0, BUSY)
            assert len(one.started) == 2

    asyncio.run(scenario())


def test_tick_with_setting_off_starts_nothing_and_ends_what_runs() -> None:
    async def scenario() -> None:
        async with rig() as one:
            await one.awake.tick(0.0, BUSY)
            one.is_enabled = False
            await one.awake.tick(1.0, BUSY)
            assert not one.runs
            one.is_enabled = True
            await one.awake.tick(2.0, BUSY)
            assert one.runs

    asyncio.run(scenario())


def test_close_ends_program() -> None:
    async def scenario() -> None:
        async with rig() as one:
            await one.awake.tick(0.0, BUSY)
            await one.awake.close()
            await one.awake.close()
            assert not psutil.pid_exists(one.started[0])

    asyncio.run(scenario())


def test_close_of_program_that_ignores_the_signal_kills_it() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"

    async def scenario() -> None:
        async with rig(sys.executable, "-c", code) as one:
            await one.awake.tick(0.0, BUSY)
            await asyncio.to_thread(until, lambda: ignores_sigterm(one.started[0]))
            await one.awake.close()
            assert not psutil.pid_exists(one.started[0])

    asyncio.run(scenario())


def ignores_sigterm(pid: int) -> bool:
    """Return True once the process has set its handler, by /proc."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def test_tick_after_program_was_ended_by_somebody_starts_another() -> None:
    async def scenario() -> None:
        async with rig() as one:
            await one.awake.tick(0.0, BUSY)
            os.kill(one.started[0], signal.SIGKILL)
            await asyncio.to_thread(until, lambda: one.awake.pid is None)
            await one.awake.tick(60.0, BUSY)
            assert one.runs

    asyncio.run(scenario())


def test_tick_on_system_that_refuses_tries_once_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with rig("false") as one:
            await one.awake.tick(0.0, BUSY)
            await asyncio.to_thread(until, lambda: one.awake.pid is None)
            for now in (1.0, 2.0, 60.0):
                await one.awake.tick(now, BUSY)
            assert len(one.started) == 1

    with caplog.at_level("INFO", "engine"):
        asyncio.run(scenario())
    assert caplog.text.count("cannot be kept awake") == 1


def test_tick_without_the_program_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with rig("/no/such/program") as one:
            for now in (0.0, 1.0):
                await one.awake.tick(now, BUSY)
            assert not one.started

    with caplog.at_level("INFO", "engine"):
        asyncio.run(scenario())
    assert caplog.text.count("cannot be kept awake") == 1


def test_inhibitor_on_macos_follows_the_engine_and_never_holds_the_display() -> None:
    assert inhibitor("darwin", 4711) == ["/usr/bin/caffeinate", "-i", "-w", "4711"]


def test_inhibitor_elsewhere_holds_idle_sleep_alone_or_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert inhibitor("linux") is None
    inhibitor_program(tmp_path)
    command = inhibitor("linux")
    assert command is not None
    assert command[:2] == [str(tmp_path / "systemd-inhibit"), "--what=idle"]
    assert command[-1] == "cat"


def inhibitor_program(folder: Path) -> None:
    """Put a systemd-inhibit there that runs its command, as the real one does."""
    program = folder / "systemd-inhibit"
    program.write_text('#!/bin/sh\nshift 3\n"$@"\n')
    program.chmod(0o755)


def programs(engine: RunningEngine) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in family(engine.process.pid)[1:]:
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("systemd-inhibit" in word for word in process.cmdline()):
                found += [process, *process.children()]
    return found


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A PATH with the fake program first."""
    inhibitor_program(tmp_path)
    return f"{tmp_path}:/usr/bin:/bin"


Use = Callable[[RunningEngine], None]


def stop(engine: RunningEngine) -> None:
    engine.stop()


def kill(engine: RunningEngine) -> None:
    engine.process.kill()
    engine.process.wait()


def switch_off(engine: RunningEngine) -> None:
    assert engine.call("PATCH", "/api/settings", {"keep_awake": False}).status == 200


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has caffeinate")
@pytest.mark.parametrize("end", [stop, kill, switch_off])
def test_engine_keeps_awake_while_server_starts_until_its_end(
    homes: Path, path: str, end: Use
) -> None:
    with running_engine(homes, env={"PATH": path}) as engine:
        assert not programs(engine)
        engine.start("demo")
        until(lambda: len(programs(engine)) == 2)
        running = programs(engine)
        end(engine)
        wait_gone(running)
