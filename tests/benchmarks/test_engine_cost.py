"""What the engine, its guard, its API and its event stream cost."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from measure import DRIVERS, MIB, ROOT, Figure, environment, memory, middle, quantile, report
from msgspec.json import encode
from synthetic import samples

from app.client.api import Api
from app.engine.sampler import Sampler, Target
from app.wire.events import Samples

pytestmark = pytest.mark.benchmark

ROUNDS = 5
SERVERS = 50
FLEETS = (1, 4, 50)
TICKS = 100
EVENTS = 200
PER_SECOND = 50
CALLS = 300


@contextmanager
def program(home: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run Python with pipes; its standard input is closed at the end, which ends our programs."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment(home), cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.stdin.close()
        process.stdout.read()
        process.stdout.close()
        process.wait(30)


def say(process: "subprocess.Popen[str]", line: str) -> dict[str, float | str]:
    """Send a line and return the JSON object that comes back."""
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def timed_engine(home: Path) -> tuple[float, float]:
    """Start an engine; return seconds until its handshake, and CPU seconds until then."""
    begin = time.monotonic()
    with program(home, "-m", "app", "engine", "--owned", "--gateway-port", "0") as engine:
        say(engine, "{}")
        seconds = time.monotonic() - begin
        times = psutil.Process(engine.pid).cpu_times()
    return seconds, times.user + times.system


def timed_imports(home: Path) -> float:
    begin = time.monotonic()
    with program(home, "-c", "import starlette.applications, uvicorn, msgspec"):
        pass
    return time.monotonic() - begin


def test_engine_start_until_handshake(home: Path) -> None:
    timed_engine(home), timed_imports(home)
    rounds = [(timed_engine(home), timed_imports(home)) for _ in range(ROUNDS)]
    seconds = middle([engine[0] for engine, _ in rounds])
    imports = middle([peer for _, peer in rounds])
    report(
        "engine start",
        [
            Figure("start until handshake, median", seconds, "s", 1.0),
            Figure("CPU until handshake, median", middle([e[1] for e, _ in rounds]), "s"),
            Figure("importing starlette, uvicorn, msgspec alone", imports, "s"),
            Figure("ratio", seconds / imports, "x", 3.0),
        ],
    )


def test_engine_memory_and_idle_cpu(home: Path) -> None:
    with program(home, "-m", "app", "engine", "--owned", "--gateway-port", "0") as engine:
        say(engine, "{}")
        # The figures are of a certain age of the process; nothing is waited for here.
        time.sleep(3)
        used = memory(engine.pid)
        begin = psutil.Process(engine.pid).cpu_times()
        time.sleep(10)
        end = psutil.Process(engine.pid).cpu_times()
    idle = (end.user + end.system - begin.user - begin.system) / 10 * 100
    budgets = {"rss": 60.0}
    figures = [Figure(f"{n} after 3 s", v, "MiB", budgets.get(n)) for n, v in used.items()]
    report("engine at rest", [*figures, Figure("CPU without servers", idle, "%", 1.0)])


def test_guard_memory(home: Path) -> None:
    order = {"argv": ["sleep", "60"], "env": {}, "log": str(home / "log"), "grace_s": 1.0}
    with program(home, "-c", "import os; print(1, flush=True); os.read(0, 1)") as bare:
        bare.stdout.readline()
        least = memory(bare.pid)
    with program(home, "-m", "app", "guard") as guard:
        assert say(guard, json.dumps(order))["event"] == "spawned"
        used = memory(guard.pid)
    report(
        "guard",
        [
            *(Figure(n, v, "MiB") for n, v in used.items()),
            Figure("rss of a bare interpreter", least["rss"], "MiB"),
            Figure("rss over a bare interpreter", used["rss"] - least["rss"], "MiB", 6.0),
        ],
    )


@contextmanager
def lone_engine(home: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    words = (str(SERVERS), str(EVENTS), str(PER_SECOND))
    with program(home, str(DRIVERS / "lone_engine.py"), *words) as engine:
        yield engine, json.loads(engine.stdout.readline())["url"]


def test_list_of_fifty_servers_latency(home: Path) -> None:
    plain: list[float] = []
    ours: list[float] = []
    with lone_engine(home) as (_, url):
        raw = http.client.HTTPConnection(urlsplit(url).netloc)
        with Api(url) as api:
            for _ in range(CALLS):
                begin = time.perf_counter()
                raw.request("GET", "/api/servers")
                data = raw.getresponse().read()
                plain.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                assert len(api.servers()) == SERVERS
                ours.append(time.perf_counter() - begin)
        raw.close()
    report(
        "GET /api/servers, 50 servers, keep-alive",
        [
            Figure("p50", middle(plain) * 1000, "ms", 2.0),
            Figure("p95", quantile(plain, 0.95) * 1000, "ms"),
            Figure("p50 by the app's own client", middle(ours) * 1000, "ms"),
            Figure("p95 by the app's own client", quantile(ours, 0.95) * 1000, "ms"),
            Figure("size", len(data) / 1024, "KiB"),
        ],
    )


def test_samples_of_fifty_servers_on_the_stream(home: Path) -> None:
    with lone_engine(home) as (engine, url), Api(url) as api:
        stream = api.events()
        next(stream)
        engine.stdin.write("go\n")
        engine.stdin.flush()
        begin = time.process_time()
        seen = 0
        while seen < EVENTS:
            event = next(stream)
            seen += isinstance(event, Samples) and len(event.values) == SERVERS
        ours = time.process_time() - begin
        theirs = json.loads(engine.stdout.readline())["cpu_s"]
        stream.close()
    size = len(encode(samples(SERVERS, 7)))
    report(
        "one samples event of 50 servers",
        [
            Figure("size", size / 1024, "KiB"),
            Figure("engine, CPU an event with one reader", theirs / EVENTS * 1000, "ms", 5.0),
            Figure("client, CPU an event", ours / EVENTS * 1000, "ms", 5.0),
            Figure("a day of events at 1 Hz", size * 86_400 / MIB, "MiB"),
        ],
    )


@contextmanager
def fleet(count: int) -> Iterator[dict[str, Target]]:
    """Run `count` processes that lead groups of their own, as servers do."""
    words = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    processes = [
        subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True) for _ in range(count)
    ]
    try:
        yield {f"s{n}": Target(p.pid, time.time()) for n, p in enumerate(processes)}
    finally:
        for process in processes:
            process.communicate()


def test_sampler_of_one_four_and_fifty_servers() -> None:
    figures: list[Figure] = []
    for count in FLEETS:
        with fleet(count) as targets:
            sampler = Sampler(64 << 30)
            sampler.set_targets(targets)
            sampler.tick(0.0)
            begin, spent = time.process_time(), time.perf_counter()
            for tick in range(1, TICKS + 1):
                _, values = sampler.tick(float(tick))
            used = (time.process_time() - begin) / TICKS * 1000
            took = (time.perf_counter() - spent) / TICKS * 1000
            assert len([v for v in values.values() if v["memory_bytes"]]) == count
        figures += [
            Figure(f"{count} servers, CPU a tick", used, "ms"),
            Figure(f"{count} servers, CPU a tick and server", used / count, "ms"),
            Figure(f"{count} servers, share of a core at 1 Hz", used / 10, "%", 2.0),
            Figure(f"{count} servers, time a tick", took, "ms"),
        ]
    report("sampler, a process for each server", figures)
