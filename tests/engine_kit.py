"""Real processes for tests: guards, fake servers and whole engines, each checked for leftovers."""

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import leaks
import psutil
from patience import DEADLINE_S

from app import paths
from app.client.api import Api
from app.client.launch import KEY_VARIABLE
from app.wire.events import Event
from app.wire.nouns import Server, ServerState

ENDLESS: dict[str, Any] = {"logit_bias": {"0": -100.0, "2": -100.0}}
"""Keeps the demo model from ending its answer: these are its end tokens."""

FAKE_SERVER = """
import json, os, signal, subprocess, sys, time

events = int(os.environ["MLX_MANAGER_EVENTS_FD"])
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print(1, flush=True); time.sleep(600)"
)

def tell(event, **values):
    os.write(events, json.dumps({"event": event, **values}).encode() + b"\\n")

for word in sys.argv[1:]:
    word, _, value = word.partition(":")
    if word == "importing": tell("importing", pid=os.getpid())
    elif word == "loading": tell("loading", model="m")
    elif word == "listening": tell("listening", port=int(value))
    elif word == "loaded":
        tell("loaded", seconds=0.1, gpu_limit_bytes=int(value) if value else None)
    elif word == "failed": tell("failed", stage="load", error=value)
    elif word == "stats": tell("stats", prompt_tokens=1, completion_tokens=2, requests_open=0,
                               requests_total=1)
    elif word == "garbage": os.write(events, b"no json\\n")
    elif word == "print": print(value, flush=True)
    elif word == "stubborn": signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif word == "child":
        child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
        child.stdout.readline()
    elif word == "escape":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True, pass_fds=(events,))
    elif word == "exit": os._exit(int(value))
    elif word == "die": os.kill(os.getpid(), int(value))
    elif word == "sleep": time.sleep(float(value))
    elif word == "owned":
        while os.read(0, 4096): pass
        os.killpg(0, signal.SIGKILL)
time.sleep(600)
"""
"""Does what its arguments say, one after another; has the runner's events, without MLX."""


def fake_server(*words: str) -> list[str]:
    """Return the command of a fake server."""
    return [sys.executable, "-c", FAKE_SERVER, *words]


def until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait for what another process does and nothing announces."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def wait_gone(processes: list[psutil.Process], deadline_s: float = DEADLINE_S) -> None:
    """Wait until all processes are gone."""
    _, alive = psutil.wait_procs(processes, timeout=deadline_s)
    assert not alive, f"still there: {alive}"


def family(pid: int) -> list[psutil.Process]:
    """Return the process and everything below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def is_free(port: int) -> bool:
    """Return True when nobody listens on the loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Lines:
    """Reads lines from a pipe, each with a deadline."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    def next(self, deadline_s: float = DEADLINE_S) -> bytes | None:
        """Return the next line, None at the end of the pipe."""
        end = time.monotonic() + deadline_s
        while b"\n" not in self._buffer:
            ready, _, _ = select.select(
                [self._descriptor], [], [], max(0.0, end - time.monotonic())
            )
            assert ready, "no line came in time"
            data = os.read(self._descriptor, 65536)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def event(self, name: str | None = None) -> dict[str, Any]:
        """Return the next event, or the next one of a name."""
        while (line := self.next()) is not None:
            found = json.loads(line)
            if name in (None, found["event"]):
                return found
        raise AssertionError(f"the pipe ended before {name}")


@dataclass
class Guarded:
    """A real guard with what it guards."""

    process: "subprocess.Popen[bytes]"
    log: Path
    lines: Lines

    def order(self, order: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def hang_up(self) -> None:
        """Do what the death of the owner does."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@contextlib.contextmanager
def guarded(folder: Path, argv: list[str] | None, *, grace_s: float = 5.0) -> Iterator[Guarded]:
    """Run a guard, with an order if there is a command; afterwards nothing of it may be left."""
    process = subprocess.Popen(
        paths.program("guard"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=paths.program_root(),
        start_new_session=True,
    )
    assert process.stdout is not None
    guard = Guarded(process, folder / "server.log", Lines(process.stdout.fileno()))
    everybody: list[psutil.Process] = []
    try:
        if argv is not None:
            order = {"argv": argv, "env": dict(os.environ), "log": str(guard.log)}
            guard.order(order | {"grace_s": grace_s, "cwd": paths.program_root()})
        yield guard
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            everybody = family(process.pid)[1:]
        with contextlib.suppress(BrokenPipeError):
            guard.hang_up()
        try:
            process.wait(DEADLINE_S)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        wait_gone(everybody)


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code; also checks the shape of the error."""
        error = self.json["error"]
        assert error["message"]
        assert error["type"]
        assert self.headers["content-type"].startswith("application/json")
        return error["code"]


def call(
    url: str,
    method: str,
    target: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
) -> Answer:
    """Send one request as it is; bytes go out unchanged, anything else as JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE_S)
    sent = dict(headers or {})
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        connection.request(method, target, data, sent)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def chat(text: str = "Hello", **fields: object) -> dict[str, Any]:
    """Return the body of a chat request."""
    return {"model": "Demo", "messages": [{"role": "user", "content": text}], **fields}


@dataclass
class RunningEngine:
    """A real engine in a process of its own."""

    process: "subprocess.Popen[str]"
    home: Path
    facts: dict[str, Any]
    key: str | None = None
    errors: Path = field(default_factory=Path)

    @property
    def url(self) -> str:
        return self.facts["url"]

    @property
    def gateway_url(self) -> str:
        return self.facts["gateway_url"]

    @property
    def log(self) -> str:
        return (self.home / "logs" / "engine.log").read_text(encoding="utf-8")

    def call(self, method: str, target: str, body: object = None, **options: Any) -> Answer:
        return call(self.url, method, target, body, **{"key": self.key, **options})

    def complete(self, **fields: object) -> Answer:
        """Ask for a chat completion at the gateway."""
        body = chat(**{"max_tokens": 8, **fields})
        return call(self.gateway_url, "POST", "/v1/chat/completions", body, key=self.key)

    def api(self) -> Api:
        return Api(self.url, self.key)

    def settle(self, server_id: str) -> Server:
        """Return the server when nothing more happens to it."""
        with self.api() as api:
            *_, server = api.wait_settled(server_id)
        return server

    def start(self, server_id: str) -> Server:
        """Start a server and return it when it is ready."""
        with self.api() as api:
            api.start_server(server_id)
        server = self.settle(server_id)
        assert server.state is ServerState.READY, server.failure
        return server

    def stop_server(self, server_id: str) -> None:
        """Stop a server and wait until its process is gone."""
        with self.api() as api:
            api.stop_server(server_id)
        self.settle(server_id)

    def write_profile(self, name: str, text: str) -> Path:
        """Write a profile's file as a person would."""
        path = self.home / "profiles" / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def stop(self) -> int:
        """End the engine as a user does and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


def wait_for_event(events: Iterator[Event], wanted: Callable[[Event], bool]) -> Event:
    """Return the first event that is wanted; the stream has one at least every two seconds."""
    end = time.monotonic() + DEADLINE_S
    for event in events:
        if wanted(event):
            return event
        assert time.monotonic() < end, "the event did not come in time"
    raise AssertionError("the stream ended")


def environment(home: Path, **extra: str) -> dict[str, str]:
    """Return the environment of a program that lives in `home` alone."""
    return {**os.environ, "MLX_MANAGER_HOME": str(home), "HF_HOME": str(home / "hf"), **extra}


def new_home(homes: Path) -> Path:
    """Return a fresh home."""
    return Path(tempfile.mkdtemp(prefix="", dir=homes))


def spawn_engine(
    home: Path,
    *flags: str,
    key: str | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> "subprocess.Popen[str]":
    """Start an engine that logs its errors to `home/errors`; its first line tells where it is."""
    given = ["--port", "0"] if "--port" not in flags else []
    given += ["--gateway-port", "0"] if "--gateway-port" not in flags else []
    extra = {**(env or {}), **({KEY_VARIABLE: key} if key else {})}
    with (home / "errors").open("w") as errors:
        return subprocess.Popen(
            [*paths.program("engine"), *given, *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(home, **extra),
            cwd=paths.program_root(),
            start_new_session=True,
            pass_fds=pass_fds,
        )


@contextlib.contextmanager
def running_engine(
    homes: Path,
    *flags: str,
    key: str | None = None,
    env: Mapping[str, str] | None = None,
    home: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[RunningEngine]:
    """Run an engine; afterwards no process and no port of it may be left."""
    home = home or new_home(homes)
    process = spawn_engine(home, *flags, key=key, env=env, pass_fds=pass_fds)
    assert process.stdout is not None
    try:
        line = Lines(process.stdout.fileno()).next()
        assert line is not None, (home / "errors").read_text()
        engine = RunningEngine(process, home, json.loads(line), key, home / "errors")
        yield engine
        if process.poll() is None:
            assert engine.stop() == 0, engine.errors.read_text()
            assert not paths_left(home)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    wait_gone(leaks.processes_with_home_under(home))
    for url in (engine.url, engine.gateway_url):
        assert is_free(urlsplit(url).port or 0), f"{url} is still listened on"


def paths_left(home: Path) -> list[str]:
    """Return what an engine that ended should have removed."""
    files = [path for path in (home / "run").rglob("*") if path.is_file()]
    return [path.name for path in files if path.name != "engine.lock"]
