"""The disk of a running engine is full, becomes read-only, or is ejected, and comes back."""

import subprocess
from pathlib import Path

import pytest
from download_kit import MB, add_model, check_files, worker
from engine_kit import DEADLINE_S, RunningEngine, environment, running_engine, until
from faults import figures
from faults.disk_kit import FAULTS, Disk, disk
from hub import StandInHub

from app import paths
from app.wire.nouns import ServerState

__all__ = ["disk"]


def refused_changes(engine: RunningEngine) -> list[str]:
    """Try to change everything; return the sentences of the refusals."""
    changed = {"name": "A", "model": "demo", "options": {"temp": 0.5}}
    answers = [
        engine.call("PATCH", "/api/settings", {"requests_per_server": 12}),
        engine.call("POST", "/api/profiles", {"name": "B", "model": "demo"}),
        engine.call("PUT", "/api/profiles/a", changed),
        engine.call("POST", "/api/keys", {"name": "k"}),
    ]
    assert [(a.status, a.code) for a in answers] == [(507, "store_failed")] * len(answers)
    return [answer.json["error"]["message"] for answer in answers]


def troubles(engine: RunningEngine) -> str:
    return " ".join(engine.call("GET", "/api/engine").json["troubles"])


@pytest.mark.parametrize("fault", FAULTS)
def test_disk_in_trouble_loses_nothing_and_stops_no_server(disk: Disk, fault: str) -> None:
    strike, heal, reason = FAULTS[fault]
    with running_engine(disk.home, home=disk.home) as engine:
        assert engine.call("POST", "/api/profiles", {"name": "A", "model": "demo"}).status == 201
        saved = (disk.home / "profiles" / "a.toml").read_bytes()
        engine.start("demo")
        strike(disk)
        # Each answer has its line in the server's log, which by now takes none.
        assert [engine.complete().status for _ in range(3)] == [200] * 3
        sentences = refused_changes(engine)
        assert all(reason in sentence for sentence in sentences), sentences
        names = {p["name"] for p in engine.call("GET", "/api/profiles").json}
        assert names == {"A", "Demo"}
        if fault == "ejected":
            until(lambda: "is gone" in troubles(engine))
        with engine.api() as api:
            api.restart_server("demo")
        server = engine.settle("demo")
        if fault == "full":
            assert server.state is ServerState.READY
            assert [engine.complete().status for _ in range(3)] == [200] * 3
        else:
            assert server.failure is not None
            assert reason in server.failure.message
        engine.stop_server("demo")
        heal(disk)
        until(lambda: "is gone" not in troubles(engine))
        assert engine.call("PATCH", "/api/settings", {"requests_per_server": 12}).status == 200
        assert engine.call("POST", "/api/profiles", {"name": "B", "model": "demo"}).status == 201
        engine.start("demo")
        assert engine.complete().status == 200
        assert (disk.home / "profiles" / "a.toml").read_bytes() == saved
        assert "Traceback" not in engine.errors.read_text()
    figures.record(
        f"disk that is {fault} under a running engine",
        1,
        "nothing saved; every change refused in words, the running server answers on",
        "make test ARGS=tests/faults/test_disks.py",
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_engine_ends_in_order_on_a_disk_in_trouble(disk: Disk, fault: str) -> None:
    with running_engine(disk.home, home=disk.home) as engine:
        engine.start("demo")
        pids = [server["pid"] for server in engine.call("GET", "/api/servers").json]
        FAULTS[fault][0](disk)
        assert engine.stop() == 0
        assert all(not Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("is_known", [False, True])
def test_engine_on_a_read_only_disk_says_so_and_ends(disk: Disk, *, is_known: bool) -> None:
    if is_known:
        with running_engine(disk.home, home=disk.home):
            pass
    disk.protect()
    done = subprocess.run(
        [*paths.program("engine"), "--port", "0", "--gateway-port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env=environment(disk.home),
        cwd=paths.program_root(),
    )
    assert (done.returncode, done.stdout) == (1, "")
    *_, sentence = done.stderr.splitlines()
    assert sentence.startswith(f"mlxm engine: {disk.home} cannot be used: Read-only file system.")
    assert "Traceback" not in done.stderr


def test_engine_starts_on_a_full_disk_so_that_models_can_be_deleted(disk: Disk) -> None:
    with running_engine(disk.home, home=disk.home) as engine:
        assert engine.call("POST", "/api/profiles", {"name": "A", "model": "demo"}).status == 201
    disk.fill()
    with running_engine(disk.home, home=disk.home) as engine:
        assert "its folder takes no file" in troubles(engine)
        engine.start("a")
        assert engine.complete(model="A").status == 200
        assert "Traceback" not in engine.errors.read_text()


@pytest.mark.parametrize("fault", FAULTS)
def test_download_to_a_disk_in_trouble_keeps_what_it_has(
    disk: Disk, standin: StandInHub, home: Path, fault: str
) -> None:
    strike, heal, reason = FAULTS[fault]
    cache = disk.path / "hub"
    add_model(standin, 12 * MB)
    standin.rate = 6 * MB
    with worker(standin, cache, home) as downloads:
        downloads.start()
        downloads.wait_for("progress", lambda event: event["done_bytes"] > 1 * MB)
        strike(disk)
        end = downloads.end()
        heal(disk)
        if fault != "full":
            assert end["failure"]["code"] == "store_failed"
            assert reason in end["failure"]["message"] or fault == "ejected"
            assert end["needs_user"]
            downloads.start()
            end = downloads.end()
        # Its space was taken from the disk at its beginning, so that it ends on a full one.
        assert end["event"] == "fetched", end
    check_files(cache, standin)
    assert standin.bytes_sent("^/[0-9a-f]{64}") <= 12 * MB * 1.02
