"""The supervisor with real guards and fake servers: every order at every moment."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from engine_kit import DEADLINE_S, fake_server, family, wait_gone
from model_kit import make_folder, make_hub_repo, model_files

from app import paths
from app.engine.bus import Bus
from app.engine.process import Child
from app.engine.runtimes.base import Runtime
from app.engine.runtimes.mlx_lm import MlxLm
from app.engine.sampler import Sampler
from app.engine.supervisor import Supervisor, life, preflight, reasons
from app.wire.child import Exited
from app.wire.errors import AppError, ErrorCode
from app.wire.events import MachineSample, Removed, Upsert, decode_event, decode_item
from app.wire.nouns import (
    EngineInfo,
    Failure,
    Machine,
    Model,
    ModelSource,
    Phase,
    Profile,
    ProfileFault,
    Server,
    ServerState,
)
from app.wire.options import RuntimeInfo

READY = ("importing", "loading", "listening:5000", "loaded", "stats")
STUBBORN = ("stubborn", "child", *READY)


@dataclass
class FakeRuntime:
    """Starts fake servers instead of mlx-lm."""

    words: tuple[str, ...] = READY
    info: RuntimeInfo = field(default_factory=lambda: RuntimeInfo("fake", "Fake", "1", ()))

    def environment(self, profile: Profile) -> dict[str, str]:
        return {}

    def command(self, profile: Profile, model: str) -> list[str]:
        return fake_server(*self.words)

    def explain(self, stage: str, error: str, profile: Profile) -> Failure:
        return Failure(ErrorCode.MODEL_BROKEN, f"{stage}: {error}", "a hint")


@dataclass
class World:
    """A supervisor with one profile, `p`."""

    supervisor: Supervisor
    bus: Bus
    runtime: FakeRuntime
    states: list[ServerState] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)

    @property
    def server(self) -> Server:
        return self.bus.servers["p"]

    async def settled(self) -> Server:
        return await self.supervisor.settled("p", DEADLINE_S)

    async def until(self, condition: Callable[[Server], bool]) -> Server:
        """Return the server as soon as it is so."""
        subscription = self.bus.subscribe()
        async with asyncio.timeout(DEADLINE_S):
            while not condition(self.server):
                await subscription.next(DEADLINE_S)
        subscription.close()
        return self.server

    async def start(self) -> Server:
        self.supervisor.start("p")
        server = await self.settled()
        assert server.state is ServerState.READY, server.failure
        return server


def run(
    scenario: Callable[[World], Awaitable[None]], *words: str, grace_s: float | None = None
) -> None:
    async def live() -> None:
        async with world(FakeRuntime(words or READY)) as one:
            await scenario(one)

    with pytest.MonkeyPatch.context() as patch:
        if grace_s is not None:
            patch.setattr(preflight, "GRACE_S", grace_s)
        asyncio.run(asyncio.wait_for(live(), DEADLINE_S * 2))


@contextlib.asynccontextmanager
async def world(runtime: FakeRuntime) -> AsyncIterator[World]:
    folder = make_folder(paths.home() / "model", model_files())
    machine = Machine("m", "c", 2**34)
    bus = Bus(EngineInfo("0", 1, 1, "", "", "", 0.0, "", "", False, False, machine, ()))
    bus.put(Profile("p", "Profile", str(folder), "fake"))
    runtimes: dict[str, Runtime] = {"fake": runtime}
    supervisor = Supervisor(bus, runtimes, Sampler(2**34), paths.home() / "hub")
    one = World(supervisor, bus, runtime)
    subscription = bus.subscribe()
    follower = asyncio.create_task(follow(one, subscription))
    try:
        yield one
    finally:
        await supervisor.close()
        bus.close()
        await follower
    left = [psutil.Process(pid) for pid in one.pids if psutil.pid_exists(pid)]
    # An orphan is reaped by process 1, which takes its time in some containers.
    await asyncio.to_thread(wait_gone, left, 5)


async def follow(one: World, subscription: Any) -> None:
    while (data := await subscription.next(DEADLINE_S)) is not None:
        event = decode_event(data)
        if isinstance(event, Upsert):
            item = decode_item(event)
            if isinstance(item, Server):
                one.states.append(item.state)
                one.pids |= {item.pid} - {None}


@pytest.fixture(autouse=True)
def failures_are_told(allow_log: Callable[[str], None]) -> None:
    """A failed server is a warning in the log; the tests look at the server instead."""
    allow_log(r"server p failed")


def test_start_goes_through_its_phases_to_ready() -> None:
    async def scenario(one: World) -> None:
        server = one.supervisor.start("p")
        assert (server.state, server.phase) == (ServerState.STARTING, Phase.SPAWNING)
        server = await one.settled()
        assert server.state is ServerState.READY
        assert server.phase is None
        assert server.port == 5000
        assert server.pid is not None
        assert server.started_at is not None
        assert server.ready_at is not None
        assert server.ready_at >= server.started_at
        (upstream,) = one.supervisor.ready()
        assert (upstream.port, upstream.profile_name) == (5000, "Profile")
        assert upstream.token
        one.supervisor.stop("p")
        server = await one.settled()
        assert (server.state, server.pid, server.port) == (ServerState.STOPPED, None, None)
        assert one.supervisor.ready() == []

    run(scenario)


def test_start_twice_starts_one_process() -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        one.supervisor.start("p")
        first = await one.settled()
        one.supervisor.start("p")
        assert (await one.settled()).pid == first.pid
        assert one.pids == {first.pid}

    run(scenario)


def test_stop_when_sigterm_is_ignored_ends_server_and_children() -> None:
    async def scenario(one: World) -> None:
        server = await one.start()
        members = family(server.pid or 0)
        assert len(members) == 2
        one.supervisor.stop("p")
        assert one.server.state is ServerState.STOPPING
        assert (await one.settled()).state is ServerState.STOPPED
        _, alive = await asyncio.to_thread(psutil.wait_procs, members, 1)
        assert not alive

    run(scenario, *STUBBORN, grace_s=0.2)


def test_stop_right_after_start_never_becomes_ready() -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        one.supervisor.stop("p")
        assert (await one.settled()).state is ServerState.STOPPED
        await asyncio.sleep(0)
        assert ServerState.READY not in one.states
        assert not one.pids

    run(scenario)


def test_stop_while_the_guard_is_spawned_ends_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(one: World) -> None:
        spawn = Child.spawn

        async def stop_inside(mode: str, *, stderr: Path) -> Child:
            child = await spawn(mode, stderr=stderr)
            one.supervisor.stop("p")
            return child

        monkeypatch.setattr(Child, "spawn", stop_inside)
        one.supervisor.start("p")
        assert (await one.settled()).state is ServerState.STOPPED
        assert not one.pids

    run(scenario)


def test_stop_and_start_while_the_guard_is_spawned_ends_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(one: World) -> None:
        spawn = Child.spawn

        async def stop_and_start_inside(mode: str, *, stderr: Path) -> Child:
            child = await spawn(mode, stderr=stderr)
            one.supervisor.stop("p")
            one.supervisor.start("p")
            return child

        monkeypatch.setattr(Child, "spawn", stop_and_start_inside)
        one.supervisor.start("p")
        await one.until(lambda server: server.state is ServerState.READY)
        assert len(one.pids) == 1

    run(scenario)


@pytest.mark.parametrize("phase", [Phase.IMPORTING, Phase.LOADING])
def test_stop_during_a_phase_of_the_start_ends_it(phase: Phase) -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        await one.until(lambda server: server.phase is phase)
        one.supervisor.stop("p")
        assert (await one.settled()).state is ServerState.STOPPED
        assert one.server.failure is None

    run(scenario, *READY[: READY.index(phase.value) + 1])


def test_restart_keeps_the_item_and_counts() -> None:
    async def scenario(one: World) -> None:
        events: list[object] = []
        subscription = one.bus.subscribe()
        first = await one.start()
        one.supervisor.restart("p")
        assert one.server.state is ServerState.STOPPING
        second = await one.until(lambda s: s.state is ServerState.READY and s.pid != first.pid)
        assert second.restarts == 1
        assert second.started_at is not None
        assert first.started_at is not None
        assert second.started_at > first.started_at
        subscription.close()
        while (data := await subscription.next(0.1)) is not None:
            events.append(decode_event(data))
        assert not [event for event in events if isinstance(event, Removed)]
        # From stopping straight to starting: a tile must not blink.
        assert ServerState.STOPPED not in one.states

    run(scenario)


def test_restart_while_stopping_starts_again() -> None:
    async def scenario(one: World) -> None:
        first = await one.start()
        one.supervisor.stop("p")
        one.supervisor.restart("p")
        second = await one.until(lambda s: s.state is ServerState.READY and s.pid != first.pid)
        assert second.restarts == 1

    run(scenario)


def test_restart_while_starting_starts_anew() -> None:
    async def scenario(one: World) -> None:
        one.runtime.words = READY[:2]
        one.supervisor.start("p")
        first = await one.until(lambda server: server.phase is Phase.LOADING)
        one.runtime.words = READY
        one.supervisor.restart("p")
        second = await one.until(lambda server: server.state is ServerState.READY)
        assert second.pid != first.pid

    run(scenario)


def test_start_then_stop_while_stopping_ends_stopped() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        one.supervisor.stop("p")
        one.supervisor.start("p")
        one.supervisor.stop("p")
        assert (await one.settled()).state is ServerState.STOPPED

    run(scenario)


def test_restart_of_a_stopped_or_failed_server_starts_it() -> None:
    async def scenario(one: World) -> None:
        one.runtime.words = ("exit:1",)
        one.supervisor.restart("p")
        assert (await one.settled()).state is ServerState.FAILED
        one.runtime.words = READY
        one.supervisor.restart("p")
        server = await one.settled()
        assert server.state is ServerState.READY
        assert server.failure is None

    run(scenario)


def test_many_orders_at_once_end_as_the_last_one_says() -> None:
    async def scenario(one: World) -> None:
        orders = (one.supervisor.start, one.supervisor.stop, one.supervisor.restart)
        one.supervisor.start("p")
        for number in range(12):
            orders[number * 7 % 3]("p")
            await asyncio.sleep(0.02 * (number % 4))
        one.supervisor.start("p")
        await one.until(lambda server: server.state is ServerState.READY)
        one.supervisor.stop("p")
        await one.until(lambda server: server.state is ServerState.STOPPED)

    run(scenario)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("failed:no weights", "exit:71"), ErrorCode.MODEL_BROKEN, "load: no weights"),
        (("exit:3",), ErrorCode.SERVER_CRASHED, "exit status 3"),
        (("exit:0",), ErrorCode.SERVER_CRASHED, "exit status 0"),
        (("die:9",), ErrorCode.SERVER_CRASHED, "signal 9"),
        (("die:11",), ErrorCode.SERVER_CRASHED, "SIGSEGV"),
        (
            ("print:[METAL] failed: Insufficient Memory", "die:6"),
            ErrorCode.OUT_OF_MEMORY,
            "GPU ran out of memory",
        ),
    ],
)
def test_failed_start_says_why_with_the_log(
    words: tuple[str, ...], code: ErrorCode, sentence: str
) -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        failure = (await one.settled()).failure
        assert failure is not None
        assert one.server.state is ServerState.FAILED
        assert failure.code is code
        assert sentence in failure.message
        assert failure.hint
        assert failure.log_tail[0] == "a line of the log"

    run(scenario, "print:a line of the log", *words)


def test_crash_of_a_ready_server_is_a_failure() -> None:
    async def scenario(one: World) -> None:
        server = await one.start()
        os.kill(server.pid or 0, signal.SIGSEGV)
        server = await one.until(lambda s: s.state is ServerState.FAILED)
        assert server.pid is None
        assert one.supervisor.ready() == []

    run(scenario)


def test_bugfix_02_guard_that_is_killed_is_a_failure_in_words() -> None:
    async def scenario(one: World) -> None:
        server = await one.start()
        psutil.Process(server.pid).parent().kill()  # type: ignore[union-attr]
        server = await one.until(lambda s: s.state is ServerState.FAILED)
        assert server.failure is not None
        assert "guard" in server.failure.message

    run(scenario, *READY, "owned")


def test_program_that_cannot_start_is_a_failure_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(one: World) -> None:
        monkeypatch.setattr(one.runtime, "command", lambda *_: ["/no/such/program"], raising=False)
        one.supervisor.start("p")
        failure = (await one.settled()).failure
        assert failure is not None
        assert "No such file" in failure.message

    run(scenario)


def test_guard_that_cannot_start_is_a_failure_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(one: World) -> None:
        monkeypatch.setattr(paths, "program", lambda _: ["/no/such/program"])
        one.supervisor.start("p")
        failure = (await one.settled()).failure
        assert failure is not None
        assert "No such file" in failure.message

    run(scenario)


def test_bugfix_01_error_in_the_supervisor_is_logged_and_told(
    monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("the supervisor failed")

    async def scenario(one: World) -> None:
        def lose(*_: object, **__: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(preflight, "make_launch", lose)
        one.supervisor.start("p")
        server = await one.settled()
        assert server.failure is not None
        assert server.failure.code is ErrorCode.INTERNAL
        monkeypatch.undo()
        await one.start()

    run(scenario)


def test_start_that_takes_too_long_fails_and_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "start_deadline_s", lambda _: 0.5)

    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        server = await one.settled()
        assert server.state is ServerState.FAILED
        assert server.failure is not None
        assert server.failure.code is ErrorCode.START_TIMEOUT
        assert ServerState.READY not in one.states

    # It becomes ready while it is being ended, which is too late.
    run(scenario, "stubborn", "importing", "listening:5000", "sleep:0.8", "loaded", grace_s=1.0)


def test_line_that_is_no_event_is_ignored(expect_log: Callable[[str], None]) -> None:
    expect_log("a line that is no event")

    async def scenario(one: World) -> None:
        await one.start()

    run(scenario, "garbage", *READY)


def test_process_that_left_the_group_does_not_keep_the_server_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life, "_END_S", 0.5)

    async def scenario(one: World) -> None:
        server = await one.start()
        strangers = family(server.pid or 0)[1:]
        try:
            one.supervisor.stop("p")
            assert (await one.settled()).state is ServerState.STOPPED
            assert len(strangers) == 1
        finally:
            for stranger in strangers:
                stranger.kill()
            await asyncio.to_thread(psutil.wait_procs, strangers, 5)
            # The end of the pipe reaches the loop, which closes its side.
            await asyncio.sleep(0.05)

    run(scenario, "escape", *READY)


def test_close_while_starting_ends_the_process() -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        await one.until(lambda server: server.phase is Phase.LOADING)
        await one.supervisor.close()
        assert one.server.state is ServerState.STOPPED

    run(scenario, *READY[:2])


def test_close_before_the_first_step_of_a_start_is_clean() -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")

    run(scenario)


def test_start_after_close_began_is_refused() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        closing = asyncio.create_task(one.supervisor.close())
        await one.until(lambda server: server.state is ServerState.STOPPING)
        for order in (one.supervisor.start, one.supervisor.restart):
            with pytest.raises(AppError) as refused:
                order("p")
            assert refused.value.code is ErrorCode.ENGINE_GONE
        await closing

    run(scenario)


def test_close_ends_all_servers_at_the_same_time() -> None:
    async def scenario(one: World) -> None:
        profile = one.bus.profiles["p"]
        for number in range(4):
            one.bus.put(msgspec.structs.replace(profile, id=f"p{number}", name=f"P{number}"))
            one.supervisor.start(f"p{number}")
        for number in range(4):
            await one.supervisor.settled(f"p{number}", DEADLINE_S)
        began = asyncio.get_running_loop().time()
        await one.supervisor.close()
        # One after the other they would take twelve seconds.
        assert asyncio.get_running_loop().time() - began < 9.0

    run(scenario, "stubborn", *READY, grace_s=3.0)


def test_close_kills_a_guard_that_hangs(
    monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("did not end in time")
    monkeypatch.setattr(life, "_END_S", 0.1)

    async def scenario(one: World) -> None:
        server = await one.start()
        guard = psutil.Process(server.pid).parent()
        assert guard is not None
        guard.suspend()
        await one.supervisor.close()
        await asyncio.to_thread(psutil.wait_procs, [psutil.Process(server.pid)], 5)

    run(scenario, *READY, "owned", grace_s=0.1)


def test_close_that_is_cancelled_twice_still_ends_a_guard_that_hangs(
    monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("did not end in time")
    monkeypatch.setattr(life, "_END_S", 0.5)

    async def scenario(one: World) -> None:
        server = await one.start()
        guard = psutil.Process(server.pid).parent()
        assert guard is not None
        guard.suspend()
        task = one.supervisor._tasks["p"]
        closing = asyncio.create_task(task.close())
        await asyncio.sleep(0)
        # The first one has reached the life of the process, and the next ones its last rites.
        for _ in range(3):
            await asyncio.sleep(0)
            task._task.cancel()
        await closing
        processes = (
            [guard, psutil.Process(server.pid)] if psutil.pid_exists(server.pid) else [guard]
        )
        _, alive = await asyncio.to_thread(psutil.wait_procs, processes, DEADLINE_S)
        assert not alive

    run(scenario, *READY, "owned", grace_s=0.1)


def test_remove_forgets_only_a_server_without_process() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        with pytest.raises(AppError) as refused:
            await one.supervisor.remove("p")
        assert refused.value.code is ErrorCode.PROFILE_IN_USE
        one.supervisor.stop("p")
        await one.settled()
        await one.supervisor.remove("p")
        assert one.bus.servers == {}
        with pytest.raises(AppError) as unknown:
            one.supervisor.stop("p")
        assert unknown.value.status == 404
        await one.start()

    run(scenario)


def test_start_while_a_removal_is_under_way_keeps_the_new_item() -> None:
    async def scenario(one: World) -> None:
        one.runtime.words = ("exit:1",)
        one.supervisor.start("p")
        await one.settled()
        one.runtime.words = READY
        removal = asyncio.create_task(one.supervisor.remove("p"))
        await asyncio.sleep(0)
        one.supervisor.start("p")
        await removal
        assert (await one.settled()).state is ServerState.READY
        assert "p" in one.bus.servers

    run(scenario)


def test_unusable_profile_is_refused_in_words() -> None:
    async def scenario(one: World) -> None:
        with pytest.raises(AppError) as unknown:
            one.supervisor.start("nobody")
        assert unknown.value.status == 404
        fault = ProfileFault("temp is bad", 3)
        one.bus.put(msgspec.structs.replace(one.bus.profiles["p"], fault=fault))
        with pytest.raises(AppError, match=r"temp is bad \(line 3\)") as broken:
            one.supervisor.start("p")
        assert broken.value.code is ErrorCode.PROFILE_BROKEN

    run(scenario)


def test_profile_that_goes_between_start_and_spawn_is_a_failure() -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        one.bus.remove(one.bus.profiles["p"])
        server = await one.settled()
        assert server.failure is not None
        assert server.failure.code is ErrorCode.PROFILE_BROKEN

    run(scenario)


def test_gpu_limit_of_a_runner_becomes_a_fact_of_the_machine() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        assert one.bus.info.machine.gpu_limit_bytes == 123
        assert one.bus.info.machine.has_gpu

    run(scenario, "listening:5000", "loaded:123")


@pytest.mark.parametrize("said", [0, -1, 2**62])
def test_gpu_limit_that_cannot_be_is_not_believed(
    expect_log: Callable[[str], None], said: int
) -> None:
    expect_log("the GPU may use")

    async def scenario(one: World) -> None:
        await one.start()
        assert one.bus.info.machine.gpu_limit_bytes is None

    run(scenario, "listening:5000", f"loaded:{said}")


def test_bugfix_02_logs_of_earlier_starts_are_rotated_away() -> None:
    async def scenario(one: World) -> None:
        for _ in range(6):
            one.supervisor.start("p")
            await one.settled()
        logs = sorted(path.name for path in (paths.logs() / "servers").iterdir())
        assert logs == ["p.log", "p.log.1", "p.log.2", "p.log.3", "p.log.crash"]

    run(scenario, "exit:1")


def resolve(model: str, cache: Path, **known: Model) -> Path:
    return preflight.resolve_model(model, known, cache)


def test_model_is_found_by_folder_hub_id_or_list(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m", model_files())
    repo = make_hub_repo(tmp_path / "hub", "a/b", model_files())
    assert resolve(str(folder), tmp_path) == folder
    assert resolve("a/b", tmp_path / "hub") == repo / "snapshots" / ("a" * 40)
    assert resolve("demo", tmp_path) == paths.demo_model()
    listed = Model("x", "x", "", ModelSource.FOLDER, str(folder), 1)
    assert resolve("x", tmp_path, x=listed) == folder


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("a/missing", ErrorCode.MODEL_MISSING),
        ("no-slash", ErrorCode.MODEL_MISSING),
        ("a/../../etc", ErrorCode.MODEL_MISSING),
        ("../etc", ErrorCode.MODEL_MISSING),
        ("FOLDER/gone", ErrorCode.MODEL_MISSING),
        ("FOLDER/empty", ErrorCode.MODEL_BROKEN),
        ("FOLDER/no-weights", ErrorCode.MODEL_BROKEN),
        ("~nobody-by-this-name/m", ErrorCode.MODEL_MISSING),
        ("cut", ErrorCode.MODEL_BROKEN),
    ],
)
def test_model_that_cannot_be_served_is_refused_in_words(
    tmp_path: Path, model: str, code: ErrorCode
) -> None:
    make_folder(tmp_path / "empty", {})
    make_folder(tmp_path / "no-weights", {"config.json": b"{}"})
    cut = Model("cut", "cut", "", ModelSource.FOLDER, "/x", 1, problem="It is cut. Get another.")
    with pytest.raises(AppError) as refused:
        resolve(model.replace("FOLDER", str(tmp_path)), tmp_path, cut=cut)
    assert refused.value.code is code
    assert refused.value.hint or cut.problem in refused.value.message


def test_loading_of_a_large_model_tells_how_far_it_is() -> None:
    async def scenario(one: World) -> None:
        # A file with a hole: it takes no space.
        os.truncate(paths.home() / "model" / "model.safetensors", 4 * 2**30)
        one.supervisor.start("p")
        await one.until(lambda server: server.phase is Phase.LOADING)
        for held, share in ((2**30, 0.25), (3 * 2**30, 0.75), (5 * 2**30, 0.99)):
            values = {"p": {"memory_bytes": float(held)}}
            one.supervisor.tick(1.0, MachineSample(2**34, 2**33), values)
            assert one.server.progress == pytest.approx(share)
        # Nothing held: the stop need not wait for memory to come back.
        one.supervisor.tick(2.0, MachineSample(2**34, 2**33), {})
        one.supervisor.stop("p")

    run(scenario, "importing", "loading", "sleep:600")


def test_deadline_of_a_start_grows_with_the_weights(tmp_path: Path) -> None:
    assert preflight.start_deadline_s(tmp_path) == 120.0
    with (tmp_path / "big.safetensors").open("wb") as file:
        file.truncate(40 * 10**9)
    assert preflight.start_deadline_s(tmp_path) == pytest.approx(260.0)


@pytest.mark.parametrize(
    ("stage", "error", "code"),
    [
        ("load", "ValueError: Model type abc not supported.", ErrorCode.MODEL_UNSUPPORTED),
        ("load", "No safetensors found in /x", ErrorCode.MODEL_BROKEN),
        ("load", "[load_safetensors] Perhaps an incomplete download?", ErrorCode.MODEL_BROKEN),
        ("load", "Expected shape (1, 2) but received shape (3, 4)", ErrorCode.MODEL_BROKEN),
        ("load", "The adapter path does not exist: /x", ErrorCode.OPTION_WRONG),
        ("load", "Cannot find an appropriate cached snapshot", ErrorCode.MODEL_MISSING),
        ("load", "KeyError: 'model_type'", ErrorCode.MODEL_BROKEN),
        ("bind", "OSError: [Errno 98] Address already in use", ErrorCode.PORT_BUSY),
        ("generate", "kIOGPUCommandBufferCallbackErrorOutOfMemory", ErrorCode.OUT_OF_MEMORY),
        (
            "load",
            "TypeError: ModelArgs.__init__() missing 1 required positional argument: 'x'",
            ErrorCode.MODEL_BROKEN,
        ),
        ("load", "ModuleNotFoundError: No module named 'tiktoken'", ErrorCode.PYTHON_UNUSABLE),
        ("load", "ValueError: Pass `trust_remote_code=True`", ErrorCode.OPTION_WRONG),
        ("run", "mlx_lm.server refused its options (2)", ErrorCode.OPTION_WRONG),
        ("generate", "RuntimeError: x", ErrorCode.SERVER_CRASHED),
        ("run", "anything", ErrorCode.SERVER_CRASHED),
    ],
)
def test_error_of_mlx_lm_becomes_a_sentence_with_a_hint(
    stage: str, error: str, code: ErrorCode
) -> None:
    failure = MlxLm().explain(stage, error, Profile("p", "P", "a/model"))
    assert failure.code is code
    assert failure.message.endswith(".")
    assert error not in failure.message
    assert "Error" not in failure.message
    assert failure.hint


def test_signal_without_a_name_is_told_by_number(tmp_path: Path) -> None:
    failure = reasons.from_exit(Exited(signal=99), tmp_path / "gone.log")
    assert "signal 99" in failure.message


def test_other_python_in_the_settings_is_pending_until_a_restart() -> None:
    async def scenario(one: World) -> None:
        def tick() -> tuple[str, ...]:
            one.supervisor.tick(time.monotonic(), MachineSample(2**34, 0), {})
            return one.server.pending

        one.runtime.info = msgspec.structs.replace(one.runtime.info, python="built in")
        await one.start()
        assert tick() == ()
        one.runtime.info = msgspec.structs.replace(one.runtime.info, python="~/venv")
        assert tick() == ("Python of the settings: built in → ~/venv",)
        profile = one.bus.profiles["p"]
        one.bus.put(msgspec.structs.replace(profile, options={"python": "/own"}))
        assert tick() == ()
        one.bus.put(profile)
        one.supervisor.restart("p")
        assert (await one.settled()).state is ServerState.READY
        assert tick() == ()

    run(scenario)
