"""The log files of servers: bounded, kept and removed as the policy says, and no file left open."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_kit import fake_server, running_engine
from faults.fault_kit import READY, World, open_files, run, so
from patience import DEADLINE_S

from app import paths
from app.engine.supervisor import logfiles
from app.wire.nouns import ServerState

_S = ServerState


@pytest.fixture(autouse=True)
def failures_are_told(allow_log: Callable[[str], None]) -> None:
    allow_log(r"server p failed")


def log(name: str = "p.log") -> Path:
    path = paths.logs() / "servers" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def names() -> list[str]:
    return sorted(path.name for path in log().parent.iterdir())


def test_clean_stops_keep_the_last_three_runs() -> None:
    async def scenario(one: World) -> None:
        for _ in range(5):
            await one.start()
            await one.stop()
        assert list(one.logs) == ["p.log", "p.log.1", "p.log.2"]

    run(scenario, "print:a run", *READY)


def test_log_of_a_crash_stays_until_its_tile_is_dismissed() -> None:
    async def scenario(one: World) -> None:
        one.supervisor.start("p")
        await one.until_state(_S.FAILED)
        one.runtime.words = READY
        for _ in range(5):
            await one.start()
            await one.stop()
        assert log("p.log.crash").read_text() == "why it crashed\n"
        await one.supervisor.remove("p")
        assert "p.log.crash" not in one.logs

    run(scenario, "print:why it crashed", "exit:1")


def test_later_crash_takes_the_place_of_an_earlier_one() -> None:
    async def scenario(one: World) -> None:
        for text in ("first", "second"):
            one.runtime.words = (f"print:{text}", "exit:1")
            one.supervisor.start("p")
            await one.supervisor.settled("p", DEADLINE_S)
        assert log("p.log.crash").read_text() == "second\n"

    run(scenario)


def test_log_that_is_cut_while_it_is_written_has_no_hole_and_loses_no_server() -> None:
    appended = os.open(log(), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(appended, b"first\n" * 1000)
        assert not logfiles.shorten(log(), max_bytes=6000)
        assert logfiles.shorten(log(), max_bytes=600)
        os.write(appended, b"after\n")
    finally:
        os.close(appended)
    assert log().read_bytes() == b"after\n"
    assert log("p.log.0").read_bytes() == b"first\n" * 100
    assert log("p.log.0").stat().st_mode & 0o777 == 0o600
    assert logfiles.tail(log(), 20) == "first\nfirst\nafter\n"


def test_cut_of_a_log_that_is_gone_is_nothing() -> None:
    assert not logfiles.shorten(log("gone.log"))


def test_crash_right_after_a_cut_still_keeps_the_lines_before_it() -> None:
    log().write_bytes(b"the reason\n" * 100)
    logfiles.shorten(log(), max_bytes=110)
    logfiles.keep_crash(log())
    logfiles.begin(log())
    assert names() == ["p.log.1", "p.log.crash", "p.log.crash.0"]
    logfiles.drop_crash(log())
    assert names() == ["p.log.1"]


def test_crash_on_a_disk_without_hard_links_is_kept_as_a_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    log().write_text("the reason\n")
    logfiles.keep_crash(log())
    logfiles.begin(log())
    assert log("p.log.crash").read_text() == "the reason\n"


def test_logs_that_cannot_be_written_are_told_and_stop_nothing(
    monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("could not be cut")
    expect_log("could not be kept")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("disk full")

    log().write_text("a line\n")
    monkeypatch.setattr(logfiles, "shorten", refuse)
    monkeypatch.setattr(logfiles, "_link", refuse)
    logfiles.shorten_all([log()])
    logfiles.keep_crash(log())


def test_sweep_removes_only_what_no_profile_has() -> None:
    kept = ["p.log", "p.log.1", "p.log.crash", "other.txt"]
    for name in [*kept, "q.log", "q.log.0", "q.log.3", "q.log.crash", "q.log.crash.0"]:
        log(name).write_text("x")
    logfiles.sweep({"p"})
    assert names() == sorted(kept)


def test_engine_sweeps_at_its_start_and_deletes_logs_with_their_profile(homes: Path) -> None:
    with running_engine(homes) as one:
        one.write_profile("mine", 'name = "Mine"\nmodel = "demo"\n')
        folder = one.home / "logs" / "servers"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("mine.log", "mine.log.crash", "gone.log", "gone.log.crash"):
            (folder / name).write_text("x")
        home = one.home
        one.stop()
    with running_engine(homes, home=home) as one:
        assert sorted(path.name for path in folder.iterdir()) == ["mine.log", "mine.log.crash"]
        assert one.call("DELETE", "/api/profiles/mine").status == 204
        assert not list(folder.iterdir())


def test_thirty_starts_and_stops_leave_no_file_open() -> None:
    async def scenario(one: World) -> None:
        await one.start()
        await one.stop()
        before = open_files()
        for number in range(30):
            one.runtime.words = READY if number % 3 else ("exit:1",)
            one.supervisor.start("p")
            await one.supervisor.settled("p", DEADLINE_S)
            if number % 3:
                await one.stop()
        await asyncio.sleep(0)
        assert open_files() <= before

    run(scenario)


def test_stranger_that_holds_the_pipe_costs_no_open_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.supervisor.life._END_S", 0.2)

    async def scenario(one: World) -> None:
        before = open_files()
        monkeypatch.setattr(
            one.runtime, "command", lambda *_: fake_server("escape", "listening:1", "loaded"),
            raising=False,
        )  # fmt: skip
        server = await one.start()
        (stranger,) = one.process.children()
        try:
            await one.stop()
            assert stranger.is_running()
            # Later than the end of the transport, but long before the stranger's.
            await so(lambda: open_files() <= before)
            assert stranger.is_running(), server
        finally:
            stranger.kill()

    run(scenario)
