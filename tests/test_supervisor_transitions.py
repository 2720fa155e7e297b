"""The table of transitions, who is woken by them, and what a stop proves."""

import asyncio
from collections.abc import Callable

import pytest
from faults.fault_kit import READY, World, run, stranger_on_a_port
from patience import DEADLINE_S

from app.engine.supervisor import release, states
from app.engine.supervisor.backoff import RestartBudget
from app.engine.supervisor.states import TRANSITIONS, IllegalTransitionError
from app.wire.nouns import ServerState

_S = ServerState


@pytest.fixture(autouse=True)
def failures_are_told(allow_log: Callable[[str], None]) -> None:
    allow_log(r"server p failed|Next try")


def test_table_has_every_state_and_a_way_out_of_each() -> None:
    assert set(TRANSITIONS) == set(_S)
    for begin in _S:
        reached, new = set[_S](), {begin}
        while new:
            reached |= new
            new = {after for state in new for after in TRANSITIONS[state]} - reached
        assert reached >= {_S.READY, _S.STOPPED, _S.FAILED}
    for state in _S:
        # What has a process can always be stopped, and what has none can be started.
        wanted = _S.STOPPING if state.has_process else _S.STARTING
        assert state is wanted or wanted in TRANSITIONS[state]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_S.STOPPED, _S.READY),
        (_S.FAILED, _S.STOPPING),
        (_S.STOPPING, _S.READY),
        (_S.STARTING, _S.STALLED),
        (_S.BACKING_OFF, _S.READY),
    ],
)
def test_transition_that_is_not_in_the_table_is_refused(before: _S, after: _S) -> None:
    with pytest.raises(IllegalTransitionError, match=after.value):
        states.check(before, after)


def test_all_waiters_are_woken_by_the_transition_that_they_wait_for() -> None:
    async def scenario(one: World) -> None:
        supervisor = one.supervisor
        for order, state in ((supervisor.start, _S.READY), (supervisor.stop, _S.STOPPED)):
            order("p")
            waiters = [asyncio.create_task(supervisor.settled("p", DEADLINE_S)) for _ in range(50)]
            async with asyncio.timeout(80):
                servers = await asyncio.gather(*waiters)
            assert {server.state for server in servers} == {state}

    run(scenario)


def test_waiter_with_a_deadline_is_not_held_by_a_start_that_takes_long() -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        assert (await one.supervisor.settled("p", 0.05)).state is _S.STARTING
        # Before its process is there, stop and start together change nothing.
        await one.until(lambda server: server.pid is not None)
        # A stop that comes while it starts, and a start that comes while it stops.
        one.supervisor.stop("p")
        one.supervisor.start("p")
        one.runtime.words = READY
        await one.until_state(_S.READY)

    run(scenario, "importing", "sleep:600")


def test_stop_in_the_moment_in_which_a_back_off_ends_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestartBudget, "next_delay_s", lambda *_, **__: 0.2)

    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        await one.until_state(_S.BACKING_OFF)
        when = one.supervisor._tasks["p"]._retry_at
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.call_at(when, lambda: (one.supervisor.stop("p"), stopped.set()))
        await stopped.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert one.history[-2:] == [_S.BACKING_OFF, _S.STOPPED]

    run(scenario, "exit:1", policy={"auto_restart": "on crash"})


def test_start_by_the_user_ends_a_back_off_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestartBudget, "next_delay_s", lambda *_, **__: 600.0)

    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        waiting = await one.until_state(_S.BACKING_OFF)
        assert waiting.next_try_at is not None
        one.runtime.words = READY
        assert (await one.start()).restarts == 0

    run(scenario, "exit:1", policy={"auto_restart": "on crash"})


def test_server_that_crashes_again_and_again_says_when_it_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = RestartBudget.next_delay_s

    def at_once(self: RestartBudget, now: float, *, ready_for_s: float) -> float | None:
        return None if plain(self, now, ready_for_s=ready_for_s) is None else 0.0

    monkeypatch.setattr(RestartBudget, "next_delay_s", at_once)

    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        failed = await one.until_state(_S.FAILED)
        assert failed.restarts == 5
        assert failed.failure is not None
        assert "started again 5 times and now stays off" in failed.failure.message

    run(scenario, *READY, "sleep:0.05", "exit:1", policy={"auto_restart": "on crash"})


@pytest.mark.parametrize(
    "words", [("importing", "exit:1"), ("importing", "failed:No safetensors found", "exit:71")]
)
def test_server_that_cannot_be_healed_is_not_tried_for_ever(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RestartBudget, "next_delay_s", _one_more_at_once)

    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        failed = await one.until_state(_S.FAILED)
        # Once more for what may heal, not at all for a broken model.
        assert failed.restarts == (0 if len(words) > 2 else 1)

    run(scenario, *words, policy={"auto_restart": "on crash"})


def _one_more_at_once(self: RestartBudget, now: float, *, ready_for_s: float) -> float:
    self._restarts.append(now)
    return 0.0


def test_port_that_is_still_held_is_told_and_the_stop_ends(
    monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("is still held")
    monkeypatch.setattr(release, "_PORT_S", 0.2)

    async def scenario(one: World) -> None:
        with stranger_on_a_port() as port:
            one.runtime.words = (f"claim-port:{port}", "loaded", "beat")
            await one.start()
            await one.stop()
        one.ports.clear()

    run(scenario)


def test_memory_that_does_not_come_back_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "_MEMORY_S", 0.5)
    held = 2**30
    figures = iter([900, 700, 800, 700, 700, 700, 700])
    told: list[int] = []
    used = 2**30 + 1000

    released = asyncio.run(
        release.memory_released(held, used, lambda: 2**30 + next(figures), told.append)
    )
    assert released == told[-1] == 300
    assert release.while_ending(held, held, 300) == 300
    # The figures of a small one drown in what other programs do.
    assert release.while_ending(2**20, 2**20, 300) == 2**20
