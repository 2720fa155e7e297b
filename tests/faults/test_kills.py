"""SIGKILL at random moments to every process of the program: nothing may be left of any of them."""

import contextlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import leaks
import msgspec
import psutil
import pytest
from engine_kit import ENDLESS, call, chat, environment, is_free, new_home, spawn_engine, until
from faults import figures
from patience import DEADLINE_S

from app import paths
from app.engine.supervisor.runfile import ID_FLAG, RunFile

"""A runner without its guard ends itself within 8 s, and a suspended one is ended by the engine
within 22; the rest is for a busy machine."""
STATES_OF_REST = ("stopped", "failed")
STATES_AFTER = (*STATES_OF_REST, "starting", "ready", "busy", "backing_off")
LOGS = {"demo.log", "demo.log.1", "demo.log.2", "demo.log.3", "demo.log.crash"}


@dataclass
class Blow:
    """One kill and what came of it."""

    victim: str
    state: str
    seconds: float
    """Until every process that had to go was gone."""


@dataclass
class Campaign:
    """An engine, or a window with its engine, that is killed and made anew all the time."""

    home: Path
    chance: random.Random
    blows: list[Blow] = field(default_factory=list)
    pauses_s: tuple[float, ...] = (0.0, 0.05, 0.3, 0.8, 1.6, 2.6)
    """Between an order and the blow: from the first step of a start to a server at work."""
    ports: set[int] = field(default_factory=set)
    restarts: int = 0
    _owner: "subprocess.Popen[Any] | None" = None
    _has_window: bool = False
    _url: str = ""
    _gateway: str = ""

    def strike(self, victim: str, state: str = "") -> None:
        """Bring the program into some state, kill one of its processes, and look what is left.

        `state` is one of a server that chance hardly ever meets.
        """
        if victim == "window" and not self._has_window:
            self.end()
        self._ensure(window=victim == "window")
        if state:
            self._reach(state)
        else:
            self._be_somewhere(victim)
        server = self._server()
        pid = self._pid_of(victim, server)
        if pid is None:
            # No server process in this moment: the blow goes to the engine.
            victim, pid = "engine", self._engine_pid()
        doomed = self._doomed(victim, pid)
        self.ports |= {server.get("port")} - {None}
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if victim in ("engine", "window") and self._owner is not None:
            self._wait_owner()
        _, alive = psutil.wait_procs(doomed, DEADLINE_S)
        assert not alive, f"{victim} in {server.get('state')}: {alive}"
        self.blows.append(
            Blow(victim, server.get("state") or "no server", time.monotonic() - began)
        )
        if victim in ("engine", "window"):
            self._owner_is_gone()
        else:
            self._server_is_told(victim)

    def end(self) -> None:
        """End the program as a user does, and check that nothing is left."""
        if self._owner is None:
            return
        if self._has_window:
            self._owner.kill()
        else:
            self._owner.terminate()
        self._wait_owner()
        self._owner_is_gone()

    def _ensure(self, *, window: bool) -> None:
        if self._owner is not None:
            return
        paths_file = self.home / "run" / "engine.json"
        paths_file.unlink(missing_ok=True)
        self.restarts += 1
        if window:
            self._owner = subprocess.Popen(
                [sys.executable, "-m", "app"],
                env=environment(self.home, QT_QPA_PLATFORM="offscreen"),
                cwd=paths.program_root(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        else:
            self._owner = spawn_engine(self.home)
        self._has_window = window
        until(paths_file.exists)
        facts = json.loads(paths_file.read_text())
        self._url, self._gateway = facts["url"], facts["gateway_url"]
        self.ports |= {int(url.rsplit(":", 1)[1]) for url in (self._url, self._gateway)}
        until(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return call(self._url, "GET", "/api/profiles").status == 200
        return False

    def _server(self) -> dict[str, Any]:
        servers = call(self._url, "GET", "/api/servers").json
        return servers[0] if servers else {}

    def _give_orders(self) -> None:
        state = self._server().get("state")
        order = self.chance.choice(["start", "start", "start", "restart", "stop"])
        if order == "stop" and state is None:
            order = "start"
        call(self._url, "POST", f"/api/servers/demo/{order}")

    def _be_somewhere(self, victim: str) -> None:
        """Bring the server into a state by chance."""
        self._give_orders()
        if victim in ("guard", "server"):
            until(lambda: self._server().get("pid") or self._server()["state"] in STATES_OF_REST)
        time.sleep(self.chance.choice(self.pauses_s))
        self._give_work()

    def _reach(self, state: str) -> None:
        """Bring a server at work into the state."""
        restarts = "on crash" if state == "backing_off" else "off"
        profile = {"name": "Demo", "model": "demo", "policy": {"auto_restart": restarts}}
        assert call(self._url, "PUT", "/api/profiles/demo", profile).status == 200
        call(self._url, "POST", "/api/servers/demo/start")
        until(lambda: self._server()["state"] in ("ready", "busy"))
        pid = self._server()["pid"]
        if state == "backing_off":
            os.kill(pid, signal.SIGKILL)
        else:
            # It neither works nor obeys, so that the state lasts.
            os.kill(pid, signal.SIGSTOP)
        if state == "stopping":
            call(self._url, "POST", "/api/servers/demo/stop")
        until(lambda: self._server()["state"] == state)

    def _give_work(self) -> None:
        if self._server().get("state") == "ready" and self.chance.random() < 0.6:
            threading.Thread(target=self._ask, name="asks", daemon=True).start()
            with contextlib.suppress(AssertionError):
                until(lambda: self._server().get("state") == "busy", 2)

    def _ask(self) -> None:
        # What the client of a killed server sees is another test's subject.
        with contextlib.suppress(Exception):
            body = chat(max_tokens=2000, stream=True, **ENDLESS)
            call(self._gateway, "POST", "/v1/chat/completions", body)

    def _engine_pid(self) -> int:
        return json.loads((self.home / "run" / "engine.json").read_text())["pid"]

    def _pid_of(self, victim: str, server: dict[str, Any]) -> int | None:
        if victim == "window":
            assert self._owner is not None
            return self._owner.pid
        if victim == "engine":
            return self._engine_pid()
        pid = server.get("pid")
        if pid is None or victim == "server":
            return pid
        with contextlib.suppress(psutil.Error):
            guard = psutil.Process(pid).parent()
            if guard is not None and "guard" in guard.cmdline():
                return guard.pid
        return None

    def _doomed(self, victim: str, pid: int) -> list[psutil.Process]:
        if victim in ("engine", "window"):
            # The owner itself is waited for by its parent, which is this test.
            everybody = leaks.processes_with_home_under(self.home)
            return [p for p in everybody if self._owner is None or p.pid != self._owner.pid]
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            guard = process if victim == "guard" else process.parent()
            if guard is not None and "guard" in guard.cmdline():
                return [guard, *guard.children(recursive=True)]
            return [process]
        return []

    def _wait_owner(self) -> None:
        owner = self._owner
        if owner is not None:
            owner.wait(DEADLINE_S)

    def _owner_is_gone(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            if owner.poll() is None:
                # The engine below a window was killed: the window lives and offers a restart.
                owner.kill()
                owner.wait()
            if owner.stdout is not None:
                owner.stdout.close()
        _, alive = psutil.wait_procs(leaks.processes_with_home_under(self.home), DEADLINE_S)
        assert not alive
        held = [port for port in self.ports if not is_free(port)]
        assert not held or not holders(held, self.home)
        self.ports.clear()
        self._logs_are_right()

    def _server_is_told(self, victim: str) -> None:
        until(lambda: (self._server().get("state") or "stopped") != "stopping", DEADLINE_S)
        until(lambda: self._server().get("state") in STATES_AFTER)
        server = self._server()
        if server["state"] == "failed":
            assert server["failure"]["message"]
            assert "demo.log.crash" in self._logs_are_right()

    def _logs_are_right(self) -> set[str]:
        folder = self.home / "logs" / "servers"
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        assert names <= LOGS, names
        return names


class Strangers:
    """Programs of somebody else that look like servers of ours."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.processes: list[subprocess.Popen[bytes]] = []

    def plant(self) -> None:
        """Start one with the arguments of a server of ours, and one whose pid we have recorded."""
        folder = self._home / "run" / "servers"
        for path in folder.glob("*.json"):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                record = msgspec.json.decode(path.read_bytes(), type=RunFile)
                if len(self.processes) < 6:
                    twin = self._start(f"{ID_FLAG}={record.run_id}")
                    stale = RunFile("stale", twin.pid, record.created - 60.0, record.run_id)
                    (folder / f"stale{twin.pid}.json").write_bytes(msgspec.json.encode(stale))
                return

    def touched(self) -> int:
        return sum(process.poll() is not None for process in self.processes)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def _start(self, argument: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(3600)", argument],
            env={k: v for k, v in os.environ.items() if k != "MLX_MANAGER_HOME"},
            start_new_session=True,
        )
        self.processes.append(process)
        return process


def holders(ports: list[int], home: Path) -> list[psutil.Process]:
    """Return who listens on these ports and is of this home; others may have taken them since."""
    found: list[psutil.Process] = []
    for connection in psutil.net_connections("tcp"):
        is_listener = connection.status == psutil.CONN_LISTEN and connection.pid is not None
        if is_listener and connection.laddr.port in ports:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(connection.pid)
                if process.environ().get("MLX_MANAGER_HOME") == str(home):
                    found.append(process)
    return found


@contextlib.contextmanager
def campaign(homes: Path, seed: int) -> Iterator[tuple[Campaign, Strangers]]:
    home = new_home(homes)
    chance = random.Random(seed)  # noqa: S311
    one, strangers = Campaign(home, chance), Strangers(home)
    try:
        yield one, strangers
        one.end()
        # The next engine tidies up what kills have left on the disk.
        one._ensure(window=False)
        one.end()
        assert not list((home / "run" / "servers").glob("*"))
        assert strangers.touched() == 0
    finally:
        for process in leaks.processes_with_home_under(home):
            process.kill()
        strangers.close()


def play(
    homes: Path, seed: int, victims: list[str], rare: list[tuple[str, str]], **changes: Any
) -> tuple[Campaign, Strangers]:
    with campaign(homes, seed) as (one, strangers):
        one.pauses_s = changes.get("pauses_s", one.pauses_s)
        one.chance.shuffle(victims)
        # Windows take the longest to come up: all of theirs in one row.
        victims.sort(key=lambda victim: victim == "window")
        for victim, state in [*rare, *((victim, "") for victim in victims)]:
            one.strike(victim, state)
            strangers.plant()
            assert strangers.touched() == 0
    return one, strangers


def rows(one: Campaign) -> list[list[str]]:
    found: list[list[str]] = []
    for victim in ("engine", "guard", "server", "window"):
        blows = [blow for blow in one.blows if blow.victim == victim]
        if blows:
            seconds = sorted(blow.seconds for blow in blows)
            states = sorted({blow.state for blow in blows})
            found.append(
                [
                    victim, str(len(blows)), ", ".join(states),
                    f"{seconds[len(seconds) // 2]:.2f} s", f"{seconds[-1]:.2f} s", "0", "0",
                ]
            )  # fmt: skip
    return found


@pytest.mark.timeout(400)
def test_bugfix_02_twenty_kills_at_random_leave_nothing(homes: Path) -> None:
    victims = ["engine"] * 4 + ["guard"] * 5 + ["server"] * 10 + ["window"]
    # The others take long, or are over in a second.
    rare = [("server", "stopping")]
    one, strangers = play(homes, 11, victims, rare, pauses_s=(0.0, 0.05, 0.3, 1.2))
    assert len(one.blows) == 20 + len(rare)
    assert {(blow.victim, blow.state) for blow in one.blows} >= set(rare)
    assert strangers.processes


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_kills_at_random_leave_nothing(homes: Path) -> None:
    victims = ["engine"] * 51 + ["guard"] * 51 + ["server"] * 51 + ["window"] * 20
    hung = [(v, s) for v in ("engine", "guard", "server") for s in ("stopping", "stalled")]
    # While it backs off there is neither server nor guard.
    rare = [("engine", "backing_off")] * 9 + hung * 3
    one, strangers = play(homes, 200, victims, rare)
    assert len(one.blows) == 200
    heads = [
        "killed", "times", "states of the server", "all gone after (median)", "(longest)",
        "processes left", "ports left",
    ]  # fmt: skip
    note = (
        f"{len(one.blows)} kills, {one.restarts} starts of the program, "
        f"{len(strangers.processes)} strangers with the arguments or a recorded pid of a server, "
        "none of them touched. "
        "Log files after every kill: as the policy says. "
        f"Measured on {platform.system()} with {os.cpu_count()} cores."
    )
    figures.write("kills", ["", *figures.table(heads, rows(one)), "", note, ""])
    figures.record(
        "SIGKILL of engine, guard, server and window in every state of a server",
        len(one.blows),
        "only the server that was killed; 0 processes, ports and run files left, 0 strangers hit",
        "make soak ARGS=tests/faults/test_kills.py",
    )
