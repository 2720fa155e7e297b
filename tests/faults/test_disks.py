"""The disk of a running engine is full, becomes read-only, or is ejected, and comes back."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from download_kit import MB, add_model, check_files, worker
from engine_kit import DEADLINE_S, RunningEngine, environment, running_engine, until
from faults import figures
from hub import StandInHub

from app import paths
from app.wire.nouns import ServerState

# Enough for the files of an engine, and filled in a moment.
_SIZE = "24m"


def _mount(*arguments: object) -> bool:
    command = shutil.which("mount")
    return command is not None and not _status(command, *arguments)


def _status(*command: object) -> int:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, check=False
    ).returncode


class Disk:
    """A small disk in memory, which a second place holds while it is ejected."""

    def __init__(self, folder: Path) -> None:
        self.path, self._second = folder / "disk", folder / "kept"
        for place in (self.path, self._second):
            place.mkdir()
        if not _mount("-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", self._second):
            pytest.skip("no disk can be mounted here")
        self.plug_in()
        self.home = self.path / "home"
        self.home.mkdir()

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.path / "filler").open("wb", 0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        (self.path / "filler").unlink()

    def protect(self) -> None:
        assert _mount("--bind", self.path, self.path)
        assert _mount("-o", "remount,ro,bind", self.path)

    def unprotect(self) -> None:
        assert not _status("umount", self.path)

    def eject(self) -> None:
        assert not _status("umount", "--lazy", self.path)

    def plug_in(self) -> None:
        assert _mount("--bind", self._second, self.path)

    def close(self) -> None:
        for place in (self.path, self.path, self._second):
            _status("umount", "--lazy", place)


@pytest.fixture
def disk(homes: Path) -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="disk", dir=homes))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(_status, "umount", "--lazy", folder / "kept")
        disk = Disk(folder)
        stack.callback(disk.close)
        yield disk


FAULTS: dict[str, tuple[Callable[[Disk], None], Callable[[Disk], None], str]] = {
    "full": (Disk.fill, Disk.empty, "No space left on device"),
    "read-only": (Disk.protect, Disk.unprotect, "Read-only file system"),
    "ejected": (Disk.eject, Disk.plug_in, "is gone"),
}


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
        len(sentences) + 4,
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
