"""What the charts of a server show: which figures, over which time, on which scale."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, isnan, log10, nan
from typing import NamedTuple

from app.gui import format as fmt
from app.gui.inspector.server.request_rows import seconds
from app.gui.mirror import Series
from app.wire.history import ServerHistory
from app.wire.nouns import Machine

_GAP_STEPS = 2.5
"""Two figures with more steps between them are not joined by a line."""
_LIVE_STEP_S = 1.0


class Line(NamedTuple):
    """One curve: its metric, a word for it, a colour of the theme, and whether it is dashed."""

    metric: str
    label: str
    colour: str
    is_dashed: bool = False


class Chart(NamedTuple):
    """One chart with one scale."""

    title: str
    kind: str
    """`rate`, `memory`, `percent` or `seconds`."""
    lines: tuple[Line, ...]


CHARTS = (
    Chart("Generated tokens/s", "rate", (Line("tokens_per_s", "", "tokens"),)),
    Chart("Prompt tokens/s", "rate", (Line("prompt_tokens_per_s", "", "gpu"),)),
    Chart("Memory", "memory", (Line("memory_bytes", "", "memory"),)),
    Chart(
        "CPU and GPU",
        "percent",
        (Line("cpu_percent", "CPU", "cpu"), Line("gpu_percent", "GPU", "gpu", is_dashed=True)),
    ),
    Chart(
        "Time to first token",
        "seconds",
        (Line("ttft_p50_s", "half", "memory"), Line("ttft_p95_s", "95%", "cpu", is_dashed=True)),
    ),
)


class Timeline(NamedTuple):
    """Figures over time, oldest first; NaN is a gap."""

    times: list[float]
    """Seconds since the epoch."""
    values: dict[str, list[float]]

    @property
    def is_empty(self) -> bool:
        """True when no figure is known."""
        return all(isnan(value) for values in self.values.values() for value in values)

    def peak(self, metrics: Sequence[str]) -> float:
        """Return the highest known value of some metrics; 0 when there is none."""
        known = (v for m in metrics for v in self.values.get(m, ()) if not isnan(v))
        return max(known, default=0.0)

    def nearest(self, at: float) -> int | None:
        """Return the number of the point next to a time."""
        if not self.times:
            return None
        return min(range(len(self.times)), key=lambda n: abs(self.times[n] - at))


def timeline(
    history: ServerHistory | None, series: Series | None, span_s: float, now: float
) -> Timeline:
    """Return what is known of the last `span_s` seconds: live figures, before them the history.

    Live figures are used for the shortest span only; elsewhere they would be finer than the rest.
    """
    metrics = [line.metric for chart in CHARTS for line in chart.lines]
    points: list[tuple[float, list[float]]] = []
    live = _live_points(series, metrics) if series is not None else []
    step = _LIVE_STEP_S
    if history is not None:
        step = max(step, history.step_s)
        border = live[0][0] - step / 2 if live else now + step
        points += [p for p in _history_points(history, metrics) if p[0] < border]
    points += live
    points = [point for point in points if now - span_s <= point[0] <= now + step]
    return _with_gaps(points, metrics, step)


def _history_points(history: ServerHistory, metrics: list[str]) -> list[tuple[float, list[float]]]:
    length = max((len(values) for values in history.values.values()), default=0)
    rows: list[tuple[float, list[float]]] = []
    for number in range(length):
        row: list[float] = []
        for metric in metrics:
            values = history.values.get(metric, [])
            value = values[number] if number < len(values) else None
            row.append(nan if value is None else value)
        rows.append((history.begins_at + number * history.step_s, row))
    return rows


def _live_points(series: Series, metrics: list[str]) -> list[tuple[float, list[float]]]:
    columns = [series.history(metric) for metric in metrics]
    return [
        (at, [column[number] for column in columns])
        for number, at in enumerate(series.times())
        if not isnan(at)
    ]


def _with_gaps(
    points: list[tuple[float, list[float]]], metrics: list[str], step: float
) -> Timeline:
    times: list[float] = []
    columns: list[list[float]] = [[] for _ in metrics]
    for at, row in points:
        if times and at - times[-1] > _GAP_STEPS * step:
            times.append(times[-1] + step)
            for column in columns:
                column.append(nan)
        times.append(at)
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return Timeline(times, dict(zip(metrics, columns, strict=True)))


def curve(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the points to draw. One between two gaps becomes a dash, or nobody would see it."""
    xs: list[float] = []
    ys: list[float] = []
    step = min((b - a for a, b in pairwise(times)), default=_LIVE_STEP_S)
    last = len(values) - 1
    for number, (at, value) in enumerate(zip(times, values, strict=True)):
        xs.append(at)
        ys.append(value)
        before = values[number - 1] if number else nan
        after = values[number + 1] if number < last else nan
        if not isnan(value) and isnan(before) and isnan(after):
            xs.append(at + step * 0.8)
            ys.append(value)
    return xs, ys


def limit(machine: Machine | None) -> float | None:
    """Return how much memory the machine has for models, in bytes."""
    if machine is None:
        return None
    return float(machine.gpu_limit_bytes or machine.memory_bytes)


def top(kind: str, peak: float, machine: Machine | None) -> float:
    """Return the upper end of a chart's scale; the lower one is 0."""
    match kind:
        case "memory":
            return max(limit(machine) or 2.0**30, peak)
        case "percent":
            return max(100.0, ceil(peak / 100) * 100.0)
        case "seconds":
            return _round_up(max(peak, 1.0))
        case _:
            return _round_up(max(peak, 20.0))


def _round_up(value: float) -> float:
    size = 10.0 ** floor(log10(value))
    return next(step * size for step in (1, 2, 2.5, 4, 5, 8, 10) if step * size >= value * 0.9999)


def value_text(kind: str, value: float | None) -> str:
    """Return a figure with its unit; a dash when it is unknown."""
    if value is None or isnan(value):
        return fmt.UNKNOWN
    match kind:
        case "memory":
            return fmt.memory_text(value)
        case "percent":
            return f"{value:.0f}%"
        case "seconds":
            return seconds(value)
        case _:
            return "0" if value == 0 else fmt.rate(value)[0]


def span_text(span_s: float) -> str:
    """Return the left end of a chart in words."""
    return {300: "5 min ago", 3600: "1 hour ago", 86_400: "24 hours ago"}[int(span_s)]
