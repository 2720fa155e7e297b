"""Whatever clients send, and however they leave: others get their answers, and nothing is left."""

import contextlib
import json
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from engine_kit import ENDLESS, RunningEngine, call, chat, running_engine, until
from faults import figures
from hostile_kit import MALFORMED

SEED = int(os.environ.get("FAULT_SEED", "20261124"))
# Below the gateway's own time-outs: who says nothing for that long was heard.
PATIENCE_S = 3.0
AT_ONCE = 8
ASKED = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 8}


def request(method: str, path: str, body: object, *more: str) -> bytes:
    data = json.dumps(body).encode() if body is not None else b""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(data)}", *more, "", ""]
    return "\r\n".join(lines).encode() + data


GATEWAY = [
    request("POST", "/v1/chat/completions", chat(max_tokens=4)),
    request("POST", "/v1/chat/completions", chat(stream=True, max_tokens=2000, **ENDLESS)),
    request("POST", "/v1/completions", {"model": "demo", "prompt": "a", "max_tokens": 2}),
    request("GET", "/v1/models", None),
    request("POST", "/v1/chat/completions", {"model": "nobody", "messages": []}),
    request("POST", "/v1/chat/completions", chat(max_tokens="many")),
    request("POST", "/v1/chat/completions", chat(max_tokens=1, pad="x" * 300_000)),
    request("POST", "/v1/chat/completions", chat(), "Origin: http://evil.example"),
]
CONTROL = [
    request("GET", "/api/servers", None),
    request("GET", "/api/events", None),
    request("POST", "/api/profiles", {"name": "x" * 5000, "model": "demo"}),
    request("POST", "/api/servers/nobody/start", None),
    request("PATCH", "/api/settings", {"gateway_port": "none"}),
    request("DELETE", "/api/profiles/..%2f..%2fetc", None),
    request("GET", "/api/servers", None, "Host: evil.example"),
]


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """Return the request as a careless or malicious program might send it."""
    at = chance.randrange(len(data))
    how = chance.randrange(7)
    noise = chance.randbytes(chance.randrange(1, 40))
    pad = b"\r\nX-Pad: " + b"a" * chance.randrange(70_000) + b"\r\n"
    return (
        data[:at],
        data[:at] + noise + data[at:],
        data[:at] + noise[:1] + data[at + 1 :],
        data.replace(b"\r\n", pad, 1),
        noise * 100,
        data + chance.choice(list(MALFORMED.values())),
        data,
    )[how]


def attack(port: int, data: bytes, chance: random.Random) -> None:
    """Send a request in its own way, and leave in one."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as link:
        link.settimeout(PATIENCE_S)
        step = chance.choice([len(data) or 1, 1000, max(1, len(data) // 7)])
        for start in range(0, len(data), step):
            link.sendall(data[start : start + step])
        manner = chance.randrange(4)
        if manner == 0:
            # A reset instead of an orderly end.
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
        elif manner == 1:
            link.shutdown(socket.SHUT_WR)
            link.recv(65_536)
        elif manner == 2:
            link.recv(chance.randrange(1, 400))


class Attackers:
    """Threads that attack both ports until `total` requests are sent."""

    def __init__(self, ports: tuple[int, int], total: int) -> None:
        self._left, self._lock = total, threading.Lock()
        self._ports = ports
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(SEED + number),))  # noqa: S311
            for number in range(AT_ONCE)
        ]

    def is_busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def __enter__(self) -> "Attackers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._left = 0
        for thread in self._threads:
            thread.join()

    def _next(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _run(self, chance: random.Random) -> None:
        while self._next():
            side = chance.randrange(2)
            data = chance.choice((GATEWAY, CONTROL)[side])
            if chance.random() < 0.2:
                data = chance.choice(list(MALFORMED.values()))
            attack(self._ports[side], spoiled(data, chance), chance)


def connections(engine: RunningEngine) -> int:
    """Return how many clients the engine is connected with."""
    ports = {urlsplit(url).port for url in (engine.url, engine.gateway_url)}
    links = psutil.Process(engine.process.pid).net_connections("tcp")
    open_states = {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}
    return sum(link.laddr.port in ports and link.status in open_states for link in links)


def answer(engine: RunningEngine) -> str:
    reply = call(engine.gateway_url, "POST", "/v1/chat/completions", {"model": "demo", **ASKED})
    assert reply.status == 200, reply.body
    return reply.json["choices"][0]["message"]["content"]


@contextlib.contextmanager
def busy_engine(homes: Path) -> Iterator[RunningEngine]:
    with running_engine(homes) as engine:
        engine.start("demo")
        yield engine


def play(homes: Path, total: int) -> None:
    with busy_engine(homes) as engine:
        (server,) = engine.call("GET", "/api/servers").json
        expected = answer(engine)
        process = psutil.Process(engine.process.pid)
        files = process.num_fds()
        ports = urlsplit(engine.gateway_url).port or 0, urlsplit(engine.url).port or 0
        polite = 0
        with Attackers(ports, total) as attackers:
            while attackers.is_busy():
                assert answer(engine) == expected
                assert engine.call("GET", "/api/engine").status == 200
                polite += 1
        until(lambda: connections(engine) == 0)
        until(lambda: process.num_fds() <= files + 2)
        # What was read of a long prompt is read to its end, also for a client that has gone.
        until(lambda: engine.call("GET", "/api/servers").json[0]["state"] == "ready")
        assert engine.call("GET", "/api/servers").json[0]["pid"] == server["pid"]
        assert [p["name"] for p in engine.call("GET", "/api/profiles").json] == ["Demo"]
        errors = engine.errors.read_text()
        assert "Traceback" not in errors, errors[errors.index("Traceback") :][:9000]
        assert "CRITICAL" not in engine.log
        assert polite


def record(total: int) -> None:
    figures.record(
        "spoiled, cut, endless and malicious requests at both ports, and clients that leave",
        total,
        "nothing; a polite client gets the same answer throughout, no connection is left",
        "make soak ARGS=tests/faults/test_hostile_clients.py",
    )


def test_hostile_clients_disturb_nobody(homes: Path) -> None:
    play(homes, 150)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_three_thousand_hostile_requests_disturb_nobody(homes: Path) -> None:
    play(homes, 3000)
    record(3000)
