"""The memory budget: who must go for a start, who waits for memory, and what a start would take."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_kit import DEADLINE_S, RunningEngine, call, chat, running_engine, until
from gateway_kit import until as until_so
from hypothesis import given
from hypothesis import strategies as st
from model_kit import make_folder, model_files
from test_supervisor import READY, FakeRuntime, World, world

from app import paths
from app.engine.supervisor import room
from app.engine.supervisor.autostart import start_marked
from app.engine.supervisor.victims import fewest, least_recent
from app.wire.errors import AppError, ErrorCode
from app.wire.events import MachineSample
from app.wire.hub import Verdict
from app.wire.nouns import ServerState
from app.wire.options import OptionValue, check_options
from app.wire.plan import StartPlan, budget_bytes
from app.wire.policy import POLICIES
from app.wire.shape import CacheShape, ModelShape

GIB = 2**30


class Street(World):
    """A supervisor with several profiles on 16 GB; what their servers hold is said by the test."""

    held: dict[str, float]

    def add(self, *names: str, **policy: OptionValue) -> None:
        base = self.bus.profiles["p"]
        checked = check_options(policy, POLICIES)
        for name in names:
            copy = msgspec.structs.replace(base, id=name, name=name.title(), policy=checked)
            self.bus.put(copy)

    def hold(self, **gigabytes: float) -> None:
        """Say what each server uses, as the next tick would."""
        self.held = {**getattr(self, "held", {}), **gigabytes}
        self.supervisor._planner.memory.put_samples(
            {name: {"memory_bytes": size * GIB} for name, size in self.held.items()}
        )

    async def up(self, name: str, gigabytes: float, *, by_hand: bool = False) -> None:
        """Have a server ready that holds so much."""
        self.hold(**{name: gigabytes})
        if by_hand:
            self.supervisor.start(name)
            await self.supervisor.settled(name, DEADLINE_S)
        else:
            await self.supervisor.ensure(name)
        assert self.state(name) is ServerState.READY

    def budget(self, text: str) -> None:
        self.supervisor._planner.memory.budget = text

    def idle_for(self, name: str, seconds: float) -> None:
        self.supervisor._tasks[name]._watchdog._active_at = time.monotonic() - seconds

    def state(self, name: str) -> ServerState:
        return self.bus.servers[name].state

    def tick(self) -> None:
        """Let a second go by."""
        self.supervisor.tick(time.monotonic(), MachineSample(16 * GIB, 0), {})

    def reason(self, name: str) -> str:
        return self.bus.servers[name].stop_reason

    async def plan(self, name: str) -> StartPlan:
        return await self.supervisor.plan(name, None)


@pytest.fixture(autouse=True)
def failures_are_told(allow_log: Callable[[str], None]) -> None:
    """A failed server is a warning in the log; the tests look at the server instead."""
    allow_log("server next failed")


def run(scenario: Callable[[Street], Awaitable[None]]) -> None:
    async def live() -> None:
        async with world(FakeRuntime(READY)) as one:
            street = Street(one.supervisor, one.bus, one.runtime)
            await scenario(street)

    asyncio.run(asyncio.wait_for(live(), DEADLINE_S * 2))


async def waits(work: "asyncio.Task[Any]") -> None:
    """Give it many rounds of the loop, in which it must not get on."""
    await asyncio.wait((work,), timeout=0.3)
    assert not work.done()


# A server of these tests needs 0.8 GB itself: weights 0.1 + runtime 0.7, rounded up.


def test_request_stops_the_least_recently_used_server_and_says_why() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "new", "next")
        await s.up("new", 3)
        await s.up("old", 3)
        s.idle_for("old", 500)
        s.idle_for("new", 50)
        s.budget("6.5 GB")
        await s.supervisor.ensure("next")
        assert s.state("next") is ServerState.READY
        assert s.state("old") is ServerState.STOPPED
        assert s.state("new") is ServerState.READY
        assert s.reason("old") == "Stopped to make room for “Next”."
        assert s.bus.servers["old"].failure is None

    run(scenario)


def test_eviction_is_told_in_the_log_with_its_arithmetic(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "server")

    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3)
        s.budget("3 GB")
        await s.supervisor.ensure("next")

    run(scenario)
    assert "server old makes room for next: weights 0.1" in caplog.text
    assert "running servers 3.0 = 3.8 of 3.0 GB" in caplog.text


def test_request_that_fits_stops_nobody() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3)
        s.budget("3.8 GB")
        await s.supervisor.ensure("next")
        assert s.state("old") is ServerState.READY

    run(scenario)


@pytest.mark.parametrize("reason", ["open", "pinned", "by hand", "busy"])
def test_server_that_must_not_go_stays_and_the_request_is_refused_with_the_sum(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "WAIT_S", 0.3)

    async def scenario(s: Street) -> None:
        s.add("old", pinned=reason == "pinned")
        s.add("next")
        await s.up("old", 3, by_hand=reason == "by hand")
        if reason == "busy":
            s.supervisor._tasks["old"]._become(ServerState.BUSY)
        if reason == "open":
            s.supervisor.open_requests = lambda name: int(name == "old")
        s.budget("3 GB")
        with pytest.raises(AppError) as refused:
            await s.supervisor.ensure("next")
        assert refused.value.code is ErrorCode.SERVER_NOT_READY
        assert "There is no memory for “Next” now: weights 0.1" in refused.value.message
        assert "running servers 3.0 = 3.8 of 3.0 GB" in refused.value.message
        assert s.bus.servers["old"].state.serves
        assert "next" not in s.bus.servers or not s.state("next").has_process

    run(scenario)


def test_server_started_by_hand_goes_when_its_profile_has_an_idle_stop() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", idle_stop_minutes=60)
        s.add("next")
        await s.up("old", 3, by_hand=True)
        s.budget("3 GB")
        await s.supervisor.ensure("next")
        assert s.state("old") is ServerState.STOPPED

    run(scenario)


def test_start_by_hand_makes_a_server_of_a_request_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WAIT_S", 0.2)

    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3)
        s.supervisor.start("old")
        s.budget("3 GB")
        with pytest.raises(AppError, match="no memory"):
            await s.supervisor.ensure("next")

    run(scenario)


def test_request_waits_until_a_busy_server_is_idle() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3)
        busy = {"old": 1}
        s.supervisor.open_requests = lambda name: busy.get(name, 0)
        s.budget("3 GB")
        asking = asyncio.create_task(s.supervisor.ensure("next"))
        await waits(asking)
        busy.clear()
        s.tick()
        assert (await asking).profile_id == "next"
        assert s.state("old") is ServerState.STOPPED

    run(scenario)


def test_request_waits_until_somebody_stops_a_server() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3, by_hand=True)
        s.budget("3 GB")
        asking = asyncio.create_task(s.supervisor.ensure("next"))
        await waits(asking)
        s.supervisor.stop("old")
        assert (await asking).profile_id == "next"
        assert s.reason("old") == ""

    run(scenario)


def test_requests_for_one_profile_need_its_memory_once() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3)
        s.budget("3 GB")
        found = await asyncio.gather(*(s.supervisor.ensure("next") for _ in range(5)))
        assert {upstream.profile_id for upstream in found} == {"next"}
        assert s.bus.servers["next"].restarts == 0

    run(scenario)


def test_memory_that_comes_free_is_not_given_away_twice() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "one", "two")
        await s.up("old", 0.8)
        s.hold(one=0.7, two=0.7)
        s.budget("0.9 GB")
        busy = {"one": 1, "two": 1}
        s.supervisor.open_requests = lambda name: busy.get(name, 0)
        asking = [asyncio.create_task(s.supervisor.ensure(name)) for name in ("one", "two")]
        done, rest = await asyncio.wait(
            asking, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED
        )
        assert len(done) == 1
        winner = (await done.pop()).profile_id
        (other,) = rest
        await waits(other)
        assert s.state(winner) is ServerState.READY
        # Its request has ended, so it may go for the other one.
        busy.clear()
        s.tick()
        assert (await other).profile_id != winner
        assert s.state(winner) is ServerState.STOPPED

    run(scenario)


def test_waiting_requests_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_WAITING", 2)

    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3, by_hand=True)
        s.budget("3 GB")
        asking = [asyncio.create_task(s.supervisor.ensure("next")) for _ in range(2)]
        await waits(asking[0])
        async with asyncio.timeout(room.WAIT_S / 4):
            with pytest.raises(AppError, match="no memory"):
                await s.supervisor.ensure("next")
        for work in asking:
            work.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert s.supervisor._room._waiting == []

    run(scenario)


def test_client_that_hangs_up_while_it_waits_has_nobody_stopped() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3)
        s.supervisor.open_requests = lambda name: 1
        s.budget("3 GB")
        asking = asyncio.create_task(s.supervisor.ensure("next"))
        await waits(asking)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        s.supervisor.open_requests = lambda name: 0
        s.tick()
        assert s.state("old") is ServerState.READY

    run(scenario)


def test_model_that_never_fits_beside_others_is_refused_at_once() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 0.1)
        s.budget("0.5 GB")
        with pytest.raises(AppError, match="no memory for “Next”"):
            await s.supervisor.ensure("next")
        assert s.state("old") is ServerState.READY

    run(scenario)


def test_start_by_hand_stops_idle_servers_of_requests_first() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "kept", "next")
        await s.up("old", 2)
        await s.up("kept", 2, by_hand=True)
        s.budget("4 GB")
        s.supervisor.start("next")
        server = await s.supervisor.settled("next", DEADLINE_S)
        assert server.state is ServerState.READY
        assert s.state("old") is ServerState.STOPPED
        assert s.state("kept") is ServerState.READY

    run(scenario)


def test_start_by_hand_goes_on_when_there_is_no_room() -> None:
    async def scenario(s: Street) -> None:
        s.add("kept", "next")
        await s.up("kept", 3, by_hand=True)
        s.budget("3 GB")
        s.supervisor.start("next")
        server = await s.supervisor.settled("next", DEADLINE_S)
        assert server.state is ServerState.READY
        assert s.state("kept") is ServerState.READY

    run(scenario)


def test_start_by_hand_can_be_stopped_while_it_waits_for_memory() -> None:
    async def scenario(s: Street) -> None:
        s.runtime.words = ("stubborn", *READY)
        s.add("old", "next")
        await s.up("old", 3)
        s.budget("3 GB")
        s.supervisor.start("next")
        await until_so(lambda: s.state("old") is ServerState.STOPPING)
        assert s.state("next") is ServerState.STARTING
        s.supervisor.stop("next")
        s.tick()
        assert (await s.supervisor.settled("next", DEADLINE_S)).state is ServerState.STOPPED
        assert s.state("old") is ServerState.STOPPING
        s.supervisor.stop("old", force=True)

    run(scenario)


def test_plan_names_what_to_stop() -> None:
    async def scenario(s: Street) -> None:
        s.add("one", "two", "kept")
        s.add("held", pinned=True)
        for name in ("one", "two", "kept", "held"):
            await s.up(name, 2, by_hand=True)
            s.idle_for(name, {"one": 10, "two": 20}.get(name, 5))
        s.supervisor.open_requests = lambda name: int(name == "kept")
        s.budget("8 GB")
        found = await s.plan("p")
        assert found.verdict is Verdict.TOO_BIG
        assert found.others_bytes == dict.fromkeys(("one", "two", "kept", "held"), 2 * GIB)
        assert found.limit_bytes == 8 * GIB
        assert found.sentence.startswith("weights 0.1")
        assert "runtime 0.7 + running servers 8.0 = 8.8 of 8.0 GB" in found.sentence
        assert found.stop_first == ("two",)
        s.budget("7 GB")
        assert (await s.plan("p")).stop_first == ("two",)
        s.budget("5 GB")
        assert (await s.plan("p")).stop_first == ("two", "one")
        s.budget("3 GB")
        assert set((await s.plan("p")).stop_first) == {"one", "two", "kept"}
        s.budget("0.5 GB")
        assert (await s.plan("p")).stop_first == ()
        s.budget("")
        assert (await s.plan("p")).verdict is Verdict.UNKNOWN

    run(scenario)


def test_start_of_a_missing_model_beside_others_fails_with_its_reason() -> None:
    async def scenario(s: Street) -> None:
        s.add("old", "next")
        await s.up("old", 3)
        broken = msgspec.structs.replace(s.bus.profiles["next"], model="org/not-here")
        s.bus.put(broken)
        s.budget("3 GB")
        with pytest.raises(AppError, match="not on this disk"):
            await s.supervisor.ensure("next")
        assert s.state("next") is ServerState.FAILED
        assert s.state("old") is ServerState.READY
        plan = await s.plan("next")
        assert (plan.verdict, plan.needed_bytes) == (Verdict.UNKNOWN, None)
        assert "not on this disk" in plan.sentence

    run(scenario)


class Hub:
    """Counts how often the shape of a model is asked for; the caches take 1 GB or next to none."""

    def __init__(self, large: str = "model") -> None:
        self.asked = 0
        self.large = large

    async def shape(self, folder: Path) -> ModelShape:
        self.asked += 1
        return ModelShape(None, CacheShape((), fixed_bytes=GIB if folder.name == self.large else 1))


def test_newcomer_does_not_take_what_others_stopped_for() -> None:
    async def scenario(s: Street) -> None:
        s.supervisor._planner._hub = Hub("large")  # type: ignore[assignment]
        s.add("quick", "slow", "big", "small")
        large = make_folder(paths.home() / "large", model_files())
        s.bus.put(msgspec.structs.replace(s.bus.profiles["big"], model=str(large)))
        await s.up("quick", 0.9)
        s.runtime.words = ("stubborn", *READY)
        await s.up("slow", 1.0)
        s.runtime.words = READY
        # 1.8 for itself: both must go, and one of them takes its time.
        s.budget("2.6 GB")
        big = asyncio.create_task(s.supervisor.ensure("big"))
        await until_so(lambda: s.state("quick") is ServerState.STOPPED)
        assert s.state("slow") is ServerState.STOPPING
        small = asyncio.create_task(s.supervisor.ensure("small"))
        await waits(small)
        assert not big.done()
        s.supervisor.stop("slow", force=True)
        assert (await big).profile_id == "big"
        assert (await small).profile_id == "small"

    run(scenario)


def test_cache_is_measured_only_where_memory_is_short() -> None:
    async def scenario(s: Street) -> None:
        hub = Hub()
        s.supervisor._planner._hub = hub  # type: ignore[assignment]
        s.add("old", "next", "last")
        await s.up("old", 1)
        await s.supervisor.ensure("next")
        assert hub.asked == 0
        s.hold(next=0.5)
        s.budget("2.6 GB")
        await s.supervisor.ensure("last")
        assert hub.asked == 1
        assert (await s.plan("p")).cache_bytes == GIB
        assert hub.asked == 1
        # 1.8 for itself leaves room for one of both: the one that was used last.
        assert [s.state(name) for name in ("old", "next")] == [
            ServerState.STOPPED,
            ServerState.READY,
        ]

    run(scenario)


def test_plan_measures_no_cache_when_the_weights_alone_are_too_much() -> None:
    async def scenario(s: Street) -> None:
        hub = Hub()
        s.supervisor._planner._hub = hub  # type: ignore[assignment]
        s.add("old", "next")
        await s.up("old", 5, by_hand=True)
        s.budget("5.2 GB")
        plan = await s.plan("next")
        assert (plan.verdict, plan.stop_first) == (Verdict.TOO_BIG, ("old",))
        assert hub.asked == 0
        s.budget("8 GB")
        assert (await s.plan("next")).cache_bytes == GIB
        assert hub.asked == 1

    run(scenario)


def test_plan_of_a_running_server_does_not_count_itself() -> None:
    async def scenario(s: Street) -> None:
        await s.up("p", 5, by_hand=True)
        assert (await s.plan("p")).others_bytes == {}

    run(scenario)


def test_starting_server_counts_with_what_it_will_need() -> None:
    async def scenario(s: Street) -> None:
        s.runtime.words = ("importing",)
        s.add("next")
        s.supervisor.start("next")
        await until_so(lambda: s.bus.servers["next"].pid is not None)
        held = (await s.plan("p")).others_bytes["next"]
        assert 0.5 * GIB < held < GIB

    run(scenario)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 36), ("  ", 36), ("50%", 18), ("50 %", 18), ("100%", 36), ("24", 24), ("24 GB", 24),
        ("24gb", 24), ("0.5 GB", 0.5), ("48 GB", 36), ("nonsense", 36), ("0", 36),
    ],
)  # fmt: skip
def test_budget_is_a_share_or_a_size_within_the_limit(text: str, expected: float) -> None:
    assert budget_bytes(text, 36 * GIB) == int(expected * GIB)


HELD = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 50), max_size=8)


@given(HELD, st.integers(1, 200))
def test_fewest_is_the_smallest_set_and_prefers_the_least_recently_used(
    held: dict[str, int], need: int
) -> None:
    from itertools import combinations

    found = fewest(held, lambda freed: freed >= need)
    names = list(held)
    # In this order the first that helps is the least recently used of the smallest.
    sets = (s for n in range(1, len(names) + 1) for s in combinations(names, n))
    expected = next((s for s in sets if sum(held[x] for x in s) >= need), ())
    assert found == expected


@given(HELD, st.integers(1, 200))
def test_least_recent_frees_enough_and_nobody_in_vain(held: dict[str, int], need: int) -> None:
    found = least_recent(held, lambda freed: freed >= need)
    total = sum(held[name] for name in found)
    if sum(held.values()) < need:
        assert found == ()
        return
    assert total >= need
    assert all(total - held[name] < need for name in found)
    last = max(list(held).index(name) for name in found)
    earlier = list(held)[:last]
    # Whoever was used later goes only when all that were not used for longer are not enough.
    assert sum(held[name] for name in earlier) < need


ON_DEMAND = {"start_on_request": True}


@contextlib.contextmanager
def two_profiles(homes: Any) -> Iterator[RunningEngine]:
    """An engine with two profiles of the demo model that requests may start."""
    with running_engine(homes) as engine:
        for name in ("One", "Two"):
            body = {"name": name, "model": "demo", "policy": ON_DEMAND}
            assert engine.call("POST", "/api/profiles", body).status == 201
        yield engine


def ask(engine: RunningEngine, model: str) -> Any:
    body = chat(model=model, max_tokens=4)
    return call(engine.gateway_url, "POST", "/v1/chat/completions", body)


def test_engine_swaps_servers_on_request_within_its_budget(homes: Any) -> None:
    with two_profiles(homes) as engine, engine.api() as api:
        plan = api.start_plan("one")
        assert plan.needed_bytes == sum(
            (plan.weights_bytes or 0, plan.cache_bytes or 0, plan.runtime_bytes)
        )
        assert plan.verdict is Verdict.FITS
        assert "cache at" in plan.sentence
        assert plan.sentence == api.model_fit("demo").sentence
        (demo,) = (model for model in api.models() if model.id == "demo")
        assert demo.shape is not None
        assert demo.shape.weights_bytes == plan.weights_bytes
        assert ask(engine, "One").status == 200
        until(lambda: api.start_plan("two").others_bytes.get("one", 0) > 50_000_000)
        plan = api.start_plan("two")
        # Enough for one, but not for both.
        parts = (plan.weights_bytes or 0, plan.cache_bytes or 0, plan.runtime_bytes)
        limit = sum(-(-part * 10 // GIB) for part in parts) / 10
        api.change_settings({"memory_budget": f"{limit} GB"})
        assert api.engine().memory_limit_bytes == pytest.approx(limit * GIB, rel=0.01)
        plan = api.start_plan("two")
        assert plan.verdict is Verdict.TOO_BIG
        assert plan.stop_first == ("one",)
        assert plan.limit_bytes == pytest.approx(limit * GIB, rel=0.01)
        until(lambda: api.server("one").state is ServerState.READY)
        assert ask(engine, "Two").status == 200
        assert api.server("two").state.serves
        one = api.server("one")
        assert one.state is ServerState.STOPPED
        assert one.stop_reason == "Stopped to make room for “Two”."
        assert "server one makes room for two: weights" in engine.log
        for text in ("lots", "101%", "-1", "0%"):
            with pytest.raises(AppError, match="a share such as 80%"):
                api.change_settings({"memory_budget": text})
        with pytest.raises(AppError, match="no profile"):
            api.start_plan("nobody")


def test_engine_answers_503_with_the_sum_when_nothing_may_go(homes: Any) -> None:
    with two_profiles(homes) as engine, engine.api() as api:
        engine.start("one")
        until(lambda: api.start_plan("two").others_bytes.get("one", 0) > 50_000_000)
        # The start by hand is not taken back, and the model alone is too large already.
        api.change_settings({"memory_budget": "0.3 GB"})
        answer = ask(engine, "Two")
        assert (answer.status, answer.code) == (503, "server_not_ready")
        assert int(answer.headers["retry-after"]) > 0
        assert "of 0.3 GB" in answer.json["error"]["message"]
        assert api.server("one").state.serves
        record = api.requests(last=1)[0]
        assert record.error is not None
        assert "There is no memory for “Two” now" in record.error


def test_start_with_the_app_without_room_is_told_on_the_tile_and_a_request_may_still_try() -> None:
    async def scenario(s: Street) -> None:
        s.add("big")
        s.add("next", start_with_app=True)
        await s.up("big", 7.5, by_hand=True)
        s.budget("8 GB")
        await start_marked(s.supervisor)
        server = s.bus.servers["next"]
        assert server.state is ServerState.FAILED
        failure = server.failure
        assert failure is not None
        assert failure.code is ErrorCode.NO_ROOM
        assert "Not started with the app" in failure.message
        assert "of 8.0 GB" in failure.hint
        # Nothing was loaded in vain, so no request has to wait for that.
        s.hold(big=1)
        await s.supervisor.ensure("next")
        assert s.state("next") is ServerState.READY

    run(scenario)


def test_start_with_the_app_starts_what_fits() -> None:
    async def scenario(s: Street) -> None:
        s.add("next", start_with_app=True)
        await start_marked(s.supervisor)
        assert s.state("next") is ServerState.READY

    run(scenario)
