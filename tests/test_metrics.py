"""The figures for Prometheus: their kinds, how fresh they are, and what they tell of requests."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from engine_kit import RunningEngine, running_engine, until
from request_kit import open_stream

from app.wire.metrics import METRICS

PREFIX = "mlx_manager_"


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    """One engine with the demo server, ready."""
    with running_engine(homes) as one:
        one.start("demo")
        yield one


def scrape(engine: RunningEngine) -> dict[str, float]:
    """Ask as Prometheus does, and return values by name and labels."""
    lines = engine.call("GET", "/metrics").body.decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name.removeprefix(PREFIX): float(value) for name, _, value in pairs}


def value(engine: RunningEngine, metric: str) -> float:
    """The value of the demo server."""
    (found,) = (v for k, v in scrape(engine).items() if k.startswith(metric + '{server="demo"'))
    return found


def test_kind_of_each_metric_is_that_of_the_table(engine: RunningEngine) -> None:
    until(lambda: any(name.startswith("tokens_total") for name in scrape(engine)))
    lines = engine.call("GET", "/metrics").body.decode().splitlines()
    kinds = dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))
    wanted = {PREFIX + m.name: "counter" if m.is_counter else "gauge" for m in METRICS}
    shared = kinds.keys() & wanted.keys()
    assert PREFIX + "requests_failed" in shared
    assert {name: kinds[name] for name in shared} == {name: wanted[name] for name in shared}


def test_who_reads_the_metrics_gets_new_figures_each_second(homes: Path) -> None:
    with running_engine(homes) as one:
        # The first figures come with the first tick.
        until(lambda: "sampled_at_seconds" in scrape(one))
        times = [scrape(one)["sampled_at_seconds"]]

        def has_enough() -> bool:
            now = scrape(one)["sampled_at_seconds"]
            if now != times[-1]:
                times.append(now)
            return len(times) == 4

        until(has_enough)
        # While nobody looks they come every five seconds.
        assert min(b - a for a, b in pairwise(times)) < 3.0


def test_open_requests_are_told_as_of_now(engine: RunningEngine) -> None:
    with open_stream(engine):
        assert value(engine, "requests_open") == 1
