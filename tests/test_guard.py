"""The guard, as a real process with a fake server behind it."""

import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from engine_kit import DEADLINE_S, Guarded, fake_server, family, guarded, wait_gone


def ready_family(guard: Guarded) -> list[psutil.Process]:
    """The server and all below it, once the fake server says that it is set up."""
    pid = guard.lines.event("spawned")["pid"]
    guard.lines.event("loaded")
    return family(pid)


def test_order_of_a_good_command_reports_spawned_then_exited(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("print:hello", "importing", "exit:3")) as guard:
        spawned = guard.lines.event()
        assert spawned["event"] == "spawned"
        assert guard.lines.event() == {"event": "importing", "pid": spawned["pid"]}
        assert guard.lines.event() == {"event": "exited", "code": 3}
        assert guard.lines.next() is None
        assert guard.process.wait(DEADLINE_S) == 0
    assert guard.log.read_text() == "hello\n"
    assert guard.log.stat().st_mode & 0o077 == 0


def test_server_that_is_killed_reports_the_signal(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("die:9")) as guard:
        assert guard.lines.event("exited") == {"event": "exited", "signal": 9}


@pytest.mark.parametrize("argv", [["/no/such/program"], [sys.executable, "-c", "\0"]])
def test_command_that_cannot_start_reports_spawn_failed(tmp_path: Path, argv: list[str]) -> None:
    with guarded(tmp_path, argv) as guard:
        event = guard.lines.event()
        assert event["event"] == "spawn_failed"
        assert event["error"]
        assert guard.process.wait(DEADLINE_S) == 1


def test_stop_of_a_willing_server_ends_it_without_kill(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("loaded")) as guard:
        members = ready_family(guard)
        guard.order({"stop": 30.0})
        assert guard.lines.event("exited") == {"event": "exited", "signal": signal.SIGTERM}
        wait_gone(members)


def test_stop_when_sigterm_is_ignored_ends_the_whole_group(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("stubborn", "child", "loaded")) as guard:
        members = ready_family(guard)
        assert len(members) == 2
        began = time.monotonic()
        guard.order({"stop": 0.3})
        assert guard.lines.event("exited") == {"event": "exited", "signal": signal.SIGKILL}
        assert time.monotonic() - began >= 0.3
        # By the time of the event, not some time later.
        wait_gone(members, 0.1)


def test_second_stop_with_a_shorter_grace_counts(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("stubborn", "loaded")) as guard:
        ready_family(guard)
        guard.order({"stop": 600.0})
        guard.order({"stop": 0.1})
        assert guard.lines.event("exited")["signal"] == signal.SIGKILL


def test_server_that_ends_alone_takes_its_children_along(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("child", "loaded", "sleep:0.3", "exit:0")) as guard:
        members = ready_family(guard)
        assert guard.lines.event("exited")["code"] == 0
        wait_gone(members, 0.1)


def test_bugfix_02_end_of_standard_input_ends_the_group(tmp_path: Path) -> None:
    argv = fake_server("stubborn", "child", "loaded")
    with guarded(tmp_path, argv, grace_s=0.3) as guard:
        members = ready_family(guard)
        guard.hang_up()
        assert guard.lines.event("exited")["signal"] == signal.SIGKILL
        wait_gone(members, 0.1)


def test_end_of_standard_input_before_an_order_ends_the_guard(tmp_path: Path) -> None:
    with guarded(tmp_path, None) as guard:
        guard.hang_up()
        assert guard.lines.next() is None
        assert guard.process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_to_the_guard_ends_the_group(tmp_path: Path, number: int) -> None:
    with guarded(tmp_path, fake_server("loaded")) as guard:
        members = ready_family(guard)
        guard.process.send_signal(number)
        assert guard.lines.event("exited")["signal"] == signal.SIGTERM
        wait_gone(members)


def test_order_that_makes_no_sense_ends_the_group(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("stubborn", "loaded")) as guard:
        members = ready_family(guard)
        guard.order("nonsense")
        wait_gone(members)
        assert guard.process.wait(DEADLINE_S) != 0


def test_bugfix_02_guard_that_is_killed_takes_the_server_along(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("child", "loaded", "owned")) as guard:
        members = ready_family(guard)
        guard.process.kill()
        wait_gone(members)


def test_guard_with_a_closed_event_pipe_still_ends_the_group(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("loaded")) as guard:
        members = ready_family(guard)
        assert guard.process.stdout is not None
        guard.process.stdout.close()
        guard.hang_up()
        wait_gone(members)
        assert guard.process.wait(DEADLINE_S) == 0


def test_guard_stays_small(tmp_path: Path) -> None:
    with guarded(tmp_path, fake_server("loaded")) as guard:
        ready_family(guard)
        memory = psutil.Process(guard.process.pid).memory_info().rss
    # 11 MB were measured on Linux; msgspec or asyncio would add 10.
    assert memory < 20_000_000
