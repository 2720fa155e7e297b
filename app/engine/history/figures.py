"""Figures of servers in the database: fine for minutes, coarser for hours and days."""

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from app.wire.events import SampleValues
from app.wire.history import MAX_POINTS, ServerHistory
from app.wire.metrics import METRICS

FINEST_S = 1
KEPT_S: dict[int, int] = {FINEST_S: 600, 10: 2 * 3600, 60: 7 * 86_400}
"""For how long figures of each step are kept, in seconds. About 1 MB for a server and a week."""
_FUTURE_S = 3600
"""Rows from later than this were written while the clock was ahead, or it is behind now."""
_COUNTERS = frozenset(metric.name for metric in METRICS if metric.is_counter)
_decoder = msgspec.json.Decoder(SampleValues)


class Point(msgspec.Struct, frozen=True):
    """The figures of one server at a time, or their mean over the step that begins then."""

    at: float
    """Seconds since the epoch."""
    server: str
    samples: int
    """How many seconds it stands for, the last of which begins at `at`."""
    values: SampleValues


def write(link: sqlite3.Connection, points: Sequence[Point]) -> None:
    """Add points of the finest step, and make the coarser steps that they belong to anew."""
    if not points:
        return
    _replace(link, FINEST_S, _merge(points, FINEST_S))
    for step in KEPT_S:
        if step == FINEST_S:
            continue
        for server in {point.server for point in points}:
            times = [point.at for point in points if point.server == server]
            begin = int(min(times)) // step * step
            # From the finest rows, which outlive the longest step: so it may end in mid-step.
            fine = _read(link, FINEST_S, server, begin, max(times))
            _replace(link, step, _merge(fine, step))


def prune(link: sqlite3.Connection, now: float) -> None:
    """Remove what is older than its step is kept, and what comes from the future.

    Where most rows do, it is the clock that is wrong, and they stay.
    """
    for step, kept_s in KEPT_S.items():
        link.execute("DELETE FROM figures WHERE step = ? AND at < ?", (step, int(now) - kept_s))
    link.execute(
        "DELETE FROM figures WHERE at > :limit AND (SELECT avg(at > :limit) < 0.5 FROM figures)",
        {"limit": int(now) + _FUTURE_S},
    )


def newest(link: sqlite3.Connection) -> float | None:
    """Return the time of the newest row, None when there is none."""
    return link.execute("SELECT max(at) FROM figures").fetchone()[0]


def history(
    link: sqlite3.Connection,
    server: str,
    *,
    span_s: int,
    end_at: float,
    pending: Sequence[Point],
) -> ServerHistory:
    """Return the figures of a server over the span up to `end_at`.

    pending: points of the finest step that are not in the database yet.
    """
    kept_step = next(step for step, kept_s in KEPT_S.items() if kept_s >= span_s)
    step = kept_step * -(-span_s // (kept_step * MAX_POINTS))
    count = span_s // step
    begins_at = (int(end_at) // step - count + 1) * step
    rows = _read(link, kept_step, server, begins_at, end_at)
    points = [*rows, *(point for point in pending if point.server == server)]
    values: dict[str, list[float | None]] = {m.name: [None] * count for m in METRICS}
    for point in _merge(points, step):
        place = (int(point.at) - begins_at) // step
        if 0 <= place < count:
            for name, value in point.values.items():
                if name in values:
                    values[name][place] = value
    if step == FINEST_S:
        for point in points:
            _spread(point, values, int(point.at) - begins_at)
        for row in values.values():
            _bridge(row)
    return ServerHistory(float(begins_at), float(step), values)


def _merge(points: Iterable[Point], step: int) -> list[Point]:
    """Return one point for each step that has any: means, and of counters the last."""
    groups: dict[tuple[str, int], list[Point]] = {}
    for point in points:
        groups.setdefault((point.server, int(point.at) // step * step), []).append(point)
    return [
        Point(at, server, sum(p.samples for p in group), _mean(group))
        for (server, at), group in groups.items()
    ]


def _mean(points: Sequence[Point]) -> SampleValues:
    if len(points) == 1:
        return points[0].values
    ordered = sorted(points, key=lambda point: point.at)
    mean: SampleValues = {}
    for name in {name for point in ordered for name in point.values}:
        known = [(v, p.samples) for p in ordered if (v := p.values.get(name)) is not None]
        if not known:
            continue
        if name in _COUNTERS:
            mean[name] = known[-1][0]
        else:
            mean[name] = sum(v * n for v, n in known) / sum(n for _, n in known)
    return mean


def _spread(point: Point, values: dict[str, list[float | None]], place: int) -> None:
    # While nobody looks the engine measures every few seconds, and a figure is the mean since then.
    for name, row in values.items():
        for earlier in range(max(0, place - point.samples + 1), min(place, len(row))):
            if row[earlier] is None:
                row[earlier] = point.values.get(name)


def _bridge(row: list[float | None]) -> None:
    # Samples come about every second, so that now and then a second has two and its neighbour none.
    for place in range(len(row) - 2, 0, -1):
        if row[place] is None and row[place + 1] is not None:
            row[place] = row[place - 1]


def _read(
    link: sqlite3.Connection, step: int, server: str, begin: float, end: float
) -> list[Point]:
    rows = link.execute(
        'SELECT at, samples, "values" FROM figures '
        "WHERE step = ? AND at BETWEEN ? AND ? AND server = ? ORDER BY at",
        (step, int(begin), int(end), server),
    )
    points: list[Point] = []
    for at, samples, text in rows:
        with contextlib.suppress(msgspec.DecodeError, TypeError):
            # A bit that turned on the disk: a gap, which says less and nothing wrong.
            if samples > 0:
                points.append(Point(at, server, samples, _decoder.decode(text)))
    return points


def _replace(link: sqlite3.Connection, step: int, points: Iterable[Point]) -> None:
    link.executemany(
        "INSERT OR REPLACE INTO figures VALUES (?, ?, ?, ?, ?)",
        [(step, int(p.at), p.server, p.samples, _text(p.values)) for p in points],
    )


def _text(values: SampleValues) -> str:
    known = {name: round(value, 3) for name, value in values.items() if value is not None}
    return msgspec.json.encode(known).decode()
