"""Each way in which a server fails: state, sentence, and nothing left of it."""

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from engine_kit import family, wait_gone
from faults import figures
from faults.fault_kit import (
    PROC_FILES,
    READY,
    World,
    ask,
    quick_stand_in,
    run,
    so,
    stranger_on_a_port,
    used_memory,
)

from app import paths
from app.engine.supervisor import logfiles, preflight, probe, supervisor
from app.wire.errors import ErrorCode
from app.wire.nouns import Server, ServerState

_S = ServerState


@pytest.fixture(autouse=True)
def failures_are_told(allow_log: Callable[[str], None]) -> None:
    """A failure is a warning in the log; these tests look at the server instead."""
    allow_log(r"server p failed|server p: .*Next try|has generated nothing")


@pytest.fixture(scope="module", autouse=True)
def told_in_the_document(request: pytest.FixtureRequest) -> Iterator[None]:
    """Count this module's tests into the document, unless one of them fails."""
    session = request.session
    before = session.testsfailed
    yield
    mine = [item for item in session.items if item.path == request.path]
    is_whole = len(mine) >= sum(name.startswith("test_") for name in globals())
    if is_whole and session.testsfailed == before:
        figures.record(
            "every known way in which a server fails, one by one",
            len(mine),
            "only the failed server; its tile says why, and nothing of it is left",
            "make test ARGS=tests/faults/test_failure_modes.py",
        )


def check_failed(server: Server, code: ErrorCode, sentence: str) -> None:
    assert server.state is _S.FAILED
    assert server.failure is not None
    assert server.failure.code is code
    assert sentence in server.failure.message
    assert server.failure.message.endswith(".")
    assert server.failure.hint
    assert (server.pid, server.port) == (None, None)


def test_server_that_ignores_sigterm_is_killed_after_the_patience() -> None:
    async def scenario(one: World) -> None:
        server = await one.start()
        members = family(server.pid or 0)
        stopped = await one.stop()
        assert stopped.failure is None
        wait_gone(members, 2)
        assert one.history[-2:] == [_S.STOPPING, _S.STOPPED]

    run(scenario, "stubborn", *READY, grace_s=0.2)


def test_server_with_grandchildren_that_dies_takes_them_along() -> None:
    async def scenario(one: World) -> None:
        server = await one.start()
        members = family(server.pid or 0)
        assert len(members) == 3
        one.process.kill()
        check_failed(await one.until_state(_S.FAILED), ErrorCode.SERVER_CRASHED, "signal 9")
        wait_gone(members, 5)

    run(scenario, "child", "child", *READY)


def test_server_that_hangs_after_ready_is_stalled_and_stays_without_the_policy() -> None:
    async def scenario(one: World) -> None:
        server = await one.start()
        request = asyncio.create_task(ask(server.port or 0, timeout_s=20))
        stalled = await one.until_state(_S.STALLED)
        assert stalled.failure is not None
        assert stalled.failure.code is ErrorCode.SERVER_STALLED
        assert "has generated nothing for" in stalled.failure.message
        assert stalled.pid == server.pid
        assert one.supervisor.ready()
        stopped = await one.stop()
        assert stopped.restarts == 0
        await request

    run(scenario, "mode:silent", *READY, patience_s=0.5)


def test_server_that_hangs_after_ready_is_restarted_with_the_policy() -> None:
    async def scenario(one: World) -> None:
        first = await one.start()
        one.runtime.words = READY
        request = asyncio.create_task(ask(first.port or 0, timeout_s=20))
        second = await one.until(lambda s: s.state is _S.READY and s.pid != first.pid)
        assert second.restarts == 1
        assert one.removals == 0
        assert _S.STALLED in one.history
        assert _S.BACKING_OFF in one.history
        assert _S.STOPPED not in one.history
        await request

    run(scenario, "mode:silent", *READY, patience_s=0.5, policy={"restart_stalled": True})


def test_hung_server_fails_the_idle_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "EVERY_S", 0.3)
    monkeypatch.setattr(probe, "_PATIENCE_S", 0.3)

    async def scenario(one: World) -> None:
        await one.start()
        stalled = await one.until_state(_S.STALLED)
        assert stalled.failure is not None
        assert stalled.failure.code is ErrorCode.SERVER_STALLED

    run(scenario, "mode:silent", *READY)


def test_server_that_floods_its_log_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_LOGS_S", 0.1)
    monkeypatch.setattr(logfiles, "MAX_BYTES", 2_000_000)
    cut = logfiles.shorten
    monkeypatch.setattr(logfiles, "shorten", lambda log: cut(log, max_bytes=2_000_000))

    async def scenario(one: World) -> None:
        server = await one.start()
        await so(lambda: "p.log.0" in one.logs and one.logs["p.log"] <= 2_000_000)
        assert one.logs["p.log.0"] <= 4_000_000
        assert one.server.pid == server.pid
        text = logfiles.log_file("p").with_name("p.log.0").read_bytes()
        assert b"\0" not in text
        assert b"the same line again and again" in text

    run(scenario, *READY, "flood:30")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("print:Killed", "exit:1"), ErrorCode.SERVER_CRASHED, "ended by an error (exit status 1)"),
        (("die:11",), ErrorCode.SERVER_CRASHED, "SIGSEGV"),
        (("die:7",), ErrorCode.SERVER_CRASHED, "SIGBUS"),
        (("failed:No safetensors found in /x", "exit:71"), ErrorCode.MODEL_BROKEN, "weights"),
    ],
)
def test_server_that_dies_while_loading_says_why(
    words: tuple[str, ...], code: ErrorCode, sentence: str
) -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        check_failed(await one.until_state(_S.FAILED), code, sentence)
        assert _S.READY not in one.history
        assert "p.log.crash" in one.logs

    run(scenario, "importing", "loading", *words)


@pytest.mark.parametrize("words", [("importing", "loading", "sleep:600"), ("sleep:600",)])
def test_server_that_loads_for_too_long_is_ended(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "start_deadline_s", lambda _: 0.6)

    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        failed = await one.until_state(_S.FAILED)
        check_failed(failed, ErrorCode.START_TIMEOUT, "did not become ready in time")

    run(scenario, *words)


def test_server_with_garbage_on_the_event_pipe_works(expect_log: Callable[[str], None]) -> None:
    expect_log("a line that is no event")
    expect_log("too long")

    async def scenario(one: World) -> None:
        server = await one.start()
        assert server.pid != 1
        assert b"[DONE]" in await ask(server.port or 0)
        await one.stop()

    run(scenario, "garbage", *READY, "garbage")


def test_ready_server_that_reports_a_second_life_is_not_believed() -> None:
    async def scenario(one: World) -> None:
        server = await one.start()
        await one.until(lambda s: s.state is _S.READY)
        await ask(server.port or 0)
        await one.tick()
        assert (one.server.pid, one.server.port) == (server.pid, server.port)
        assert one.server.phase is None

    run(scenario, *READY, "late-garbage")


def test_server_that_claims_its_own_end_is_ended_for_real(
    allow_log: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_log("did not end in time")
    monkeypatch.setattr("app.engine.supervisor.life._END_S", 0.3)

    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        await one.until(lambda s: s.pid is not None)
        server = one.process
        await one.until_state(_S.FAILED)
        # Process 1 reaps an orphan, which takes its time in some containers.
        wait_gone([server], 5)

    run(scenario, "stubborn", "child", *READY[:3], "claim-exit")


def test_port_that_a_stranger_took_is_told_and_the_stranger_is_left_alone() -> None:
    async def scenario(one: World) -> None:
        with stranger_on_a_port() as port:
            (paths.home() / "port").write_text(str(port))
            one.runtime.words = ("importing", "loading", f"steal:{paths.home() / 'port'}")
            one.supervisor.start("p")
            failed = await one.until_state(_S.FAILED)
            check_failed(failed, ErrorCode.PORT_BUSY, "port")
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()

    run(scenario)


@pytest.mark.parametrize(
    ("free_bytes", "code", "words"),
    [
        (2**30, ErrorCode.OUT_OF_MEMORY, "probably because memory ran out"),
        (
            12 * 2**30,
            ErrorCode.SERVER_CRASHED,
            "by a program or by hand; 75% of the memory was free",
        ),
    ],
)
def test_server_that_is_killed_says_memory_only_where_it_was_short(
    free_bytes: int, code: ErrorCode, words: str
) -> None:
    async def scenario(one: World) -> None:
        one.supervisor._sampler._used_memory = lambda: 2**34 - free_bytes
        server = await one.start()
        await so(lambda: one.process.memory_info().rss > 100 << 20)
        # The figure of a whole tick, not the one that was under way.
        for _ in range(2):
            await one.tick()
        os.kill(server.pid or 0, signal.SIGKILL)
        failed = await one.until_state(_S.FAILED)
        check_failed(failed, code, words)

    run(scenario, *READY, "grow:150")


def test_stop_tells_what_came_back_and_never_less_than_before() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        await so(lambda: one.supervisor._tasks["p"]._memory > 600 << 20)
        # Another program takes 150 MB and gives them back, all the time.
        noise = itertools.cycle([0, 0, 150 << 20])
        one.supervisor._sampler._used_memory = lambda: used_memory() + next(noise)
        stopped = await one.stop()
        held = stopped.held_bytes or 0
        assert held > 600 << 20
        told = [s.released_bytes for s in one.seen if s.state is _S.STOPPING and s.released_bytes]
        assert told == sorted(told)
        # Told while it goes, not only at the end.
        assert [value for value in told if value < 0.8 * held]
        assert held >= (stopped.released_bytes or 0) >= 0.9 * held
        await one.tick()
        assert one.server.released_bytes == stopped.released_bytes

    run(scenario, "grow:600", "release:0.15", *READY)


def test_server_that_ends_with_status_0_is_a_failure() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        failed = await one.until_state(_S.FAILED)
        check_failed(failed, ErrorCode.SERVER_CRASHED, "without an error (exit status 0)")

    run(scenario, *READY, "sleep:0.3", "exit:0")


def test_server_at_full_processor_load_is_not_stalled() -> None:
    async def scenario(one: World) -> None:
        server = await one.start()
        for _ in range(8):
            await ask(server.port or 0)
            await asyncio.sleep(0.1)
        assert one.server.state in (_S.READY, _S.BUSY)
        assert _S.STALLED not in one.history
        await one.stop()

    run(scenario, *READY, "burn", patience_s=2.0)


def test_server_that_answers_half_a_stream_and_dies_is_started_again() -> None:
    async def scenario(one: World) -> None:
        first = await one.start()
        one.runtime.words = READY
        answer = await ask(first.port or 0)
        assert b"data: " in answer
        assert b"[DONE]" not in answer
        second = await one.until(lambda s: s.state is _S.READY and s.pid != first.pid)
        assert second.restarts == 1
        assert one.removals == 0
        assert b"[DONE]" in await ask(second.port or 0)

    run(scenario, "mode:half", *READY, policy={"auto_restart": "on crash"})


def test_server_whose_guard_is_killed_is_ended_though_it_does_not_care(
    monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("has lost its guard")
    quick_stand_in(monkeypatch)

    async def scenario(one: World) -> None:
        server = await one.start()
        members = family(server.pid or 0)
        one.guard.kill()
        failed = await one.until_state(_S.FAILED)
        check_failed(failed, ErrorCode.SERVER_CRASHED, "guard")
        wait_gone(members, 5)

    run(scenario, "child", *READY, grace_s=0.2)


def test_stop_ends_though_the_guard_hangs(
    monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("has lost its guard")
    expect_log("did not end in time")
    quick_stand_in(monkeypatch)
    monkeypatch.setattr("app.engine.supervisor.life._END_S", 0.1)

    async def scenario(one: World) -> None:
        await one.start()
        one.guard.suspend()
        await one.stop()

    run(scenario, *READY, grace_s=0.2)


def test_server_that_is_suspended_is_killed_after_the_patience() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        one.process.suspend()
        await one.stop()

    run(scenario, *READY, grace_s=0.2)


def test_server_that_closes_its_pipes_is_still_followed_to_its_end() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        one.process.kill()
        await one.until_state(_S.FAILED)

    run(scenario, *READY[:4], "close-pipes")


@pytest.mark.skipif(not PROC_FILES.is_dir(), reason="finds its log in /proc")
def test_server_that_deletes_its_log_fails_in_words_all_the_same() -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        failed = await one.until_state(_S.FAILED)
        check_failed(failed, ErrorCode.SERVER_CRASHED, "exit status 3")
        assert failed.failure is not None
        assert failed.failure.log_tail == ()

    run(scenario, "unlink-log", "exit:3")
