"""Random histories: whatever is ordered and whatever fails, in any order, ends well."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import psutil
import pytest
from faults import figures
from faults.fault_kit import READY, World, quick_stand_in, what_tasks_wait_for, world
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from patience import DEADLINE_S

from app.engine.supervisor import life, preflight
from app.engine.supervisor.backoff import RestartBudget
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import ServerState

_S = ServerState
WORDS = {
    "good": READY,
    "stubborn": ("stubborn", "child", *READY),
    "slow": ("importing", "sleep:0.2", "loading", "sleep:0.2", *READY[2:]),
    "never ready": ("importing", "loading", "sleep:600"),
    "dies at once": ("importing", "exit:1"),
    "dies later": (*READY, "sleep:0.1", "exit:0"),
    "broken model": ("importing", "loading", "failed:No safetensors found", "exit:71"),
    "hangs": ("mode:silent", *READY),
    "garbage": ("garbage", *READY, "late-garbage"),
}
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"auto_restart": "on crash"},
    {"auto_restart": "on crash", "restart_stalled": True},
)
ALLOWED = (
    r"server p failed|Next try|has generated nothing|no event|too long|lost its guard"
    r"|did not end in time|does not end|wires at most"
)


class Histories(RuleBasedStateMachine):
    """One server under orders of the user and blows of fate."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.waiters: list[asyncio.Task[Any]] = []
        self.scope = world(patience_s=0.6, policy={})
        self.one: World = self.run(self.scope.__aenter__())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 3 * DEADLINE_S))

    @property
    def state(self) -> ServerState | None:
        server = self.one.bus.servers.get("p")
        return server.state if server is not None else None

    @rule(name=st.sampled_from(sorted(WORDS)), policy=st.sampled_from(POLICIES))
    def change(self, name: str, policy: dict[str, Any]) -> None:
        """The next process behaves otherwise."""
        self.one.runtime.words = WORDS[name]
        self.one.bus.put(msgspec.structs.replace(self.one.bus.profiles["p"], policy=policy))

    @rule(order=st.sampled_from(["start", "start", "restart", "stop", "force", "remove"]))
    def order(self, order: str) -> None:
        self.run(self._order(order))

    async def _order(self, order: str) -> None:
        supervisor = self.one.supervisor
        try:
            match order:
                case "start":
                    supervisor.start("p")
                case "restart":
                    supervisor.restart("p")
                case "stop" | "force":
                    supervisor.stop("p", force=order == "force")
                case _:
                    await supervisor.remove("p")
                    return
        except AppError as refused:
            if refused.code not in (ErrorCode.NOT_FOUND, ErrorCode.PROFILE_IN_USE):
                raise
            return
        self.waiters.append(asyncio.create_task(supervisor.settled("p", 600)))

    @rule(
        victim=st.sampled_from(["server", "guard"]),
        number=st.sampled_from([signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP, signal.SIGCONT]),
    )
    def blow(self, victim: str, number: signal.Signals) -> None:
        """Somebody else kills, suspends or resumes a process."""
        # No precondition: what happens meanwhile is not for Hypothesis to decide on.
        server = self.one.bus.servers.get("p")
        pid = server.pid if server is not None else None
        if pid is None:
            return
        with contextlib.suppress(psutil.Error, ProcessLookupError, AttributeError):
            if victim == "guard":
                pid = psutil.Process(pid).parent().pid  # type: ignore[union-attr]
                # The server of a dead guard belongs to process 1, or to whoever stands in for it.
                if pid == os.getpid() or "guard" not in psutil.Process(pid).cmdline():
                    return
            os.kill(pid, number)

    @rule(milliseconds=st.sampled_from([0, 5, 30, 80, 200]))
    def wait(self, milliseconds: int) -> None:
        self.run(asyncio.sleep(milliseconds / 1000))

    @invariant()
    def is_legal(self) -> None:
        type(self).steps += 1
        assert not self.one.illegal
        server = self.one.bus.servers.get("p")
        if server is not None and server.state in (_S.STOPPED, _S.FAILED):
            assert server.pid is None
        if server is not None and server.state is _S.FAILED:
            assert server.failure is not None
        if server is not None and server.state.serves:
            assert server.port is not None

    def teardown(self) -> None:
        try:
            self.run(self._end())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    async def _end(self) -> None:
        try:
            await self._settle()
        finally:
            for task in self.waiters:
                task.cancel()
            await asyncio.gather(*self.waiters, return_exceptions=True)
            await self.scope.__aexit__(None, None, None)

    async def _settle(self) -> None:
        if self.state is not None:
            self.one.supervisor.stop("p", force=True)
            server = await self.one.supervisor.settled("p", DEADLINE_S)
            assert server.state in (_S.STOPPED, _S.FAILED), "\n".join(what_tasks_wait_for())
        if self.waiters:
            _, waiting = await asyncio.wait(self.waiters, timeout=DEADLINE_S)
            assert not waiting, "a waiter was not woken"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, allow_log: Callable[[str], None]) -> None:
    """All patience is short here, and every failure is expected."""
    allow_log(ALLOWED)
    quick_stand_in(monkeypatch)
    monkeypatch.setattr(preflight, "GRACE_S", 0.15)
    monkeypatch.setattr(preflight, "start_deadline_s", lambda _: 1.0)
    monkeypatch.setattr(life, "_END_S", 0.2)
    monkeypatch.setattr(life, "_REST_S", 0.1)
    plain = RestartBudget.next_delay_s

    def at_once(self: RestartBudget, now: float, *, ready_for_s: float) -> float | None:
        delay = plain(self, now, ready_for_s=ready_for_s)
        return None if delay is None else delay / 20

    monkeypatch.setattr(RestartBudget, "next_delay_s", at_once)


def play(examples: int, steps: int, *, derandomize: bool) -> int:
    Histories.steps = 0
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=derandomize,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Histories.steps


@pytest.mark.timeout(400)
def test_short_histories_end_well() -> None:
    assert play(10, 15, derandomize=True) > 100


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_steps_end_well() -> None:
    steps, began = 0, time.monotonic()
    while steps < 10_000:
        steps += play(100, 40, derandomize=False)
    minutes = (time.monotonic() - began) / 60
    text = (
        f"{steps} steps of random orders, crashes, hangs and suspensions in {minutes:.0f} minutes: "
        "always a legal state, every waiter woken, 0 processes, 0 ports and 0 descriptors left."
    )
    figures.write("histories", ["", text, ""])
    figures.record(
        "random orders, crashes, hangs and suspensions of servers",
        steps,
        "nothing; always a legal state, every waiter woken",
        "make soak ARGS=tests/faults/test_histories.py",
    )
