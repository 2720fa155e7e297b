"""The engine of a home that starts, hangs, crashes, is another's or of another version."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from app_kit import App, running_app
from engine_kit import (
    DEADLINE_S,
    RunningEngine,
    environment,
    family,
    running_engine,
    spawn_engine,
    until,
    wait_gone,
)
from faults import figures

from app import paths
from app.ending import Ending
from app.wire import API_VERSION

LIVE = "Engine running on"
COMMAND = "make test ARGS=tests/faults/test_engines.py"
SILENT = "The engine does not answer"
TAKE_OVER = "End it and start anew"
EXIT_RUNNING = 6
OLDER = f"""
import app.wire
app.wire.API_VERSION = {API_VERSION + 1}
"""
LATE = """
import os, sys, time
if "engine" in sys.argv or "engine" in sys.orig_argv:
    fsync = os.fsync
    os.fsync = lambda descriptor: (time.sleep(1.5), fsync(descriptor))[1]
"""


def engines(home: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if is_engine_of(p, home)]


def is_engine_of(process: psutil.Process, home: Path) -> bool:
    try:
        is_engine = "engine" in process.cmdline()
        return is_engine and process.environ().get("MLX_MANAGER_HOME") == str(home)
    except psutil.Error:
        return False


def end_running(home: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*paths.program("engine"), "--end"],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env=environment(home),
        cwd=paths.program_root(),
    )


def customized(folder: Path, text: str) -> dict[str, str]:
    """Return the environment of a Python that runs this text at its start."""
    (folder / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(folder), paths.program_root() or "."])}


def test_second_engine_of_a_home_ends_and_the_first_goes_on(home: Path) -> None:
    with running_engine(home, home=home) as first:
        for _ in range(3):
            second = spawn_engine(home)
            assert second.wait(DEADLINE_S) == EXIT_RUNNING
            assert second.stdout is not None
            second.stdout.close()
            assert "already runs" in (home / "errors").read_text()
        assert first.call("GET", "/health").status == 200
        assert len(engines(home)) == 1
    figures.record(
        "two engines on one home", 3, "nothing; the second ends with a sentence", COMMAND
    )


def test_window_waits_for_an_engine_that_starts_and_uses_it(home: Path, tmp_path: Path) -> None:
    late = spawn_engine(home, env=customized(tmp_path, LATE))
    try:
        until((home / "run" / "engine.lock").exists)
        with running_app(home) as app:
            app.until_says("An engine is starting…")
            app.until_says(LIVE)
            assert [p.pid for p in engines(home)] == [late.pid]
            assert app.quit() == 0
            late.terminate()
            assert late.wait(DEADLINE_S) == 0
    finally:
        late.kill()
        late.wait()
        if late.stdout is not None:
            late.stdout.close()


def hang(engine: RunningEngine) -> None:
    engine.process.send_signal(signal.SIGSTOP)


def test_engine_that_hangs_is_told_and_used_as_soon_as_it_answers(home: Path) -> None:
    with running_engine(home, home=home) as engine:
        hang(engine)
        with running_app(home) as app:
            app.until_says(SILENT)
            assert not app.says(TAKE_OVER) or app.says("Show log")
            engine.process.send_signal(signal.SIGCONT)
            app.until_says(LIVE)
            assert [p.pid for p in engines(home)] == [engine.process.pid]
            assert app.quit() == 0
            engine.stop()


def test_engine_that_hangs_is_ended_on_the_users_word(home: Path) -> None:
    with running_engine(home, home=home) as engine:
        engine.start("demo")
        servers = family(engine.process.pid)[1:]
        hang(engine)
        with running_app(home) as app:
            app.until_says(SILENT)
            app.press(TAKE_OVER)
            app.until_says("Its server Demo is stopped.")
            press_in_question(app)
            app.until_says(LIVE)
            # It lets go of its lock a moment before it is gone.
            engine.process.wait(DEADLINE_S)
            wait_gone(servers)
            assert app.quit() == 0
    figures.record(
        "engine of the home that starts or hangs while the app opens",
        3,
        "nothing; it is waited for, and ended on the user's word only",
        COMMAND,
    )


def press_in_question(app: App) -> None:
    until(lambda: app.ask("answer", TAKE_OVER))


def test_engine_of_another_version_is_replaced_on_the_users_word(
    home: Path, tmp_path: Path
) -> None:
    with running_engine(home, home=home, env=customized(tmp_path, OLDER)) as engine:
        profile = {"name": "My assistant", "model": "demo"}
        assert engine.call("POST", "/api/profiles", profile).status == 201
        answer = engine.call("POST", "/api/servers/my-assistant/start")
        assert answer.status == 202, answer.body
        until(lambda: any((home / "run" / "servers").glob("*.json")))
        servers = family(engine.process.pid)[1:]
        with running_app(home) as app:
            app.until_says(f"speaks version {API_VERSION + 1}, this app {API_VERSION}")
            app.press("Use one of this version…")
            app.until_says("Its server My assistant is stopped.")
            press_in_question(app)
            app.until_says(LIVE)
            assert engine.process.wait(DEADLINE_S) == 0
            wait_gone(servers)
            assert app.quit() == 0
    figures.record(
        "engine of another version in the home",
        1,
        "nothing; it is ended in order on the user's word, its servers are named first",
        COMMAND,
    )


def test_process_that_only_has_the_number_of_an_engine_is_never_ended(home: Path) -> None:
    (home / "run").mkdir()
    stranger = subprocess.Popen([sys.executable, "-c", "input()", "engine"], stdin=subprocess.PIPE)
    try:
        with paths.engine_lock().open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            Ending("engine").begin(stranger.pid)
            note = paths.run() / "engine.alive"
            began = psutil.Process(stranger.pid).create_time()
            text = note.read_text()
            when = text.partition('"started_at": ')[2].partition(",")[0]
            # The engine wrote the note before this process was born.
            note.write_text(text.replace(when, str(began - 60)))
            done = end_running(home)
        assert done.returncode == 1
        assert "Nothing proves which process is the engine" in done.stderr
        assert stranger.poll() is None
    finally:
        stranger.communicate()


def test_own_engine_that_crashes_is_told_in_words_with_log_and_a_new_start(home: Path) -> None:
    with running_app(home) as app:
        app.until_says(LIVE)
        app.ask("close_dialogs")
        (engine,) = engines(home)
        engine.send_signal(signal.SIGSEGV)
        app.until_says("The engine crashed.")
        assert app.says("Show log")
        assert app.says("Not connected. Figures are from")
        assert not app.says("No engine listens")
        app.press("Start again")
        app.until_says(LIVE)
        assert engines(home) != [engine]
        assert app.quit() == 0
    figures.record(
        "crash of the window's own engine, told and started again", 1, "nothing", COMMAND
    )


def test_own_engine_that_hangs_is_told_and_ended_on_the_users_word(home: Path) -> None:
    with running_app(home) as app:
        app.until_says(LIVE)
        app.ask("close_dialogs")
        (engine,) = engines(home)
        engine.send_signal(signal.SIGSTOP)
        app.until_says(SILENT)
        app.press(TAKE_OVER)
        app.until_says(LIVE)
        assert engines(home) != [engine]
        assert app.quit() == 0


def sleep_and_wake(engine: RunningEngine, seconds: float) -> None:
    """Suspend engine, guard and server as a sleep of the computer does, and wake them."""
    everybody = family(engine.process.pid)
    assert len(everybody) >= 3
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for process in everybody:
            process.send_signal(number)
        if number is signal.SIGSTOP:
            # Nothing but time makes a silence.
            time.sleep(seconds)


@pytest.mark.parametrize("seconds", [18.0, pytest.param(40.0, marks=pytest.mark.soak)])
def test_sleep_of_the_computer_ends_and_restarts_nothing(home: Path, seconds: float) -> None:
    with running_engine(home, home=home) as engine:
        text = 'schema = 1\nname = "A"\nmodel = "demo"\n[policy]\nauto_restart = "on crash"\n'
        engine.write_profile("a", text + "restart_stalled = true\n")
        until(lambda: any(p["id"] == "a" for p in engine.call("GET", "/api/profiles").json))
        before = engine.start("a")
        sleep_and_wake(engine, seconds)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            (server,) = engine.call("GET", "/api/servers").json
            assert server["state"] in ("ready", "busy"), server
            assert server["pid"] == before.pid
            time.sleep(0.5)
        assert engine.complete(model="A").status == 200
        engine.stop_server("a")
    figures.record(
        f"sleep of the computer for {seconds:.0f} s under engine, guard and server, then wake",
        1,
        "nothing; the same server is ready again, nothing is restarted",
        COMMAND,
    )
