"""Turns readings of processes, GPU and runners into one sample of every server a tick."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from app.engine.readers.gpu import GpuReader
from app.engine.readers.group import GroupFigures, GroupReader, process_groups
from app.engine.readers.machine import read_used_memory
from app.wire.child import RunnerStats
from app.wire.events import MachineSample, SampleValues
from app.wire.metrics import METRICS

TOKEN_WINDOW_S = 3.0
# Runners report every second; longer silence means that the rate is not known, not that it is 0.
_STALE_S = 5.0
# Below this span a single burst of tokens would read as an absurd rate.
_MIN_SPAN_S = 0.5
# Reports come also when a request ends; closer ones are merged, so that the window stays small.
_MERGE_S = 0.1
# A child lives a second or more when it matters (a compiler for a kernel), and the pass over all
# processes is cheap, but not free on a Mac with a thousand of them.
_GROUPS_EVERY_S = 3.0


class Target(msgspec.Struct, frozen=True):
    """A server's process. Another start is another target, with fresh figures."""

    pid: int
    started: float
    """Seconds since the epoch."""


class _Reports(msgspec.Struct, frozen=True):
    """The runner's latest report, and the generated tokens over the last seconds."""

    latest: RunnerStats
    points: tuple[tuple[float, int], ...]
    """Monotonic seconds and generated tokens, oldest first; one point is older than the window."""
    prompt_points: tuple[tuple[float, int], ...] = ()
    """The same of prompt tokens."""


class Sampler:
    """Collects one sample a tick.

    `set_targets` and `put_stats` belong to the engine loop, `tick` to one thread at a time. They
    share two mappings that are replaced as a whole and never changed, so there are no locks.
    """

    def __init__(
        self,
        memory_total_bytes: int,
        *,
        gpu: GpuReader | None = None,
        used_memory: Callable[[], int] = read_used_memory,
    ) -> None:
        self._memory_total_bytes = memory_total_bytes
        self._gpu = gpu or GpuReader()
        self._used_memory = used_memory
        self._targets: Mapping[str, Target] = MappingProxyType({})
        self._reports: Mapping[str, _Reports] = MappingProxyType({})
        self._readers: dict[str, tuple[Target, GroupReader]] = {}
        self._grouped_at: float | None = None

    def set_targets(self, targets: Mapping[str, Target]) -> None:
        """Sample these servers from the next tick on; a new target starts without figures."""
        same = {name for name, target in targets.items() if self._targets.get(name) == target}
        self._reports = MappingProxyType({k: v for k, v in self._reports.items() if k in same})
        self._targets = MappingProxyType(dict(targets))

    def put_stats(self, server_id: str, stats: RunnerStats, now: float) -> None:
        """Take a runner's report that came at `now`, monotonic. Ignored for an unknown server."""
        if server_id not in self._targets:
            return
        before = self._reports.get(server_id)
        points = _with_point(before.points if before else (), now, stats.completion_tokens)
        prompts = _with_point(before.prompt_points if before else (), now, stats.prompt_tokens)
        reports = _Reports(stats, points, prompts)
        self._reports = MappingProxyType({**self._reports, server_id: reports})

    def tick(self, now: float) -> tuple[MachineSample, dict[str, SampleValues]]:
        """Return the machine's sample, and each server's values with every name of METRICS.

        `now` is monotonic. Blocks about 0.1 ms for each process, on macOS up to 4 s when the
        system's own tools hang.
        """
        targets, reports = self._targets, self._reports
        self._follow(targets, now)
        self._gpu.refresh(now)
        values = {
            name: self._values(reader.read(now), reports.get(name), now)
            for name, (_, reader) in self._readers.items()
        }
        used = self._used_memory()
        return MachineSample(self._memory_total_bytes, used, self._gpu.device_percent), values

    def _follow(self, targets: Mapping[str, Target], now: float) -> None:
        """Have a reader for each target, and look from time to time who is in its group."""
        before, self._readers = self._readers, {}
        is_due = self._grouped_at is None or now - self._grouped_at >= _GROUPS_EVERY_S
        for name, target in targets.items():
            old = before.get(name)
            if old is not None and old[0] == target:
                self._readers[name] = old
            else:
                self._readers[name] = (target, GroupReader(target.pid))
                is_due = True
        if is_due and self._readers:
            self._grouped_at = now
            groups = process_groups()
            for _, reader in self._readers.values():
                reader.refresh(groups)

    def _values(self, group: GroupFigures, reports: _Reports | None, now: float) -> SampleValues:
        values: SampleValues = dict.fromkeys((metric.name for metric in METRICS), None)
        values["memory_bytes"] = group.memory_bytes
        values["cpu_percent"] = group.cpu_percent
        values["gpu_percent"] = self._gpu.percent_of(group.pids)
        if reports is None:
            return values
        stats = reports.latest
        values["tokens_per_s"] = tokens_per_s(reports.points, now)
        values["prompt_tokens_per_s"] = tokens_per_s(reports.prompt_points, now)
        values["tokens_total"] = stats.prompt_tokens + stats.completion_tokens
        values["requests_open"] = stats.requests_open
        values["requests_total"] = stats.requests_total
        # All zero is a runner that has no figures from MLX; an empty cache alone is a figure.
        if stats.active_bytes or stats.cache_bytes or stats.peak_bytes:
            values["mlx_active_bytes"] = stats.active_bytes
            values["mlx_cache_bytes"] = stats.cache_bytes
            values["mlx_peak_bytes"] = stats.peak_bytes
        return values


def tokens_per_s(points: tuple[tuple[float, int], ...], now: float) -> float | None:
    """Return the mean rate over the window before the newest of `points`, None if unknown.

    points: monotonic seconds and tokens so far, oldest first.
    """
    if len(points) < 2 or now - points[-1][0] > _STALE_S:
        return None
    newest_at, newest = points[-1]
    start_at, start = points[0]
    for at, tokens in points:
        if at > newest_at - TOKEN_WINDOW_S:
            break
        start_at, start = at, tokens
    span = newest_at - start_at
    return (newest - start) / span if span >= _MIN_SPAN_S else None


def _with_point(
    points: tuple[tuple[float, int], ...], now: float, tokens: int
) -> tuple[tuple[float, int], ...]:
    """Return `points` with one more, and without those that no window needs."""
    if points and tokens < points[-1][1]:
        points = ()
    if len(points) > 1 and now - points[-2][0] < _MERGE_S:
        points = points[:-1]
    first = 0
    for index, (at, _) in enumerate(points):
        if at <= now - TOKEN_WINDOW_S:
            first = index
    return (*points[first:], (now, tokens))
