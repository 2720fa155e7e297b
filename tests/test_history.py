"""The history of figures: what charts get, what survives, and what a broken file does."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from engine_kit import RunningEngine, new_home, running_engine, until
from patience import DEADLINE_S

from app import paths
from app.engine.history import History, figures
from app.engine.history.figures import Point
from app.wire.errors import AppError, ErrorCode
from app.wire.history import MAX_POINTS, SPANS_S, ServerHistory
from app.wire.metrics import METRIC_NAMES, METRICS

NOW = 1_795_444_200.0


def run(work: Callable[[History], Awaitable[None]], path: Path | None = None) -> None:
    async def live() -> None:
        history = History(path or paths.history_file(), days=lambda: 30)
        await history.open()
        try:
            await work(history)
        finally:
            await history.close()

    asyncio.run(asyncio.wait_for(live(), DEADLINE_S))


def filled(seconds: int, *, batch: int = 10, begin: float | None = None) -> sqlite3.Connection:
    """Return a database with a sample a second; memory counts up from 0, tokens in tens."""
    link = sqlite3.connect(":memory:")
    from app.engine.history import database

    database._create(link)
    start = NOW - seconds + 1 if begin is None else begin
    points = [
        Point(start + i, "p", 1, {"memory_bytes": float(i), "tokens_total": 10.0 * i})
        for i in range(seconds)
    ]
    for place in range(0, seconds, batch):
        figures.write(link, points[place : place + batch])
    return link


def of(
    link: sqlite3.Connection, span_s: int, *, end_at: float = NOW, pending: tuple[Point, ...] = ()
) -> ServerHistory:
    return figures.history(link, "p", span_s=span_s, end_at=end_at, pending=pending)


def test_five_minutes_have_a_value_each_second() -> None:
    found = of(filled(400), 300)
    assert (found.step_s, found.begins_at) == (1.0, NOW - 299)
    assert found.values["memory_bytes"] == [float(i) for i in range(100, 400)]
    assert set(found.values) == METRIC_NAMES
    assert {len(row) for row in found.values.values()} == {300}
    assert set(found.values["cpu_percent"]) == {None}


def test_longer_spans_are_means_and_of_counters_the_last() -> None:
    found = of(filled(120, batch=7), 3600)
    assert found.step_s == 10.0
    # The newest step has begun with the last sample.
    tail = found.values["memory_bytes"][-4:]
    assert tail == [pytest.approx(v) for v in (93.5, 103.5, 113.5, 119.0)]
    assert found.values["tokens_total"][-3:] == [1080.0, 1180.0, 1190.0]
    assert found.values["memory_bytes"][0] is None


@pytest.mark.parametrize("span_s", SPANS_S)
def test_spans_are_within_the_bound_of_points(span_s: int) -> None:
    found = of(filled(30), span_s)
    count = len(found.values["memory_bytes"])
    assert count <= MAX_POINTS
    assert count * found.step_s == span_s
    assert found.values["memory_bytes"][-1] is not None


def test_day_is_the_weighted_mean_of_its_steps() -> None:
    found = of(filled(600, batch=10), 86_400)
    ends = NOW + 1 - found.begins_at
    in_last = int(ends % found.step_s) or int(found.step_s)
    expected = sum(range(600 - in_last, 600)) / in_last
    assert found.values["memory_bytes"][-1] == pytest.approx(expected)


def test_gap_is_none_and_a_late_sample_is_not() -> None:
    link = filled(10, begin=NOW - 59)
    figures.write(link, [Point(NOW - at, "p", 1, {"memory_bytes": 7.0}) for at in (9, 7, 6, 0)])
    row = of(link, 300).values["memory_bytes"]
    assert row[-60:-50] == [float(i) for i in range(10)]
    assert row[-50:] == [*[None] * 40, 7.0, 7.0, 7.0, 7.0, *[None] * 4, None, 7.0]


def test_samples_that_are_not_written_yet_count() -> None:
    link = filled(100)
    pending = tuple(Point(NOW + i, "p", 1, {"memory_bytes": 200.0}) for i in range(1, 4))
    other = Point(NOW + 1, "q", 1, {"memory_bytes": 1.0})
    found = of(link, 300, end_at=NOW + 3, pending=(*pending, other))
    assert found.values["memory_bytes"][-4:] == [99.0, 200.0, 200.0, 200.0]


def test_old_figures_and_those_from_the_future_are_removed() -> None:
    link = filled(1000)
    figures.write(link, [Point(NOW + 7200, "p", 1, {"memory_bytes": 1.0})])
    figures.prune(link, NOW)
    kept = dict(link.execute("SELECT step, count(*) FROM figures GROUP BY step"))
    assert kept == {1: 601, 10: 101, 60: 18}
    figures.prune(link, NOW + 8 * 86_400)
    assert link.execute("SELECT count(*) FROM figures").fetchone() == (0,)


def test_week_of_one_server_stays_small() -> None:
    link = sqlite3.connect(":memory:")
    from app.engine.history import database

    database._create(link)
    row = {metric.name: 20_293_000_000.123 for metric in METRICS}
    points = [Point(NOW + 60 * i, "p", 60, dict(row)) for i in range(7 * 1440)]
    figures._replace(link, 60, points)
    pages = link.execute("PRAGMA page_count").fetchone()[0]
    size = pages * link.execute("PRAGMA page_size").fetchone()[0]
    assert size < 8_000_000


def test_figures_survive_a_close() -> None:
    at = time.time()

    async def first(history: History) -> None:
        history.put_samples(at, {"p": {"memory_bytes": 5.0, "cpu_percent": None}})

    async def second(history: History) -> None:
        found = await history.server_history("p", 300)
        assert 5.0 in found.values["memory_bytes"]
        assert set(found.values["cpu_percent"]) == {None}
        assert set((await history.server_history("q", 300)).values["memory_bytes"]) == {None}

    run(first)
    run(second)
    assert paths.history_file().stat().st_mode & 0o077 == 0


def test_rare_figures_stand_for_the_seconds_before_them() -> None:
    link = filled(0)
    sparse = [Point(NOW - at, "p", 5, {"memory_bytes": float(at)}) for at in (10, 5, 0)]
    figures.write(link, sparse)
    found = figures.history(link, "p", span_s=300, end_at=NOW, pending=())
    assert found.values["memory_bytes"][-16:] == [None] + [10.0] * 5 + [5.0] * 5 + [0.0] * 5


def test_a_server_that_is_new_has_no_figures_before_its_first() -> None:
    at = time.time()

    async def work(history: History) -> None:
        history.put_samples(at - 10, {})
        history.put_samples(at - 5, {"p": {"memory_bytes": 1.0}})
        history.put_samples(at, {"p": {"memory_bytes": 2.0}})
        values = (await history.server_history("p", 300)).values["memory_bytes"]
        assert values[-7:] == [None, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]

    run(work)


@pytest.mark.parametrize("span_s", [0, 1, 301, 604_800])
def test_span_that_is_not_offered_is_refused(span_s: int) -> None:
    async def work(history: History) -> None:
        with pytest.raises(AppError, match="300, 3600, 86400") as refused:
            await history.server_history("p", span_s)
        assert refused.value.code is ErrorCode.BAD_REQUEST

    run(work)


async def _remembers(history: History) -> None:
    history.put_samples(time.time(), {"p": {"memory_bytes": 5.0}})
    await history._write()
    await history._write()
    history.put_samples(time.time() + 1, {"p": {"memory_bytes": 6.0}})
    await history._write()
    values = (await history.server_history("p", 300)).values["memory_bytes"]
    assert {5.0, 6.0} <= set(values)


@pytest.mark.expect_log("it begins anew, and the old file is kept as history.db.broken")
@pytest.mark.parametrize("torn", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 9000])
def test_torn_file_is_set_aside_with_one_warning(torn: bytes, log_watch: object) -> None:
    path = paths.history_file()
    path.write_bytes(torn)
    run(_remembers)
    assert path.with_name("history.db.broken").read_bytes() == torn
    run(_remembers)


@pytest.mark.expect_log("its version is 99")
def test_file_of_another_version_is_set_aside() -> None:
    with sqlite3.connect(paths.history_file()) as link:
        link.execute("PRAGMA user_version = 99")
    link.close()
    run(_remembers)


def test_file_that_cannot_be_used_is_one_warning_and_memory(
    caplog: pytest.LogCaptureFixture, expect_log: Callable[[str], None]
) -> None:
    expect_log("not saved until the engine's next start")
    paths.history_file().mkdir()
    run(_remembers)
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 1


def test_file_that_is_torn_while_it_is_used_is_set_aside(
    expect_log: Callable[[str], None],
) -> None:
    expect_log("it begins anew")
    path = paths.history_file()

    async def work(history: History) -> None:
        await _remembers(history)
        await asyncio.to_thread(history._database.close)
        path.write_bytes(b"torn" * 4000)
        await _remembers(history)

    run(work)


def test_locked_file_is_written_to_later(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.engine.history import database

    monkeypatch.setattr(database, "_BUSY_S", 0.05)

    async def work(history: History) -> None:
        history.put_samples(time.time(), {"p": {"memory_bytes": 5.0}})
        stranger = sqlite3.connect(paths.history_file())
        stranger.execute("BEGIN IMMEDIATE")
        await history._write()
        assert history._points
        stranger.rollback()
        stranger.close()
        await history._write()
        assert not history._points
        assert 5.0 in (await history.server_history("p", 300)).values["memory_bytes"]

    run(work)


def test_write_whose_task_is_cancelled_is_finished_before_the_file_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at, begun, may_go_on = time.time(), threading.Event(), threading.Event()
    real = figures.write

    def slow(link: sqlite3.Connection, points: Sequence[Point]) -> None:
        monkeypatch.setattr(figures, "write", real)
        real(link, points)
        begun.set()
        assert may_go_on.wait(30.0)
        link.execute("SELECT 1")

    async def work(history: History) -> None:
        history.put_samples(at, {"p": {"memory_bytes": 5.0}})
        writing = asyncio.create_task(history._write())
        assert await asyncio.to_thread(begun.wait, 30.0)
        writing.cancel()
        closing = asyncio.create_task(history.close())
        assert (await asyncio.wait([closing], timeout=0.5))[1] == {closing}
        may_go_on.set()
        await closing

    async def again(history: History) -> None:
        assert 5.0 in (await history.server_history("p", 300)).values["memory_bytes"]

    monkeypatch.setattr(figures, "write", slow)
    run(work)
    run(again)


def test_nothing_is_written_between_two_batches() -> None:
    async def work(history: History) -> None:
        await history._write()
        jobs: list[object] = []
        real = history._database.work
        history._database.work = lambda job: (jobs.append(job), real(job))[1]  # type: ignore[method-assign]
        for i in range(100):
            history.put_samples(NOW + i, {"p": {"memory_bytes": 1.0}})
        assert jobs == []
        await history._write()
        await history._write()
        assert len(jobs) == 1

    run(work)


def _known(engine: RunningEngine, metric: str = "memory_bytes") -> list[float]:
    with engine.api() as api:
        values = api.server_history("demo", span_s=300).values[metric]
    return [value for value in values if value is not None]


def test_engine_keeps_the_history_of_a_server_over_a_restart(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as engine:
        engine.start("demo")
        until(lambda: len(_known(engine)) >= 3)
        seen = _known(engine)
        assert min(seen) > 1_000_000
    with running_engine(homes, home=home) as engine:
        assert _known(engine)[: len(seen)] == [pytest.approx(value, abs=0.001) for value in seen]
        with engine.api() as api:
            for span_s in SPANS_S:
                known = api.server_history("demo", span_s=span_s).values["memory_bytes"]
                assert any(value is not None for value in known)
            with pytest.raises(AppError, match="There is no server"):
                api.server_history("nobody", span_s=300)
        for query in ("?span_s=301", "?span_s=x", "?span_s=1e9"):
            answer = engine.call("GET", f"/api/servers/demo/history{query}")
            assert (answer.status, answer.code) == (400, "bad_request")


def test_engine_starts_with_a_torn_history_and_says_so_once(homes: Path) -> None:
    home = new_home(homes)
    (home / "history.db").write_bytes(b"torn" * 1000)
    with running_engine(homes, home=home) as engine:
        assert engine.call("GET", "/api/servers/demo/history?span_s=300").status == 200
        assert engine.call("GET", "/api/requests").json == []
        assert engine.log.count("WARNING") == 1
        assert "could not be read" in engine.log
