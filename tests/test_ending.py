"""The note of a live run: what it tells the next one, and that an orderly end removes it."""

import os
import signal
from pathlib import Path

import pytest
from engine_kit import new_home, running_engine, spawn_engine, until

from app.ending import BadEnd, Cause, Ending


def test_run_that_ended_in_order_is_not_told() -> None:
    note = Ending("app")
    assert note.begin(1) is None
    note.end()
    assert Ending("app").begin(2) is None


@pytest.mark.parametrize(("boot", "cause"), [("one", Cause.DIED), ("two", Cause.COMPUTER)])
def test_run_without_an_end_is_told_with_its_cause_once(boot: str, cause: Cause) -> None:
    assert Ending("app", boot=lambda: "one").begin(11) is None
    later = Ending("app", boot=lambda: boot)
    found = later.begin(12)
    assert found is not None
    assert (found.cause, found.pid) == (cause, 11)
    later.end()
    assert Ending("app", boot=lambda: boot).begin(13) is None


@pytest.mark.parametrize("torn", [b"", b'{"pid": 1, "bo', bytes(80)])
def test_torn_note_counts_as_a_power_cut(home: Path, torn: bytes) -> None:
    (home / "run").mkdir()
    (home / "run" / "app.alive").write_bytes(torn)
    assert Ending("app").begin(1) == BadEnd(Cause.COMPUTER, 0, 0.0, "")


def test_boot_has_a_name_that_stays() -> None:
    first, second = Ending("app"), Ending("app")
    assert first._boot() == second._boot() != ""


def test_killed_engine_is_told_by_the_next_one_and_a_stopped_one_is_not(homes: Path) -> None:
    home = new_home(homes)
    killed = spawn_engine(home)
    until((home / "run" / "engine.json").exists)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert killed.stdout is not None
    killed.stdout.close()
    with running_engine(homes, home=home) as engine:
        told = engine.call("GET", "/api/engine").json["last_end"]
        assert told == ("The engine did not end properly last time: it crashed or it was killed.")
        assert f"That was process {killed.pid}." in engine.log
    with running_engine(homes, home=home) as engine:
        assert engine.call("GET", "/api/engine").json["last_end"] == ""


def test_engine_that_crashes_leaves_its_stack_and_the_next_one_says_where(homes: Path) -> None:
    home = new_home(homes)
    crashed = spawn_engine(home)
    until((home / "run" / "engine.json").exists)
    os.kill(crashed.pid, signal.SIGSEGV)
    assert crashed.wait() == -signal.SIGSEGV
    assert crashed.stdout is not None
    crashed.stdout.close()
    stack = (home / "logs" / "engine-crash.log").read_text()
    assert "Segmentation fault" in stack
    assert "app/engine/main.py" in stack
    with running_engine(homes, home=home) as engine:
        told = engine.call("GET", "/api/engine").json["last_end"]
        assert "engine-crash.log beside its log tells where." in told


def test_server_that_crashes_leaves_its_stack_in_the_kept_log(homes: Path) -> None:
    with running_engine(homes) as engine:
        pid = engine.start("demo").pid
        assert pid is not None
        os.kill(pid, signal.SIGSEGV)
        until(lambda: engine.call("GET", "/api/servers/demo").json["state"] == "failed")
        server = engine.settle("demo")
        assert server.failure is not None
        assert server.failure.log_tail[-1] == "Fatal Python error: Segmentation fault"
        kept = (engine.home / "logs" / "servers" / "demo.log.crash").read_text()
        assert "mlx_lm/server.py" in kept


def test_logs_of_workers_and_crashes_stay_bounded_while_the_engine_runs(homes: Path) -> None:
    home = new_home(homes)
    (home / "logs").mkdir()
    logs = [home / "logs" / name for name in ("hub.log", "downloads.log", "engine-crash.log")]
    for log in logs:
        log.write_text("early\n" * 900_000 + "the end\n")
    with running_engine(homes, home=home):
        until(lambda: all(log.stat().st_size <= 1_000_000 for log in logs))
    assert all(log.read_text().endswith("early\nthe end\n") for log in logs)
