"""What the gateway costs a stream, against the same streams without it and through nginx."""

import asyncio
import os
import random
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from gateway_kit import STREAM, FakeServer, post, stalled
from measure import DEADLINE_S, DRIVERS, Figure, middle, quantile, report
from test_engine_cost import program

pytestmark = pytest.mark.benchmark

NGINX = shutil.which("nginx") or ""
ROUNDS = 4
ONE_REQUESTS = 150
MANY = 64
PER_SECOND = 25
# Long streams, so that the events count and the requests hardly do.
LONG_CHUNKS = 100
SHORT_CHUNKS = 12
OPEN_STREAMS = 160
HANG_UPS = 60
# A round begins when others take less than this share of the machine, or after so long.
QUIET_PERCENT = 20.0
PATIENCE_S = 20.0
_SENT = re.compile(rb'"sent": (\d+)')
_CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 64m; keepalive_requests 1000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {servers}
}}
"""
_SERVER = (
    "server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ "
    "proxy_pass http://127.0.0.1:{upstream}; proxy_buffering off; proxy_read_timeout 1h; }} }}"
)


@dataclass
class Target:
    """A way to the upstream; `pid` is the process in between, None where there is none."""

    port: int
    pid: int | None

    def cpu_s(self) -> float:
        """Processor time so far; finer than the ticks of the usual counters where there is it."""
        if self.pid is None:
            return 0.0
        try:
            files = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
            return sum(int(file.read_text().split()[0]) for file in files) / 1e9
        except (OSError, IndexError):
            times = psutil.Process(self.pid).cpu_times()
            return times.user + times.system

    def held_bytes(self) -> int:
        return psutil.Process(self.pid).memory_full_info().uss if self.pid else 0


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[Target]:
    """Run nginx in one process in front of a port."""
    folder.mkdir()
    port = free_port()
    servers = _SERVER.format(port=port, upstream=upstream)
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, servers=servers), encoding="utf-8")
    process = subprocess.Popen([NGINX, "-c", str(config), "-p", str(folder)])
    try:
        end = time.monotonic() + DEADLINE_S
        while not any(c.laddr.port == port for c in psutil.Process(process.pid).net_connections()):
            assert process.poll() is None, (folder / "errors").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        yield Target(port, process.pid)
    finally:
        process.kill()
        process.wait()


@contextmanager
def targets(home: Path, chunks: int, per_second: int) -> Iterator[dict[str, Target]]:
    """The same upstream directly, through nginx and through the gateway."""
    ends = str(DRIVERS / "stream_ends.py")
    with ExitStack() as stack:
        words = ("1", str(chunks), str(per_second))
        upstream = stack.enter_context(program(home, ends, "upstream", *words))
        port = int(upstream.stdout.readline())
        gateway = stack.enter_context(program(home, ends, "gateway", str(port)))
        ours = Target(int(gateway.stdout.readline()), gateway.pid)
        theirs = stack.enter_context(nginx(home / f"nginx-{chunks}", port))
        yield {"direct": Target(port, None), "nginx": theirs, "gateway": ours}


def quiet() -> None:
    """Wait until other programs let the machine be; gives up, as the load is told with figures."""
    end = time.monotonic() + PATIENCE_S
    while psutil.cpu_percent(interval=0.3) > QUIET_PERCENT and time.monotonic() < end:
        pass


async def stream(port: int, first: list[float]) -> int:
    """Read one stream and return its events."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begin = time.monotonic_ns()
    writer.write(post(STREAM))
    seen, tail = 0, b""
    while b"[DONE]" not in tail:
        data = await reader.read(65_536)
        assert data, "the stream ended early"
        now = time.monotonic_ns()
        tail = (tail + data)[-64:]
        found = len(_SENT.findall(data))
        if found and not seen:
            first.append((now - begin) / 1000)
        seen += found
    writer.close()
    return seen


async def one_by_one(port: int) -> list[float]:
    first: list[float] = []
    for _ in range(ONE_REQUESTS):
        await stream(port, first)
    return first


async def side_by_side(port: int, each: int) -> tuple[list[float], int]:
    """Have MANY clients ask again and again, at spread moments."""
    first: list[float] = []
    dice = random.Random(1)  # noqa: S311 - no secret

    async def client() -> int:
        events = 0
        for _ in range(each):
            await asyncio.sleep(dice.random() / PER_SECOND * 5)
            events += await stream(port, first)
        return events

    events = await asyncio.gather(*(client() for _ in range(MANY)))
    return first, sum(events)


async def hold_open(port: int, look: Callable[[], int]) -> float:
    """Return the bytes that each of many open streams takes."""
    # What the first requests leave behind is no stream's.
    await side_by_side(port, 1)
    before = look()
    writers: list[asyncio.StreamWriter] = []
    for _ in range(OPEN_STREAMS):
        # One after another: the upstream's listen queue is no part of this.
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(STREAM))
        await reader.readuntil(b"sent")
        writers.append(writer)
    held = (look() - before) / OPEN_STREAMS
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)
    return held


async def hang_up_ms(home: Path, kind: str) -> list[float]:
    """Return how long after a client's hang-up the server sees it, in ms."""
    server = FakeServer(stalled)
    upstream = await server.start()
    found: list[float] = []
    with ExitStack() as stack:
        if kind == "nginx":
            port = stack.enter_context(nginx(home / "nginx-hang-up", upstream)).port
        else:
            ends = str(DRIVERS / "stream_ends.py")
            gateway = stack.enter_context(program(home, ends, "gateway", str(upstream)))
            port = int(gateway.stdout.readline())
        for _ in range(HANG_UPS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post(STREAM))
            await reader.readuntil(b"data: ")
            begin = time.monotonic()
            writer.transport.abort()
            await asyncio.wait_for(server.calls[-1].hung_up.wait(), 20.0)
            found.append((time.monotonic() - begin) * 1000)
    await server.stop()
    return found


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
@pytest.mark.timeout(600)
def test_gateway_against_nginx(home: Path) -> None:
    figures: list[Figure] = []
    with targets(home, 4, 1000) as ways:
        firsts: dict[str, list[float]] = {kind: [] for kind in ways}
        for _ in range(ROUNDS):
            quiet()
            for kind, target in ways.items():
                firsts[kind] += asyncio.run(one_by_one(target.port))
    figures += _added("1 stream", firsts)
    with targets(home, SHORT_CHUNKS, PER_SECOND) as ways:
        firsts = {kind: [] for kind in ways}
        for _ in range(ROUNDS):
            quiet()
            for kind, target in ways.items():
                firsts[kind] += asyncio.run(side_by_side(target.port, 3))[0]
    figures += _added(f"{MANY} streams", firsts)
    with targets(home, LONG_CHUNKS, PER_SECOND) as ways:
        costs: dict[str, list[float]] = {"nginx": [], "gateway": []}
        for _ in range(ROUNDS):
            quiet()
            for kind, each in costs.items():
                before = ways[kind].cpu_s()
                _, events = asyncio.run(side_by_side(ways[kind].port, 1))
                each.append((ways[kind].cpu_s() - before) / events * 1e6)
        ours, theirs = statistics.median(costs["gateway"]), statistics.median(costs["nginx"])
        pairs = zip(costs["gateway"], costs["nginx"], strict=True)
        ratios = [mine / other for mine, other in pairs]
        figures += [
            Figure("gateway, CPU an event", ours, "us"),
            Figure("nginx, CPU an event", theirs, "us"),
            # In the same round both had the same foreign load.
            Figure("CPU an event, gateway by nginx", middle(ratios), "x", 1.5),
        ]
        for kind, budget in (("nginx", None), ("gateway", 12.0)):
            held = asyncio.run(hold_open(ways[kind].port, ways[kind].held_bytes))
            figures.append(Figure(f"{kind}, memory an open stream", held / 1024, "KB", budget))
    for kind, budget in (("nginx", None), ("gateway", 4.0)):
        found = asyncio.run(hang_up_ms(home, kind))
        figures.append(Figure(f"{kind}, hang-up to server p50", middle(found), "ms", budget))
    # Other programs push p50 far more than the ratio of the least; look at the load first.
    report("gateway and nginx", figures, f"load {os.getloadavg()[0]:.1f}")


def _added(load: str, firsts: dict[str, list[float]]) -> list[Figure]:
    direct, least = middle(firsts["direct"]), min(firsts["direct"])
    theirs, ours = middle(firsts["nginx"]) - direct, middle(firsts["gateway"]) - direct
    return [
        Figure(f"direct, first event at {load}", direct, "us"),
        Figure(f"nginx adds at {load}", theirs, "us"),
        Figure(f"gateway adds at {load}", ours, "us"),
        Figure(f"nginx, first event p99 at {load}", quantile(firsts["nginx"], 0.99), "us"),
        Figure(f"gateway, first event p99 at {load}", quantile(firsts["gateway"], 0.99), "us"),
        Figure(f"nginx adds at {load}, least", min(firsts["nginx"]) - least, "us"),
        Figure(f"gateway adds at {load}, least", min(firsts["gateway"]) - least, "us"),
        Figure(f"added at {load}, gateway by nginx", ours / theirs, "x", 2.2),
    ]
