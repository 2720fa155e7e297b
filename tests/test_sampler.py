"""The sampler's values, from real processes and from runner reports with our own clock."""

import time
from collections.abc import Iterator

import pytest
from burner import Child

from app.engine.readers.gpu import GpuReader
from app.engine.sampler import Sampler, Target, tokens_per_s
from app.wire.child import RunnerStats
from app.wire.events import MachineSample
from app.wire.metrics import METRIC_NAMES, METRICS


@pytest.fixture
def child() -> Iterator[Child]:
    with Child() as one:
        yield one


def new_sampler() -> Sampler:
    return Sampler(64 << 30, gpu=GpuReader(lambda: None), used_memory=lambda: 5 << 30)


def stats(completion: int, *, prompt: int = 0, active: int = 0, cache: int = 0) -> RunnerStats:
    return RunnerStats(
        prompt_tokens=prompt,
        completion_tokens=completion,
        requests_open=2,
        requests_total=7,
        active_bytes=active,
        cache_bytes=cache,
        peak_bytes=active,
    )


def target(pid: int = 2**22 + 1, started: float = 1.0) -> Target:
    return Target(pid, started)


def rate_after(reports: list[tuple[float, int]], now: float) -> float | None:
    sampler = new_sampler()
    sampler.set_targets({"a": target()})
    for at, tokens in reports:
        sampler.put_stats("a", stats(tokens), at)
    return sampler.tick(now)[1]["a"]["tokens_per_s"]


def test_tick_without_servers_has_the_machine() -> None:
    machine, values = new_sampler().tick(1.0)
    assert machine == MachineSample(64 << 30, 5 << 30, None)
    assert values == {}


def test_tick_names_every_metric_and_guesses_none(child: Child) -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target(child.pid)})
    values = sampler.tick(1.0)[1]["a"]
    assert values.keys() == METRIC_NAMES
    assert [name for name, value in values.items() if value is not None] == ["memory_bytes"]


def test_tick_reads_cpu_and_memory_of_each_server(child: Child) -> None:
    sampler = new_sampler()
    with Child() as other:
        other.order("burn 0.01")
        child.order("hold 64")
        sampler.set_targets({"a": target(child.pid), "b": target(other.pid)})
        sampler.tick(100.0)
        other.order("burn 0.5")
        values = sampler.tick(101.0)[1]
    small, large = values["b"]["memory_bytes"], values["a"]["memory_bytes"]
    assert small is not None
    assert large is not None
    assert 50 << 20 <= large - small <= 80 << 20
    idle, busy = values["a"]["cpu_percent"], values["b"]["cpu_percent"]
    assert idle is not None
    assert busy is not None
    assert idle <= 5
    assert 45 <= busy <= 75


def test_tick_counts_a_grandchild_some_ticks_later(child: Child) -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target(child.pid)})
    before = sampler.tick(100.0)[1]["a"]["memory_bytes"]
    child.order("child")
    child.order("tell hold 64")
    for at in (101.0, 102.0, 103.0):
        after = sampler.tick(at)[1]["a"]["memory_bytes"]
    assert before is not None
    assert after is not None
    assert after - before > 60 << 20


def test_tick_after_the_process_ended_is_unknown(child: Child) -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target(child.pid)})
    sampler.tick(100.0)
    child.end()
    values = sampler.tick(101.0)[1]["a"]
    assert (values["memory_bytes"], values["cpu_percent"]) == (None, None)


def test_tick_after_a_server_was_removed_leaves_it_out(child: Child) -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target(child.pid)})
    sampler.tick(100.0)
    sampler.set_targets({})
    assert sampler.tick(101.0)[1] == {}


def test_new_start_of_a_server_begins_without_figures(child: Child) -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target(child.pid, 1.0)})
    sampler.put_stats("a", stats(100), 99.0)
    sampler.tick(100.0)
    sampler.set_targets({"a": target(child.pid, 2.0)})
    values = sampler.tick(101.0)[1]["a"]
    assert values["tokens_total"] is None
    assert values["cpu_percent"] is None


def test_targets_that_change_after_the_call_do_not_matter() -> None:
    sampler = new_sampler()
    targets = {"a": target()}
    sampler.set_targets(targets)
    targets.clear()
    assert list(sampler.tick(1.0)[1]) == ["a"]


def test_stats_give_totals_requests_and_mlx_memory() -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target()})
    sampler.put_stats("a", stats(30, prompt=12, active=4096), 1.0)
    values = sampler.tick(1.1)[1]["a"]
    assert values["tokens_total"] == 42
    assert values["requests_open"] == 2
    assert values["requests_total"] == 7
    assert values["mlx_active_bytes"] == 4096
    assert values["mlx_cache_bytes"] == 0
    assert values["mlx_peak_bytes"] == 4096
    assert values["tokens_per_s"] is None


def test_stats_without_mlx_figures_are_unknown_not_zero() -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target()})
    sampler.put_stats("a", stats(30), 1.0)
    assert sampler.tick(1.1)[1]["a"]["mlx_active_bytes"] is None


def test_stats_of_an_unknown_server_are_ignored() -> None:
    sampler = new_sampler()
    sampler.put_stats("a", stats(30), 1.0)
    sampler.set_targets({"a": target()})
    assert sampler.tick(1.1)[1]["a"]["tokens_total"] is None


def test_rate_of_a_steady_stream_is_its_speed() -> None:
    assert rate_after([(t, 20 * t) for t in range(60)], 59.4) == pytest.approx(20)


def test_rate_covers_only_the_last_seconds() -> None:
    reports = [(float(t), 100 * min(t, 5)) for t in range(9)]
    assert rate_after(reports, 8.5) == pytest.approx(0)
    assert rate_after(reports[:7], 6.5) == pytest.approx(200 / 3)


def test_rate_with_reports_at_the_end_of_requests_is_steady() -> None:
    reports = [(t / 50, t) for t in range(1, 501)]
    assert rate_after(reports, 10.1) == pytest.approx(50, rel=0.05)


def test_rate_of_a_burst_right_after_the_start_waits() -> None:
    assert rate_after([(1.0, 0), (1.05, 40)], 1.1) is None


def test_rate_of_a_silent_runner_becomes_unknown() -> None:
    reports = [(float(t), 20 * t) for t in range(5)]
    assert rate_after(reports, 8.9) == pytest.approx(20)
    assert rate_after(reports, 9.1) is None


def test_rate_after_the_counter_fell_starts_over() -> None:
    assert rate_after([(1.0, 500), (2.0, 520), (3.0, 0)], 3.1) is None


def test_rate_of_no_reports_is_unknown() -> None:
    assert tokens_per_s((), 1.0) is None


def test_reports_of_a_long_run_do_not_pile_up() -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target()})
    for t in range(10_000):
        sampler.put_stats("a", stats(t), t / 1000)
    assert len(sampler._reports["a"].points) < 40


def test_metrics_table_is_what_the_sampler_fills() -> None:
    sampler = new_sampler()
    sampler.set_targets({"a": target()})
    assert list(sampler.tick(1.0)[1]["a"]) == [metric.name for metric in METRICS]


def test_tick_of_a_few_servers_costs_little(child: Child) -> None:
    sampler = new_sampler()
    sampler.set_targets({str(i): target(child.pid, float(i)) for i in range(4)})
    sampler.tick(0.0)
    began = time.process_time()
    for tick in range(1, 51):
        sampler.tick(float(tick))
    # 0.4 ms when measured; twenty times that is still less than one percent of a core.
    assert (time.process_time() - began) / 50 < 0.008
