"""A stand-in for mlx_lm.server and a client that reads raw bytes, for tests of the gateway."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from patience import DEADLINE_S

from app.gate import Policy
from app.gateway import Gateway, Served, Upstream
from app.gateway.shared import Limits

Script = Callable[["Call"], Awaitable[None]]

KEY = "sk-gateway-5531"
KEYED = Policy.from_key_text(KEY)
BEARER = f"Authorization: Bearer {KEY}"
MESSAGES = [{"role": "user", "content": "Hi"}]
ASK = {"model": "coding", "messages": MESSAGES}
STREAM = {**ASK, "stream": True}
WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}

SSE_HEAD = (
    b"HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6 Python/3.11\r\n"
    b"Date: Mon, 01 Jan 2029 00:00:00 GMT\r\n"
    b"Content-type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Access-Control-Allow-Origin: *\r\n\r\n"
)
DONE = b"data: [DONE]\n\n"
USAGE = (
    b'data: {"id": "c-1", "object": "chat.completion", "model": "default_model", "created": 1, '
    b'"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 6}}\n\n'
)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test; a loop that waits for something that never comes is ended."""
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that has no event of its own; the deadline is that of `run`."""
    while not condition():  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.001)


def event(text: str, model: str = "default_model") -> bytes:
    """An event as mlx_lm.server writes it."""
    chunk = {
        "id": "c-1",
        "system_fingerprint": "0.32.2-0.32.4-Linux",
        "object": "chat.completion.chunk",
        "model": model,
        "created": 1,
        "choices": [
            {"index": 0, "finish_reason": None, "delta": {"role": "assistant", "content": text}}
        ],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


def json_answer(body: object, status: str = "200 OK", *, has_length: bool = True) -> bytes:
    """A whole answer as mlx_lm.server writes it."""
    data = json.dumps(body).encode()
    length = b"Content-Length: %d\r\n" % len(data) if has_length else b""
    head = f"HTTP/1.0 {status}\r\nServer: BaseHTTP/0.6\r\nContent-type: application/json\r\n"
    return head.encode() + length + b"\r\n" + data


@dataclass
class Call:
    """One request that reached the stand-in."""

    line: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():
            # Where asyncio takes it silently, uvloop raises a RuntimeError.
            raise ConnectionResetError("the client is gone")
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Die: what kill -9 looks like from outside when unread data is there."""
        self.writer.transport.abort()


async def answer_ok(call: Call) -> None:
    """The usual script: a short stream or a short document."""
    if call.json.get("stream"):
        await call.send(SSE_HEAD + b": keepalive 20/21\n\n")
        for text in ("Hello", " world"):
            await call.send(event(text))
        if call.json.get("stream_options", {}).get("include_usage"):
            await call.send(USAGE)
        await call.send(DONE)
    else:
        answer = {"model": call.json["model"], "choices": [{"message": {"content": "Hello"}}]}
        await call.send(json_answer(answer))


async def silent(call: Call) -> None:
    """Reads the prompt for ever."""
    await call.hung_up.wait()


async def stalled(call: Call) -> None:
    """Sends one event, then nothing."""
    await call.send(SSE_HEAD + event("a"))
    await call.hung_up.wait()


async def endless(call: Call) -> None:
    """Sends events until the other side hangs up."""
    await call.send(SSE_HEAD)
    while not call.hung_up.is_set():
        await call.send(event("a"))
        await asyncio.sleep(0.005)


async def flood(call: Call) -> None:
    """Sends as fast as it can."""
    call.writer.write(SSE_HEAD)
    while not call.hung_up.is_set():
        call.writer.write(event("x" * 50_000))
        await call.writer.drain()


class FakeServer:
    """Answers as `script` says; HTTP/1.0, one request for each connection."""

    def __init__(self, script: Script = answer_ok) -> None:
        self.script = script
        self.calls: list[Call] = []
        self.connections = 0
        self.called = asyncio.Event()
        self.refuses_first = 0
        """So many connections are closed before they are answered."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 27)
        return self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Die: stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        watch = None
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.connections <= self.refuses_first:
                return
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.rstrip().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (f.partition(":") for f in fields)}
            body = await reader.readexactly(int(headers["content-length"]))
            call = Call(line, headers, body, writer)
            self.calls.append(call)
            self.called.set()

            async def watch_for_end() -> None:
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                call.hung_up.set()

            watch = asyncio.create_task(watch_for_end())
            await self.script(call)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            if watch is not None:
                watch.cancel()
            writer.close()


class FakeDirectory:
    """The engine's knowledge, set by tests."""

    def __init__(self) -> None:
        self.upstreams: list[Upstream] = []
        self.stopped: list[Served] = []
        self.starts: dict[str, asyncio.Future[Upstream]] = {}
        """Who waits for a start; set the result or the error."""
        self.asked: list[str] = []

    def add(self, name: str, port: int, model: str = "org/model") -> None:
        """A server that was started after all others."""
        self.upstreams.insert(0, Upstream(name, name, model, "127.0.0.1", port, f"token-{name}"))

    def ready(self) -> list[Upstream]:
        return list(self.upstreams)

    def known(self) -> list[Served]:
        ready = [
            Served(u.profile_name, u.model, True, 1795444207.2, u.profile_id)
            for u in self.upstreams
        ]
        return [*ready, *self.stopped]

    def add_startable(self, name: str, model: str = "org/sleeper") -> "asyncio.Future[Upstream]":
        """A stopped profile that a request may start, and what its start comes to."""
        self.stopped.append(Served(name, model, False, 0.0, name, True))
        start = self.starts[name] = asyncio.get_running_loop().create_future()
        return start

    async def ensure(self, profile_id: str) -> Upstream:
        self.asked.append(profile_id)
        return await asyncio.shield(self.starts[profile_id])


@dataclass
class Answer:
    """What a client got: `is_complete` by the rules of HTTP framing."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_complete: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


class Client:
    """A raw connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_head(self) -> tuple[int, dict[str, str]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.rstrip().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (f.partition(":") for f in fields)}
        assert line.startswith("HTTP/1.1 "), line
        return int(line.split(" ")[1]), headers

    async def read(self, method: str = "POST") -> Answer:
        """Read one answer by its framing."""
        status, headers = await self.read_head()
        if method == "HEAD":
            return Answer(status, headers, b"", True)
        try:
            if headers.get("transfer-encoding") == "chunked":
                body, is_complete = await self._read_chunks()
            elif "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
                is_complete = True
            else:
                body, is_complete = await self.reader.read(), True
        except asyncio.IncompleteReadError as error:
            body, is_complete = error.partial, False
        return Answer(status, headers, body, is_complete)

    async def is_closed(self) -> bool:
        """True when the gateway ends the connection without another byte."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True

    async def _read_chunks(self) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        while True:
            line = await self.reader.readline()
            if not re.fullmatch(rb"[0-9a-f]+\r\n", line):
                assert line == b"", line
                return b"".join(parts), False
            size = int(line, 16)
            chunk = await self.reader.readexactly(size + 2)
            assert chunk.endswith(b"\r\n")
            if size == 0:
                return b"".join(parts), True
            parts.append(chunk[:-2])


def post(
    body: object, *headers: str, path: str = "/v1/chat/completions", version: str = "1.1"
) -> bytes:
    """A POST request; `body` is bytes or becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/{version}",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


@dataclass
class House:
    """A running gateway with what stands behind it."""

    gateway: Gateway
    directory: FakeDirectory
    server: FakeServer
    port: int
    clients: list[Client] = field(default_factory=list[Client])

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 27)
        self.clients.append(Client(reader, writer))
        return self.clients[-1]

    async def ask(self, data: bytes, method: str = "POST") -> Answer:
        """Send on a new connection and read one answer."""
        client = await self.connect()
        try:
            await client.send(data)
            return await client.read(method)
        finally:
            client.writer.close()


@contextlib.asynccontextmanager
async def house(
    script: Script = answer_ok,
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    **options: Any,
) -> AsyncIterator[House]:
    """A gateway in front of one ready server, `coding`."""
    server = FakeServer(script)
    directory = FakeDirectory()
    directory.add("coding", await server.start())
    gateway = Gateway(directory, policy or Policy(), limits=limits, **options)
    _, port = await gateway.start("127.0.0.1", 0)
    inside = House(gateway, directory, server, port)
    try:
        yield inside
    finally:
        await gateway.close()
        await server.stop()
        for client in inside.clients:
            client.writer.transport.abort()
        # Transports let go of their sockets in the next round.
        await asyncio.sleep(0)
