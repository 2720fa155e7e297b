"""What the gateway adds to a stream, measured in turn with the same streams without it."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from gateway_kit import BEARER, STREAM, post
from measure import DRIVERS, Figure, middle, quantile, report
from streams import hear
from test_engine_cost import program

pytestmark = pytest.mark.benchmark

STREAMS = 32
PER_SECOND = 60
CHUNKS = 5 * PER_SECOND
ROUNDS = 2
_SENT = re.compile(rb"sent (\d+);")


async def _one(port: int, request: bytes, first: list[float], delays: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begin = time.monotonic_ns()
    writer.write(request)
    seen = 0
    tail = b""
    # The time of arrival is taken once for a piece: pieces come as the sender wrote them.
    while b"[DONE]" not in tail:
        data = await reader.read(65536)
        assert data, "the stream ended early"
        tail = (tail + data)[-64:]
        now = time.monotonic_ns()
        for match in _SENT.finditer(data):
            if seen:
                delays.append((now - int(match[1])) / 1000)
            else:
                first.append((now - begin) / 1000)
            seen += 1
    assert seen == CHUNKS + 1
    writer.close()


async def _load(port: int) -> tuple[list[float], list[float]]:
    first: list[float] = []
    delays: list[float] = []
    request = post(STREAM, BEARER)
    async with asyncio.TaskGroup() as group:
        for _ in range(STREAMS):
            group.create_task(_one(port, request, first, delays))
            # One after another, so that the first events do not wait for each other.
            await asyncio.sleep(0.01)
    return first, delays


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def test_gateway_against_direct_streams(home: Path) -> None:
    ends = str(DRIVERS / "stream_ends.py")
    found: dict[str, Any] = {"direct": ([], []), "gateway": ([], [])}
    words = (str(STREAMS), str(CHUNKS), str(PER_SECOND))
    with program(home, ends, "upstream", *words) as upstream:
        port = upstream.stdout.readline().strip()
        with program(home, ends, "gateway", port) as gateway:
            ports = {"direct": int(port), "gateway": int(gateway.stdout.readline())}
            used = 0.0
            for _ in range(ROUNDS):
                for kind, target in ports.items():
                    before = _cpu(gateway.pid)
                    first, delays = hear(_load(target))
                    used += _cpu(gateway.pid) - before
                    found[kind][0].extend(first)
                    found[kind][1].extend(delays)
    figures = []
    for kind, (first, delays) in found.items():
        figures += [
            Figure(f"{kind}, first event least", min(first), "us"),
            Figure(f"{kind}, first event p50", middle(first), "us"),
            Figure(f"{kind}, chunk p50", middle(delays), "us"),
            Figure(f"{kind}, chunk p99", quantile(delays, 0.99), "us"),
        ]
    (direct_first, direct), (first, through) = found["direct"], found["gateway"]
    figures += [
        Figure("added to the first event, least", min(first) - min(direct_first), "us"),
        Figure("added to the first event, p50", middle(first) - middle(direct_first), "us"),
        Figure("added to a chunk, p50", middle(through) - middle(direct), "us"),
        Figure("gateway, CPU a chunk", used / len(through) * 1e6, "us"),
        Figure("gateway, CPU at this load", used / (ROUNDS * CHUNKS / PER_SECOND) * 100, "%"),
    ]
    report(f"gateway, {STREAMS} streams of {PER_SECOND} chunks a second", figures)
