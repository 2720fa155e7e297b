"""Servers on demand: started by a request, stopped when nobody asks any more."""

import asyncio
import time
from typing import Any

import msgspec
import pytest
from test_supervisor import World, run

from app.engine.supervisor import demand
from app.gateway import Upstream
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Failure, Server, ServerState
from app.wire.options import OptionValue, check_options
from app.wire.policy import POLICIES, idle_stop_s

MINUTE_S = 60.0


def set_policy(w: World, **policy: OptionValue) -> None:
    profile = w.bus.profiles["p"]
    w.bus.put(msgspec.structs.replace(profile, policy=check_options(policy, POLICIES)))


def let_pass(w: World, seconds: float) -> None:
    """Make the server believe that its last request was so long ago."""
    w.supervisor._tasks["p"]._watchdog._active_at -= seconds


def test_ensure_starts_once_for_all_who_wait() -> None:
    async def scenario(w: World) -> None:
        found = await asyncio.gather(*(w.supervisor.ensure("p") for _ in range(5)))
        assert {upstream.port for upstream in found} == {5000}
        assert len(w.pids) == 1
        assert await w.supervisor.ensure("p") == found[0]
        assert w.server.restarts == 0

    run(scenario)


def test_ensure_of_a_stopping_server_starts_it_again() -> None:
    async def scenario(w: World) -> None:
        await w.start()
        w.supervisor.stop("p")
        upstream = await w.supervisor.ensure("p")
        assert isinstance(upstream, Upstream)
        assert w.server.state is ServerState.READY

    run(scenario)


def test_ensure_of_a_profile_that_is_deleted_meanwhile_says_so() -> None:
    async def scenario(w: World) -> None:
        await w.start()
        w.supervisor.stop("p")
        waiting = asyncio.create_task(w.supervisor.ensure("p"))
        await asyncio.sleep(0)
        w.bus.remove(w.bus.profiles["p"])
        with pytest.raises(AppError, match="There is no profile"):
            await waiting

    run(scenario)


@pytest.mark.expect_log("server p")
def test_ensure_of_a_broken_server_raises_its_reason_and_does_not_try_at_once_again() -> None:
    async def scenario(w: World) -> None:
        for _ in range(3):
            with pytest.raises(AppError, match="load: boom") as caught:
                await w.supervisor.ensure("p")
            assert caught.value.hint == "a hint"
        assert len(w.pids) == 1

    run(scenario, "failed:boom", "exit:1")


def test_ensure_raises_when_the_start_is_stopped() -> None:
    async def scenario(w: World) -> None:
        waiting = asyncio.create_task(w.supervisor.ensure("p"))
        await asyncio.sleep(0)
        await w.until(lambda server: server.pid is not None)
        w.supervisor.stop("p")
        with pytest.raises(AppError, match="did not become ready") as caught:
            await waiting
        assert caught.value.code is ErrorCode.SERVER_NOT_READY

    run(scenario, "importing")


def test_caller_that_gives_up_does_not_stop_the_start() -> None:
    async def scenario(w: World) -> None:
        waiting = asyncio.create_task(w.supervisor.ensure("p"))
        await asyncio.sleep(0)
        await w.until(lambda server: server.state is ServerState.STARTING)
        waiting.cancel()
        assert (await w.settled()).state is ServerState.READY

    run(scenario)


@pytest.mark.parametrize(
    ("state", "age_s", "expected"),
    [
        (ServerState.STOPPED, 0.0, True),
        (ServerState.STOPPING, 0.0, True),
        (ServerState.STARTING, 0.0, False),
        (ServerState.READY, 0.0, False),
        # Its own clock starts it; a start by a request would forget how often it has crashed.
        (ServerState.BACKING_OFF, 0.0, False),
        (ServerState.FAILED, 40.0, True),
        (ServerState.FAILED, 1.0, None),
    ],
)
def test_start_is_needed_only_where_none_is_under_way(
    state: ServerState, age_s: float, expected: bool | None
) -> None:
    failure = Failure(ErrorCode.MODEL_BROKEN, "It is broken.")
    server = Server("p", "P", "m", state, time.time() - age_s, failure=failure)
    if expected is None:
        with pytest.raises(AppError, match=r"It is broken\."):
            demand.needs_start(server)
    else:
        assert demand.needs_start(server) is expected


def test_idle_server_is_stopped_after_its_time() -> None:
    async def scenario(w: World) -> None:
        set_policy(w, idle_stop_minutes=5)
        await w.start()
        let_pass(w, 4.9 * MINUTE_S)
        w.supervisor.stop_idle()
        assert w.server.state is ServerState.READY
        let_pass(w, 0.2 * MINUTE_S)
        w.supervisor.open_requests = lambda _: 1
        w.supervisor.stop_idle()
        assert w.server.state is ServerState.READY
        w.supervisor.open_requests = lambda _: 0
        w.supervisor.stop_idle()
        assert (await w.settled()).state is ServerState.STOPPED
        assert w.server.stop_reason == "Stopped after 5 min without a request."

    run(scenario)


@pytest.mark.parametrize(
    "policy", [{}, {"idle_stop_minutes": 0}, {"idle_stop_minutes": 1, "pinned": True}]
)
def test_server_without_the_wish_or_with_a_pin_stays(policy: dict[str, Any]) -> None:
    async def scenario(w: World) -> None:
        set_policy(w, **policy)
        await w.start()
        let_pass(w, 10_000 * MINUTE_S)
        w.supervisor.stop_idle()
        assert w.server.state is ServerState.READY

    run(scenario)


def test_known_tells_what_a_request_may_start() -> None:
    async def scenario(w: World) -> None:
        assert [served.starts_on_request for served in w.supervisor.known()] == [False]
        set_policy(w, start_on_request=True)
        (served,) = w.supervisor.known()
        assert (served.profile_id, served.starts_on_request, served.ready) == ("p", True, False)

    run(scenario)


@pytest.mark.parametrize("minutes", [-1, 10_081, 1.5, "5", True])
def test_idle_time_outside_its_range_is_refused(minutes: Any) -> None:
    with pytest.raises(AppError, match="idle_stop_minutes"):
        check_options({"idle_stop_minutes": minutes}, POLICIES)


def test_idle_time_is_never_by_default() -> None:
    assert idle_stop_s({}) is None
    assert idle_stop_s({"idle_stop_minutes": 2}) == 120.0
