"""Stall detection and automatic restarts: hours of simulated time, and real servers that hang."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from engine_kit import ENDLESS, call, chat
from faults.fault_kit import World, so, world
from patience import DEADLINE_S

from app import paths
from app.engine.runtimes.mlx_lm import MlxLm
from app.engine.supervisor import backoff, clock, probe
from app.engine.supervisor.backoff import RestartBudget
from app.engine.supervisor.clock import SleepClock
from app.engine.supervisor.watchdog import PATIENCE_S, Verdict, Watchdog
from app.runner.hooks import TOKEN_HEADER, Counters
from app.wire.child import RunnerStats
from app.wire.errors import ErrorCode
from app.wire.nouns import Profile, ServerState
from app.wire.options import OptionValue

_S = ServerState
HOUR_S = 3600.0


class SimulatedServer:
    """Reports as the runner does, on a clock that the test moves."""

    def __init__(self, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.watchdog = watchdog
        self.verdicts: set[Verdict] = set()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.counters = Counters()

    def step(self, seconds: float, *, pulses: bool = True, delay_s: float = 0.0) -> None:
        """Let a step of the generation take so long, with a report and a look each second."""
        end = self.now + seconds
        while self.now + 1.0 < end:
            self.now += 1.0
            self._second(delay_s)
        self.now = end
        if pulses:
            self.counters.pulse()

    def _second(self, delay_s: float) -> None:
        counters = self.counters
        stats = RunnerStats(
            0, 0, counters.requests_open, counters.requests_total, counters.pulses,
            counters.silent_s(), counters.slow_gap_s(),
        )  # fmt: skip
        self.watchdog.report(stats, self.now)
        # The engine looks at any moment between two reports.
        self.verdicts.add(self.watchdog.verdict(self.now + delay_s))


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> SimulatedServer:
    return SimulatedServer(Watchdog(1000.0), monkeypatch)


def prompt_steps(tokens: int, slowest_s: float) -> Iterator[float]:
    """Yield the seconds of each step of a prompt; a step is longer the more was read before."""
    steps = tokens // 2048
    for number in range(steps):
        yield 0.5 + (slowest_s - 0.5) * number / steps


def test_hour_of_mixed_load_with_long_prompts_raises_no_alarm(simulated: SimulatedServer) -> None:
    chance = random.Random(1)  # noqa: S311
    simulated.counters.add_request()
    while simulated.now < 1000.0 + HOUR_S:
        # Chats, a hundred thousand tokens of prompt, idle minutes, in any order.
        for _ in range(chance.randrange(300)):
            simulated.step(chance.uniform(0.01, 0.2), delay_s=0.9)
        for seconds in prompt_steps(100_000, slowest_s=12.0):
            simulated.step(seconds, delay_s=0.9)
        simulated.counters.end_request()
        simulated.step(chance.uniform(1.0, 120.0), pulses=False, delay_s=3.0)
        simulated.counters.add_request()
    assert simulated.verdicts == {Verdict.IDLE, Verdict.BUSY}


def test_slow_computer_is_measured_by_its_own_pace(simulated: SimulatedServer) -> None:
    simulated.counters.add_request()
    for _ in range(100):
        simulated.step(20.0)
    assert simulated.counters.slow_gap_s() == pytest.approx(20.0)
    for _ in range(20):
        # Twice the patience of a fast computer's watchdog, and no stall here.
        simulated.step(55.0)
    assert Verdict.STALLED not in simulated.verdicts
    simulated.step(3 * 55.0 + 20.0, pulses=False)
    assert Verdict.STALLED in simulated.verdicts


def test_hang_in_the_middle_of_work_is_seen_within_its_limit(simulated: SimulatedServer) -> None:
    simulated.counters.add_request()
    for _ in range(200):
        simulated.step(0.05)
    began = simulated.now
    while Verdict.STALLED not in simulated.verdicts:
        simulated.step(1.5, pulses=False)
    assert PATIENCE_S <= simulated.now - began <= PATIENCE_S + 3.0
    # It was no hang after all: the next pulse takes the alarm back.
    simulated.counters.pulse()
    simulated.verdicts.clear()
    simulated.step(2.5)
    assert simulated.verdicts == {Verdict.BUSY}


def test_one_long_hang_does_not_teach_the_watchdog_to_wait(simulated: SimulatedServer) -> None:
    simulated.counters.add_request()
    for _ in range(99):
        simulated.step(0.05)
    simulated.step(600.0)
    assert simulated.counters.slow_gap_s() < 1.0


def test_sleep_of_the_computer_is_forgiven(simulated: SimulatedServer) -> None:
    simulated.counters.add_request()
    clock = SleepClock()
    assert not clock.has_jumped(simulated.now, 50_000.0)
    simulated.step(3.0)
    # Awake again after an hour, on a computer whose monotonic clock goes on in sleep.
    simulated.now += HOUR_S
    assert clock.has_jumped(simulated.now, 50_000.0 + HOUR_S)
    watchdog = simulated.watchdog
    watchdog.forgive(simulated.now)
    assert watchdog.verdict(simulated.now) is Verdict.BUSY
    simulated.counters.pulse()
    simulated.verdicts.clear()
    simulated.step(25.0)
    assert Verdict.STALLED not in simulated.verdicts
    # The wall clock alone jumps where the other one stands still in sleep.
    assert clock.has_jumped(simulated.now, 50_000.0 + 2 * HOUR_S)


def test_runner_that_reports_no_more_is_stalled_even_without_work(
    simulated: SimulatedServer,
) -> None:
    simulated.step(3.0)
    watchdog = simulated.watchdog
    assert watchdog.verdict(simulated.now + PATIENCE_S - 1) is Verdict.IDLE
    assert watchdog.verdict(simulated.now + PATIENCE_S + 1) is Verdict.STALLED


def test_pulse_during_a_probe_clears_it(simulated: SimulatedServer) -> None:
    simulated.step(2.5)
    watchdog, before = simulated.watchdog, simulated.watchdog.pulses
    simulated.step(1.5)
    simulated.step(1.5)
    watchdog.probe_failed(before)
    assert watchdog.verdict(simulated.now) is Verdict.IDLE
    watchdog.probe_failed(watchdog.pulses)
    assert watchdog.verdict(simulated.now) is Verdict.STALLED


def test_probe_does_not_count_the_sleep_of_the_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_PATIENCE_S", 0.1)
    awake = [0.0]
    looks: list[float] = []

    def monotonic() -> float:
        looks.append(awake[0])
        return awake[0]

    # The loop's clock goes on, and this one stands still.
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=monotonic))

    async def scenario() -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            question = asyncio.create_task(probe.answers(port, ""))
            await so(lambda: len(looks) > 3)
            assert not question.done()
            awake[0] = 0.1
            assert not await question

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))


def test_back_off_doubles_up_to_a_minute_and_gives_up_after_five() -> None:
    budget = RestartBudget(jitter=lambda *_: 1.0)
    delays = [budget.next_delay_s(100.0 + n, ready_for_s=0.0) for n in range(6)]
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, None]
    # Ten minutes after the first of them there is room for one more.
    assert budget.next_delay_s(100.0 + backoff.WINDOW_S + 0.5, ready_for_s=0.0) == 16.0
    assert budget.next_delay_s(100.0 + backoff.WINDOW_S + 0.6, ready_for_s=0.0) is None
    # Ten minutes of work, or a start by the user, and all is forgotten.
    assert budget.next_delay_s(900.0, ready_for_s=backoff.WINDOW_S) == 1.0
    budget.clear()
    assert budget.used == 0


def test_back_off_never_exceeds_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "BUDGET", 30)
    for seed in range(20):
        budget = RestartBudget(jitter=random.Random(seed).uniform)  # noqa: S311
        delays = [budget.next_delay_s(float(n), ready_for_s=0.0) or 0.0 for n in range(30)]
        assert min(delays) >= 0.8
        assert max(delays) <= 60.0 * 1.2


@asynccontextmanager
async def real_world(patience_s: float, **policy: OptionValue) -> AsyncIterator[World]:
    """Run the real server with the demo model."""
    async with world(policy=policy, patience_s=patience_s) as one:
        one.supervisor.runtimes["fault"] = MlxLm()
        one.bus.put(Profile("p", "Demo", str(paths.demo_model()), "fault", policy=policy))
        yield one


async def generate(one: World, **fields: object) -> None:
    """Ask for an answer at the server's own port, as the gateway does."""
    (upstream,) = one.supervisor.ready()
    await asyncio.to_thread(
        call, f"http://127.0.0.1:{upstream.port}", "POST", "/v1/chat/completions",
        {**chat(**{"max_tokens": 8, **fields}), "model": "default_model"},
        headers={TOKEN_HEADER: upstream.token},
    )  # fmt: skip


@pytest.fixture
def stalls_are_told(allow_log: Callable[[str], None]) -> None:
    allow_log(r"has generated nothing|server p failed")


@pytest.mark.usefixtures("stalls_are_told")
def test_real_server_that_is_suspended_in_its_work_is_stalled_and_recovers() -> None:
    async def scenario() -> None:
        async with real_world(1.5) as one:
            server = await one.start()
            request = asyncio.create_task(generate(one, max_tokens=800, **ENDLESS))
            await one.until_state(_S.BUSY)
            one.process.suspend()
            stalled = await one.until_state(_S.STALLED)
            assert stalled.failure is not None
            assert stalled.failure.code is ErrorCode.SERVER_STALLED
            one.process.resume()
            # Its own slow gap counts from now on, so it may be busy or ready first.
            recovered = await one.until_state(_S.BUSY, _S.READY)
            assert recovered.failure is None
            assert recovered.pid == server.pid
            await request
            await one.until_state(_S.READY)

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))


@pytest.mark.usefixtures("stalls_are_told")
def test_real_server_that_stalls_is_restarted_and_its_tile_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.engine.supervisor.preflight.GRACE_S", 0.5)

    async def scenario() -> None:
        async with real_world(1.5, restart_stalled=True) as one:
            server = await one.start()
            request = asyncio.create_task(generate(one, max_tokens=800, **ENDLESS))
            await one.until_state(_S.BUSY)
            one.process.suspend()
            again = await one.until(lambda s: s.state.serves and s.pid != server.pid)
            assert again.restarts == 1
            assert one.removals == 0
            assert _S.STOPPED not in one.history
            with pytest.raises(ConnectionError):
                await request
            await generate(one)

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))


@pytest.mark.usefixtures("stalls_are_told")
def test_real_server_is_probed_without_a_trace_and_a_hung_one_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "EVERY_S", 0.3)
    monkeypatch.setattr(probe, "_PATIENCE_S", 2.0)
    answered: list[bool] = []
    plain = probe.answers

    async def watched(port: int, token: str) -> bool:
        answered.append(await plain(port, token))
        return answered[-1]

    monkeypatch.setattr(probe, "answers", watched)

    async def scenario() -> None:
        async with real_world(30.0) as one:
            server = await one.start()
            reports: list[RunnerStats] = []
            monkeypatch.setattr(one.supervisor, "on_stats", lambda _, stats: reports.append(stats))
            await so(lambda: len(answered) > 2 and bool(reports) and reports[-1].pulses > 2)
            assert all(answered)
            last = reports[-1]
            assert (last.requests_total, last.prompt_tokens, last.completion_tokens) == (0, 0, 0)
            assert {_S.STALLED, _S.BUSY}.isdisjoint(one.history)
            log = one.supervisor.log_file(server.id).read_text()
            assert "Starting httpd" in log
            assert "POST" not in log
            one.process.suspend()
            await one.until_state(_S.STALLED)
            assert not answered[-1]
            one.process.resume()
            assert (await one.until_state(_S.READY)).pid == server.pid

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))


@pytest.mark.usefixtures("stalls_are_told")
def test_tiny_real_server_under_mixed_load_raises_no_alarm() -> None:
    async def load(one: World, text: str, tokens: int, end: float) -> None:
        while time.monotonic() < end:
            await generate(one, max_tokens=tokens, text=text)

    async def scenario() -> None:
        async with real_world(8.0) as one:
            await one.start()
            # Longer than the patience, which no busy machine uses up between two tokens.
            end = time.monotonic() + 12.0
            # Of different length, so that one is always open: silence is counted from then on.
            loads = [("Hello", 300), ("a long story " * 200, 40), ("more " * 20, 110)]
            await asyncio.gather(*(load(one, text, tokens, end) for text, tokens in loads))
            assert _S.STALLED not in one.history
            assert _S.BUSY in one.history

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S))
