"""What the gateway costs, against no gateway, nginx and other people's gateways.

Every round has each of them do the same in a random order, and counts only if other programs let
the machine be. `WRITE_FIGURES=1 make bench ARGS='-k gateway'` puts the figures into
docs/performance.md.
"""

import random
import select
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faults import figures
from gateway_ways import MAKERS, Way, gateway_memory_mib
from measure import DRIVERS, Figure, machine, middle, quantile, report
from quiet import Rounds, told
from streams import Heard, ask, hear, in_turn, open_stream, side_by_side
from test_engine_cost import program

pytestmark = pytest.mark.benchmark

ROUNDS = 5
OPEN_STREAMS = 160
HANG_UPS = 40
# A hang-up that has not come through by then does not come through.
HANG_UP_DEADLINE_S = 10.0
FIRST_EVENT = 2.2
CPU = 1.5

Load = Callable[[Way], Coroutine[Any, Any, Heard]]


def _one(way: Way) -> Coroutine[Any, Any, Heard]:
    return in_turn(way.port, ask(4, 1000), max(5, round(100 * way.share)))


def _many(clients: int, way: Way) -> Coroutine[Any, Any, Heard]:
    return side_by_side(way.port, ask(6, 25), clients=clients, times=2, spread_s=0.2)


def _long(way: Way) -> Coroutine[Any, Any, Heard]:
    # So many events that the requests hardly count.
    request = ask(100 if way.share == 1 else 20, 25)
    return side_by_side(way.port, request, clients=64, times=1, spread_s=0.2)


def _flood(way: Way) -> Coroutine[Any, Any, Heard]:
    request = ask(round(1000 * way.share), 0)
    return side_by_side(way.port, request, clients=16, times=1, spread_s=0.01)


LOADS: dict[str, Load] = {
    "1": _one,
    "16": partial(_many, 16),
    "64": partial(_many, 64),
    "events": _long,
    "flood": _flood,
}


@dataclass
class Run:
    """One load on one way."""

    heard: Heard
    cpu_s: float

    @property
    def cpu_us(self) -> float:
        """Processor time for each event, with its share of the request."""
        return self.cpu_s / self.heard.events * 1e6

    @property
    def request_us(self) -> float:
        """Processor time for each request with its events."""
        return self.cpu_s / len(self.heard.firsts_us) * 1e6

    @property
    def events_each(self) -> float:
        """Events of each request."""
        return self.heard.events / len(self.heard.firsts_us)


@dataclass
class Result:
    """All that was found, by load and by the name of the way; the n-th runs are of one round."""

    runs: dict[str, dict[str, list[Run]]]
    held_kb: dict[str, float] = field(default_factory=dict[str, float])
    hang_up_ms: dict[str, float | None] = field(default_factory=dict[str, float | None])
    missing: list[str] = field(default_factory=list[str])
    foreign: list[float] = field(default_factory=list[float])
    dropped: int = 0
    engine_mib: float = 0.0

    def firsts(self, load: str, way: str) -> list[float]:
        return [us for run in self.runs[load][way] for us in run.heard.firsts_us]

    def added(self, load: str, way: str) -> list[float]:
        """Return for each round what the way added to the first event, in us."""
        rounds = zip(self.runs[load][way], self.runs[load]["direct"], strict=True)
        return [middle(run.heard.firsts_us) - middle(no.heard.firsts_us) for run, no in rounds]

    def times_nginx(self, load: str, way: str) -> float:
        """Return how often the gateway adds what nginx adds."""
        pairs = zip(self.added(load, way), self.added(load, "nginx"), strict=True)
        return middle([ours / theirs for ours, theirs in pairs])

    def cpu_us(self, way: str) -> tuple[float, float]:
        """Return the processor time of one event and of a request without events, in us.

        Of two loads, whose requests have few events and many: what these cost more is theirs.
        """
        few, many = self.runs["1"][way], self.runs["events"][way]
        least, most = (middle([run.request_us for run in runs]) for runs in (few, many))
        event_us = (most - least) / (many[0].events_each - few[0].events_each)
        return event_us, least - few[0].events_each * event_us

    def cpu_times_nginx(self, way: str) -> float:
        return self.cpu_us(way)[0] / self.cpu_us("nginx")[0]

    def flood_us(self, way: str) -> float:
        """Return the processor time for an event of many that come at once."""
        return middle([run.cpu_us for run in self.runs["flood"][way]])

    def errors(self, way: str) -> int:
        return sum(run.heard.errors for runs in self.runs.values() for run in runs[way])


def measure(ways: list[Way], load: Load, result: Result, name: str) -> None:
    """Have each way carry the load in each round."""
    dice = random.Random(name)  # noqa: S311 - no secret
    found = result.runs[name] = {way.name: [] for way in ways}
    rounds = Rounds(ROUNDS)
    while rounds.more():
        runs: dict[str, Run] = {}
        for way in dice.sample(ways, len(ways)):
            before = way.cpu_s()
            heard = hear(load(way))
            runs[way.name] = Run(heard, way.cpu_s() - before)
        if rounds.keeps():
            for way_name, run in runs.items():
                found[way_name].append(run)
    result.dropped += rounds.dropped
    result.foreign += rounds.foreign


def held_kb(way: Way) -> float:
    """Return the memory that each of many open streams takes, in KB."""
    # What the first requests leave behind is no stream's.
    hear(_many(32, way))
    before = way.held_bytes()
    links = [open_stream(way.port, 1000, 1) for _ in range(OPEN_STREAMS)]
    held = (way.held_bytes() - before) / OPEN_STREAMS / 1024
    for link in links:
        link.close()
    return held


def hang_up_ms(way: Way, upstream: "subprocess.Popen[str]") -> float | None:
    """Return how long after a client's hang-up the server sees it; None if it never does."""
    found: list[float] = []
    for _ in range(HANG_UPS):
        link = open_stream(way.port)
        begin = time.monotonic_ns()
        link.close()
        ready, _, _ = select.select([upstream.stdout], [], [], HANG_UP_DEADLINE_S)
        if not ready:
            return None
        found.append((int(upstream.stdout.readline()) - begin) / 1e6)
    return middle(found)


@pytest.fixture(scope="module")
def upstream(homes: Path) -> Iterator["subprocess.Popen[str]"]:
    with program(homes, str(DRIVERS / "stream_ends.py"), "upstream", "1", "1", "1") as one:
        yield one


@pytest.mark.timeout(3600)
def test_gateway_against_its_peers(home: Path, upstream: "subprocess.Popen[str]") -> None:
    port = int(upstream.stdout.readline())
    result = Result({})
    with ExitStack() as stack:
        ways = [Way("direct", port)]
        for name, make in MAKERS.items():
            try:
                ways.append(make(stack, home, port))
            except (OSError, subprocess.SubprocessError, AssertionError) as error:
                print(f"{name}: {error}")
                result.missing.append(name)
        for name, load in LOADS.items():
            measure(ways, load, result, name)
        for way in ways[1:]:
            result.held_kb[way.name] = held_kb(way)
        for way in ways:
            result.hang_up_ms[way.name] = hang_up_ms(way, upstream)
    result.engine_mib = gateway_memory_mib(home, port)
    write(result)
    judge(result)


def judge(result: Result) -> None:
    for way in result.runs["1"]:
        heard = [Figure(f"{way}, errors", result.errors(way), "", 0 if "gate" in way else None)]
        for load in ("1", "16", "64") if way != "direct" else ():
            heard += [
                Figure(f"{way}, adds to {load} p50", middle(result.added(load, way)), "us"),
                Figure(f"{way}, p99 at {load}", quantile(result.firsts(load, way), 0.99), "us"),
            ]
        if way != "direct":
            event_us, request_us = result.cpu_us(way)
            heard.append(Figure(f"{way}, CPU an event", event_us, "us"))
            heard.append(Figure(f"{way}, CPU a request", request_us, "us"))
        report(f"way of {way}", heard)
    figures_of_ours = [
        Figure(f"added at {load}, gateway by nginx", result.times_nginx(load, "gateway"), "x",
               FIRST_EVENT if load != "16" else None)
        for load in ("1", "16", "64")
    ]  # fmt: skip
    report(
        "gateway and nginx",
        [
            *figures_of_ours,
            Figure("CPU an event, gateway by nginx", result.cpu_times_nginx("gateway"), "x", CPU),
            Figure("memory an open stream", result.held_kb["gateway"], "KB", 12.0),
            Figure("added to the engine", result.engine_mib, "MiB", 20.0),
            Figure("hang-up to server p50", result.hang_up_ms["gateway"] or 1e9, "ms", 4.0),
        ],
        told(result.foreign, result.dropped),
    )


def write(result: Result) -> None:
    """Put the figures into the document."""
    heads = ["", "first event of 1 stream", "of 16", "of 64", "CPU for a million events",
             "for a thousand requests", "events/s of a core, in a flood", "an open stream",
             "hang-up", "errors"]  # fmt: skip
    lines = figures.table(heads, [_row(result, way) for way in result.runs["1"]])
    ratios = ", ".join(
        f"{result.times_nginx(load, 'gateway'):.1f} at {load}" for load in ("1", "16", "64")
    )
    said = (
        f"To the first event the gateway adds {ratios} times what nginx adds, and an event costs "
        f"{result.cpu_times_nginx('gateway'):.2f} times as much CPU as with nginx (medians). "
        f"It adds {result.engine_mib:.1f} MiB to the engine. "
        f"{told(result.foreign, result.dropped)} Measured on {machine()}."
    )
    lines += ["", said]
    if result.missing:
        lines += ["", f"Could not be installed there: {', '.join(result.missing)}."]
    figures.write("gateway", ["", *lines, ""], figures.PERFORMANCE)


def _row(result: Result, way: str) -> list[str]:
    cells = [way]
    for load in ("1", "16", "64"):
        all_us = result.firsts(load, way)
        if way == "direct":
            cells.append(f"{_ms(middle(all_us))} / {_ms(quantile(all_us, 0.99))}")
        else:
            direct = quantile(result.firsts(load, "direct"), 0.99)
            late = quantile(all_us, 0.99) - direct
            cells.append(f"+{_ms(middle(result.added(load, way)))} / {late / 1000:+.2f} ms")
    if way == "direct":
        cells += ["", "", "", ""]
    else:
        event_us, request_us = result.cpu_us(way)
        # Where a request costs much more than its events, these cannot be told.
        events = f"{event_us:.0f} s" if event_us * 100 > request_us else "?"
        cells += [events, f"{request_us / 1000:.2f} s"]
        cells += [f"{1e6 / result.flood_us(way):,.0f}", f"{result.held_kb[way]:.0f} KB"]
    late_ms = result.hang_up_ms[way]
    cells.append("never" if late_ms is None else f"{late_ms:.1f} ms")
    return [*cells, str(result.errors(way))]


def _ms(us: float) -> str:
    return f"{us / 1000:.2f} ms"
