"""A program at work that is killed piece by piece, and the checks after every blow."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import leaks
import msgspec
import psutil
from download_kit import MB, add_model, check_files, environment_for
from engine_kit import Lines, call, is_free, new_home, spawn_engine, until
from faults.errands import Shelf
from faults.test_kills import LOGS, Strangers, holders
from faults.work_kit import Asker, Document, Saver, Stream, WindowSaves, find, kill, pause
from hub import StandInHub
from patience import DEADLINE_S

from app import paths
from app.wire.nouns import Download

REST = ("stopped", "failed")
PROFILE = """\
# Written by hand; this line must survive.
schema = 1
name = "Work"
model = "demo"

[options]
max_tokens = 1 # and this one
"""
SETTINGS = 'request_log_days = 7\nmodel_folders = "{}/disk"\n'
OWNERS = ("engine", "window")
LOG_FILES = re.compile(r"(engine(-crash|-start)?|app|downloads|hub|crash)\.log(\.\d)?|servers")


@dataclass
class Blow:
    """One kill: of what, and in the middle of what."""

    victim: str
    amid: str


@dataclass
class Campaign:
    """One home with a hub of its own."""

    home: Path
    hub: StandInHub
    chance: random.Random
    model_mb: int = 30
    blows: list[Blow] = field(default_factory=list)
    starts: int = 0
    requests: int = 0
    blows_to: dict[str, int] = field(default_factory=dict)
    """How often something that a download needs was killed during it, by model."""

    def __post_init__(self) -> None:
        self.work = Document(self.home / "profiles" / "work.toml", "max_tokens")
        self.settings = Document(self.home / "settings.toml", "request_log_days")
        self.app = Document(self.home / "app.toml", "appearance")
        self.work.path.parent.mkdir(parents=True)
        self.work.path.write_text(PROFILE)
        self.work.versions.append(PROFILE.encode())
        self.settings.path.write_text(SETTINGS.format(self.home))
        self.settings.versions.append(self.settings.path.read_bytes())
        self.shelf = Shelf(self.home)
        self.strangers = Strangers(self.home)
        self._owner: subprocess.Popen[Any] | None = None
        self._has_window = False
        self._url = self._gateway = ""
        self._ports: set[int] = set()
        self._savers: list[Saver] = []
        self._askers: list[Asker] = []
        self._streams: list[Stream] = []

    @property
    def engine_pid(self) -> int:
        return json.loads((self.home / "run" / "engine.json").read_text())["pid"]

    @property
    def current(self) -> str:
        """The model that is on its way, or was the last."""
        return next(reversed(self.blows_to), "")

    def strike(self, victim: str, amid: str) -> bool:
        """Kill a process of this kind in the middle of something, and look what is left.

        Returns False when it was gone by itself before the blow, as what does short work may be.
        """
        was_hit = True
        if victim == "window's saves":
            self._strike_window_saves()
        elif victim in OWNERS or amid == "quit":
            was_hit = self._strike_owner(victim, amid)
        else:
            was_hit = self._strike_part(victim, amid)
        if was_hit:
            self.blows.append(Blow(victim, amid))
        assert self.strangers.touched() == 0
        return was_hit

    def finish(self) -> None:
        """Let every download end, then the engine; nothing may be missing and nothing left."""
        self.hub.rate = None
        self._end()
        # What an interrupted write has left is too old to be somebody's after an hour.
        for file in self._temporaries():
            os.utime(file, (0, 0))
        self.ensure()
        until(lambda: not self._get("/api/downloads"), 60)
        models = {model["id"] for model in self._get("/api/models")}
        assert set(self.blows_to) <= models, set(self.blows_to) - models
        for repo_id in self.blows_to:
            check_files(self.home / "hf" / "hub", self.hub, repo_id)
        self._end()
        assert not self._temporaries(), self._temporaries()
        left = {p.name for p in (self.home / "run").rglob("*") if p.is_file()}
        # What a killed window has left is taken over by the next one.
        assert left <= {"engine.lock", "app.lock", "app.alive"}, left

    def fetched_again(self) -> dict[str, int]:
        """Return the bytes that the hub has sent beyond the size of each model."""
        found: dict[str, int] = {}
        for repo_id in self.blows_to:
            files = [f for f in self.hub.models[repo_id].files.values() if f.lfs]
            sent = sum(self.hub.bytes_sent(f"^/{f.sha256}$") for f in files)
            found[repo_id] = sent - sum(f.size for f in files)
        return found

    def close(self) -> None:
        for process in leaks.processes_with_home_under(self.home):
            process.kill()
        if self._owner is not None:
            self._owner.kill()
            self._reap()
        self._end_work()
        self.strangers.close()

    # -- the blows

    def _strike_part(self, victim: str, amid: str) -> bool:
        """Kill what the engine owns; the engine goes on, and so does everything else."""
        self.ensure()
        self._begin(amid, needs=victim)
        pause(self.chance, 0.4)()
        process = self._wait_for(victim)
        if victim == "download worker":
            self.blows_to[self.current] += 1
        self.strangers.plant()
        if victim in self.shelf.victims:
            pause(self.chance, 0.3)()
            self.shelf.at_work(victim, process)
        was_hit = kill(process, DEADLINE_S)
        if victim in ("server", "guard"):
            until(lambda: self._server().get("state") in REST, DEADLINE_S)
            for stream in self._streams:
                stream.check(DEADLINE_S)
        self._end_work()
        for saver in (self.work, self.settings):
            saver.check(self.home / "backups")
        assert call(self._url, "GET", "/api/engine").status == 200
        self.shelf.check(self._url)
        self._logs_are_right()
        return was_hit

    def _strike_owner(self, victim: str, amid: str) -> bool:
        """Kill the owner, or one of its processes while the owner quits; all of it must go."""
        wants_window = victim == "window"
        if wants_window != self._has_window:
            self._end()
        self.ensure(window=wants_window)
        self._begin(amid)
        pause(self.chance, 0.8)()
        self.strangers.plant()
        owner = self._owner
        assert owner is not None
        target = psutil.Process(owner.pid) if victim in OWNERS else self._wait_for(victim)
        everybody = [p for p in leaks.processes_with_home_under(self.home) if p.pid != owner.pid]
        if amid == "quit":
            owner.send_signal(signal.SIGTERM)
            pause(self.chance, 0.3)()
        was_hit = False
        with contextlib.suppress(psutil.NoSuchProcess):
            was_hit = target.status() != psutil.STATUS_ZOMBIE
            target.kill()
        if self.current:
            self.blows_to[self.current] += 1
        owner.wait(DEADLINE_S)
        _, alive = psutil.wait_procs(everybody, DEADLINE_S)
        assert not alive, f"{victim} amid {amid}: {alive}"
        self._owner_is_gone()
        return was_hit

    def _strike_window_saves(self) -> None:
        saves = WindowSaves(self.home, self.app)
        saves.kill(self.chance.randint(1, 12), pause(self.chance, 0.05))

    # -- what goes on

    def _begin(self, amid: str, needs: str = "") -> None:
        """Begin with everything that is to be under way."""
        if amid in ("saves", "quit", "all"):
            self._save()
        if amid in ("downloads", "quit", "all") or needs == "download worker":
            self._download()
        if needs == "scan worker" or amid == "all":
            call(self._url, "POST", "/api/models/scan")
        if needs == "hub worker" or amid == "all":
            word = self.chance.choice(["Tiny", "Work", "4bit", "Model"])
            target = f"/api/hub/search?text={word}{self.requests}&details=5"
            self._askers.append(Asker(lambda: call(self._url, "GET", target)))
        if needs in self.shelf.victims:
            self.shelf.begin(self._url)
        if needs in ("server", "guard") or amid in ("requests", "quit"):
            call(self._url, "POST", "/api/servers/demo/start")
        if amid == "requests":
            until(lambda: self._server()["state"] not in ("starting", "stopping"))
            for _ in range(self.chance.randint(1, 3)):
                self.requests += 1
                self._streams.append(Stream(self._gateway))
            for stream in self._streams:
                stream.has_begun.wait(DEADLINE_S)

    def _save(self) -> None:
        def profile(number: int) -> bool:
            body = {"name": "Work", "model": "demo", "options": {"max_tokens": number}}
            return call(self._url, "PUT", "/api/profiles/work", body).status == 200

        def setting(number: int) -> bool:
            body = {"request_log_days": number}
            return call(self._url, "PATCH", "/api/settings", body).status == 200

        self._savers.append(Saver(self.work, profile, pause_s=0.01, most=500))
        self._savers.append(Saver(self.settings, setting, pause_s=0.3, most=30))

    def _download(self) -> None:
        """Make sure that a download is under way and has got something."""
        done = {model["id"] for model in self._get("/api/models")}
        if not self.current or self.current in done:
            repo_id = f"mlx-community/Work-{len(self.blows_to)}-4bit"
            sizes = [self.model_mb * MB // 2] * 2
            add_model(self.hub, *sizes, repo_id=repo_id)
            answer = call(self._url, "POST", "/api/downloads", {"id": repo_id})
            assert answer.status == 202, answer.body
            self.blows_to[repo_id] = 0

        def is_moving() -> bool:
            found = [d for d in self._get("/api/downloads") if d["id"] == self.current]
            return not found or found[0]["state"] in ("downloading", "verifying")

        until(is_moving)

    def _wait_for(self, victim: str) -> psutil.Process:
        found: list[psutil.Process] = []

        def is_there() -> bool:
            if victim == "download worker":
                self._download()
            elif victim == "scan worker":
                call(self._url, "POST", "/api/models/scan")
            elif victim in self.shelf.victims:
                self.shelf.again(victim)
            process = find(self.home, victim)
            found.extend([process] if process is not None else [])
            return bool(found)

        until(is_there)
        return found[0]

    def _end_work(self) -> None:
        """Wait for everything that is under way in this process."""
        for saver in self._savers:
            saver.end()
        for stream in self._streams:
            stream.check(DEADLINE_S)
        for asker in self._askers:
            asker.end(DEADLINE_S)
        self.shelf.end()
        self._savers, self._streams, self._askers = [], [], []

    # -- the program

    def ensure(self, *, window: bool = False) -> None:
        """Have an engine, alone or with a window."""
        if self._owner is not None:
            return
        self.starts += 1
        (self.home / "run" / "engine.json").unlink(missing_ok=True)
        data = str(self.home / "data")
        env = environment_for(self.hub, self.home, QT_QPA_PLATFORM="offscreen", XDG_DATA_HOME=data)
        facts = self._open_window(env) if window else self._open_engine(env)
        self._has_window = window
        self._url, self._gateway = facts["url"], facts["gateway_url"]
        self._ports |= {urlsplit(url).port or 0 for url in (self._url, self._gateway)}
        self._nothing_is_lost()

    def _open_engine(self, env: dict[str, str]) -> dict[str, Any]:
        owner = self._owner = spawn_engine(self.home, env=env)
        assert owner.stdout is not None
        line = Lines(owner.stdout.fileno()).next()
        assert line is not None, (self.home / "errors").read_text()
        return json.loads(line)

    def _open_window(self, env: dict[str, str]) -> dict[str, Any]:
        self._owner = subprocess.Popen(
            [sys.executable, "-m", "app"],
            env=env,
            cwd=paths.program_root(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        file = self.home / "run" / "engine.json"
        until(file.exists)
        return json.loads(file.read_text())

    def _nothing_is_lost(self) -> None:
        """Every download that was ever confirmed is in the queue or on the disk."""

        def are_known() -> bool:
            known = {item["id"] for item in self._get("/api/downloads")}
            return set(self.blows_to) <= known | {m["id"] for m in self._get("/api/models")}

        # Models come with the first scan.
        until(are_known)
        self.shelf.check(self._url)

    def _end(self) -> None:
        """End the program as a user does."""
        if self._owner is None:
            return
        self._end_work()
        self._owner.send_signal(signal.SIGTERM)
        assert self._owner.wait(DEADLINE_S) == 0
        self._owner_is_gone()

    def _reap(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.wait(DEADLINE_S)
            if owner.stdout is not None:
                owner.stdout.close()

    def _owner_is_gone(self) -> None:
        """Check what has to be so when nothing of the program runs."""
        self._reap()
        self._has_window = False
        self._end_work()
        _, alive = psutil.wait_procs(leaks.processes_with_home_under(self.home), DEADLINE_S)
        assert not alive
        held = [port for port in self._ports if not is_free(port)]
        assert not held or not holders(held, self.home)
        self._ports.clear()
        self.work.check(self.home / "backups")
        self.settings.check(self.home / "backups")
        self._queue_is_whole()
        self._logs_are_right()

    def _queue_is_whole(self) -> None:
        file = self.home / "downloads.json"
        if file.exists():
            msgspec.json.decode(file.read_bytes(), type=list[Download])

    def _logs_are_right(self) -> None:
        folder = self.home / "logs"
        names = {path.name for path in folder.iterdir()}
        assert all(LOG_FILES.fullmatch(name) for name in names), names
        if (folder / "servers").is_dir():
            servers = {path.name for path in (folder / "servers").iterdir()}
            assert servers <= LOGS, servers

    def _temporaries(self) -> list[Path]:
        return [p for p in self.home.rglob("*tmp*") if p.is_file() and "hub.sqlite" not in p.name]

    def _server(self) -> dict[str, Any]:
        return call(self._url, "GET", "/api/servers/demo").json

    def _get(self, target: str) -> list[dict[str, Any]]:
        return call(self._url, "GET", quote(target)).json


@contextlib.contextmanager
def campaign(homes: Path, hub: StandInHub, seed: int) -> Iterator[Campaign]:
    """Run one; whatever happens, none of its processes outlives it."""
    one = Campaign(new_home(homes), hub, random.Random(seed))  # noqa: S311
    try:
        yield one
    finally:
        one.close()
