"""Clients of a gateway that note when each event was sent and when it came."""

import asyncio
import random
import re
import socket
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway_kit import BEARER, MESSAGES, post
from measure import DEADLINE_S

_T = TypeVar("_T")
_SENT = re.compile(rb"sent (\d+);")


@dataclass
class Heard:
    """What clients saw."""

    firsts_us: list[float] = field(default_factory=list[float])
    """From the request to its first event."""
    ages_us: list[float] = field(default_factory=list[float])
    """From the moment at which an event was sent to that at which it came, without the firsts."""
    events: int = 0
    errors: int = 0
    """Answers that were refused, cut or not complete."""


def ask(chunks: int, per_second: int) -> bytes:
    """Return the request for a stream of our upstream; see stream_ends.py."""
    text = {**MESSAGES[0], "content": f"{chunks} chunks at {per_second}"}
    return post({"model": "coding", "messages": [text], "stream": True}, BEARER)


def hear(clients: Coroutine[Any, Any, _T]) -> _T:
    """Run clients in Python's own loop, whichever the tests use."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(clients)


async def listen(port: int, request: bytes, heard: Heard) -> None:
    """Read one stream to its end."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            begin = time.monotonic_ns()
            writer.write(request)
            async with asyncio.timeout(DEADLINE_S):
                await _read(reader, begin, heard)
        finally:
            writer.close()
    except (OSError, EOFError, TimeoutError):
        heard.errors += 1


async def _read(reader: asyncio.StreamReader, begin: int, heard: Heard) -> None:
    has_first, tail = False, b""
    while b"[DONE]" not in tail:
        data = await reader.read(65_536)
        if not data:
            raise EOFError
        # The time of arrival is taken once for a piece: pieces come as the sender wrote them.
        now = time.monotonic_ns()
        data, end = tail + data, 0
        for found in _SENT.finditer(data):
            end = found.end()
            heard.events += 1
            if has_first:
                heard.ages_us.append((now - int(found[1])) / 1000)
            else:
                heard.firsts_us.append((now - begin) / 1000)
                has_first = True
        # What may be the first part of a stamp, or of the last event.
        tail = data[end:][-64:]


async def in_turn(port: int, request: bytes, times: int) -> Heard:
    """Ask again as soon as the answer is there."""
    heard = Heard()
    for _ in range(times):
        await listen(port, request, heard)
    return heard


async def side_by_side(
    port: int, request: bytes, *, clients: int, times: int, spread_s: float
) -> Heard:
    """Have many clients ask again and again, each after a pause of up to `spread_s`."""
    heard = Heard()
    dice = random.Random(1)  # noqa: S311 - no secret

    async def client() -> None:
        for _ in range(times):
            await asyncio.sleep(dice.random() * spread_s)
            await listen(port, request, heard)

    await asyncio.gather(*(client() for _ in range(clients)))
    return heard


def open_stream(port: int, chunks: int = 0, per_second: int = 1) -> socket.socket:
    """Return a connection whose answer has begun."""
    link = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
    try:
        link.sendall(ask(chunks, per_second))
        data = b""
        while b"sent" not in data:
            piece = link.recv(65_536)
            if not piece:
                raise ConnectionError(data)
            data += piece
    except OSError:
        link.close()
        raise
    return link
