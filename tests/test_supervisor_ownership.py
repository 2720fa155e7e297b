"""Leftovers of a crash are ended when they are proved to be ours; nobody else is ever signalled."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from engine_kit import wait_gone
from patience import DEADLINE_S

from app import paths
from app.engine.supervisor import runfile
from app.engine.supervisor.runfile import ID_FLAG, ID_VARIABLE, RunFile

# Tells each signal that reaches it, and has a child in its group when asked.
PROCESS = """
import signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "child" in sys.argv:
    subprocess.Popen([sys.executable, "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"
        "time.sleep(600)"], stdout=sys.stdout)
else:
    print(1, flush=True)
time.sleep(600)
"""
Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start processes in groups of their own; whoever is left at the end is killed."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, run_id: str = "") -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, ID_VARIABLE: run_id},
            start_new_session=True,
        )
        processes.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in processes:
        if runfile._group_exists(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(autouse=True)
def leftovers_are_told(allow_log: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    allow_log("was left over")
    monkeypatch.setattr(runfile, "_PATIENCE_S", 0.3)


def write(record: RunFile) -> Path:
    path = paths.run() / "servers" / f"{record.server_id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(record))
    return path


def record_of(process: "subprocess.Popen[bytes]", run_id: str, **changes: Any) -> RunFile:
    created = psutil.Process(process.pid).create_time()
    return msgspec.structs.replace(RunFile("p", process.pid, created, run_id, 5000), **changes)


def is_untouched(process: "subprocess.Popen[bytes]") -> bool:
    return process.poll() is None and psutil.Process(process.pid).status() != "stopped"


def test_leftover_with_its_group_is_ended_and_forgotten(spawn: Spawn) -> None:
    run_id = runfile.new_run_id()
    process = spawn("child", "stubborn", f"{ID_FLAG}={run_id}", run_id=run_id)
    members = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
    assert len(members) == 2
    assert runfile.write("p", process.pid, run_id, 5000) is not None
    assert runfile.reap_leftovers() == ["p"]
    wait_gone(members[1:], 2)
    assert process.wait(DEADLINE_S) == -signal.SIGKILL
    assert not list((paths.run() / "servers").iterdir())
    assert runfile.reap_leftovers() == []


def test_children_of_a_leader_that_is_gone_are_ended(spawn: Spawn) -> None:
    run_id = runfile.new_run_id()
    process = spawn("child", f"{ID_FLAG}={run_id}", run_id=run_id)
    (child,) = psutil.Process(process.pid).children()
    write(record_of(process, run_id))
    process.kill()
    process.wait()
    assert runfile.reap_leftovers() == ["p"]
    wait_gone([child], 2)


def test_children_of_a_leader_that_still_gives_its_memory_back_are_ended(
    spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = runfile.new_run_id()
    process = spawn("child", f"{ID_FLAG}={run_id}", run_id=run_id)
    (child,) = psutil.Process(process.pid).children()
    record = record_of(process, run_id)
    # So the system shows a killed process until its memory is back; with much of it for seconds.
    is_ending = [True]
    for name, nothing in (("cmdline", []), ("environ", {})):
        plain = getattr(psutil.Process, name)
        monkeypatch.setattr(
            psutil.Process,
            name,
            lambda self, plain=plain, nothing=nothing: (
                nothing if is_ending and self.pid == process.pid else plain(self)
            ),
        )
    assert runfile.members(record) == [child]
    monkeypatch.setattr(runfile, "_KILL_S", 0.5)
    assert not runfile.end(record, patience_s=0.1), "its memory is not back yet"
    assert child.status() == psutil.STATUS_ZOMBIE
    assert process.poll() is None
    is_ending.clear()
    process.kill()
    process.wait()
    assert runfile.end(record, patience_s=0.1)


def test_group_without_our_word_is_left_alone_when_its_leader_is_gone(spawn: Spawn) -> None:
    process = spawn("child", run_id="of somebody else")
    (child,) = psutil.Process(process.pid).children()
    write(record_of(process, "ours"))
    process.kill()
    process.wait()
    assert runfile.reap_leftovers() == []
    assert child.is_running()


@pytest.mark.parametrize("changes", [{"created": 1.0}, {"run_id": "another"}, {"created": 4e9}])
def test_stranger_with_the_same_pid_is_never_signalled(
    spawn: Spawn, changes: dict[str, Any]
) -> None:
    process = spawn(f"{ID_FLAG}=ours", run_id="ours")
    write(msgspec.structs.replace(record_of(process, "ours"), **changes))
    assert runfile.reap_leftovers() == []
    assert is_untouched(process)


def test_stranger_with_the_same_arguments_is_never_signalled(spawn: Spawn) -> None:
    ours = spawn(f"{ID_FLAG}=word", run_id="word")
    stranger = spawn(f"{ID_FLAG}=word", run_id="word")
    write(record_of(ours, "word"))
    assert runfile.reap_leftovers() == ["p"]
    assert ours.wait(DEADLINE_S) == -signal.SIGTERM
    assert is_untouched(stranger)


def test_several_leftovers_are_ended_at_the_same_time(
    spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runfile, "_PATIENCE_S", 1.0)
    processes = [spawn("stubborn", f"{ID_FLAG}=w{n}", run_id=f"w{n}") for n in range(3)]
    for number, process in enumerate(processes):
        write(record_of(process, f"w{number}", server_id=f"p{number}"))
    signals: list[tuple[int, signal.Signals]] = []
    plain = runfile._signal

    def watched(records: Collection[RunFile], number: signal.Signals) -> None:
        signals.append((len(records), number))
        plain(records, number)

    monkeypatch.setattr(runfile, "_signal", watched)
    assert runfile.reap_leftovers() == ["p0", "p1", "p2"]
    assert signals == [(3, signal.SIGTERM), (3, signal.SIGKILL)]
    assert [process.wait(DEADLINE_S) for process in processes] == [-signal.SIGKILL] * 3


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"server_id": "p", "pid": "x"})])
def test_run_file_that_makes_no_sense_is_dropped(text: str) -> None:
    path = paths.run() / "servers" / "p.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.with_name(".tmp-p.json-00").write_text("half of one")
    assert runfile.reap_leftovers() == []
    assert not list(path.parent.iterdir())


def test_run_file_of_a_process_that_is_gone_is_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert runfile.write("p", process.pid, "word", None) is None
    assert not (paths.run() / "servers").exists()
    assert runfile.end(RunFile("p", process.pid, 1.0, "word"), patience_s=0.0)


def test_run_file_that_cannot_be_written_is_told(expect_log: Callable[[str], None]) -> None:
    expect_log("no run file could be written")
    paths.run().mkdir(parents=True)
    (paths.run() / "servers").write_text("a file in the way")
    assert runfile.write("p", os.getpid(), "word", None) is None
