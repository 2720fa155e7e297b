"""Clocks that jump: figures, requests and logs stay, and what is really old goes all the same."""

import asyncio
import os
import random
import sqlite3
from pathlib import Path

import pytest
from engine_kit import RunningEngine, new_home, running_engine, until
from faults import figures
from patience import DEADLINE_S

from app import paths
from app.engine.history import History, history
from app.wire.requests import RequestRecord, RequestState

SEED = int(os.environ.get("FAULT_SEED", "20261129"))
JUMPS = 200
DAY_S = 86_400.0
KEPT_DAYS = 30
# Python reads this file at its start: so engine, guard and server live in another time.
_OTHER_TIME = """
import os, time
_real, _ahead = time.time, float(os.environ["TEST_CLOCK_AHEAD_S"])
time.time = lambda: _real() + _ahead
time.time_ns = lambda: int(time.time() * 1e9)
"""


class Clock:
    """Both clocks of a computer: the one that people set, and the one that only goes on."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.wrong_s = 0.0

    def time(self) -> float:
        return 1_795_444_200.0 + self.elapsed_s + self.wrong_s

    def clock_gettime(self, _which: int) -> float:
        return 1000.0 + self.elapsed_s


def record(number: int, at: float) -> RequestRecord:
    return RequestRecord(at, "127.0.0.1", "p", "P", "m", RequestState.DONE, id=number)


def known(engine: RunningEngine) -> tuple[int, int]:
    """Return how many requests and figures of the server the engine knows in its database."""
    with sqlite3.connect(f"file:{engine.home / 'history.db'}?mode=ro", uri=True) as link:
        counts = [
            link.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - fixed
            for table in ("requests", "figures")
        ]
    link.close()
    return counts[0], counts[1]


def other_time(home: Path, ahead_s: float) -> dict[str, str]:
    folder = home / "other-time"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_OTHER_TIME)
    return {"PYTHONPATH": str(folder), "TEST_CLOCK_AHEAD_S": str(ahead_s)}


def test_run_with_the_clock_far_ahead_or_behind_loses_nothing(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as engine:
        engine.start("demo")
        assert engine.complete().status == 200
        until(lambda: known(engine)[0] == 1 and known(engine)[1] > 0)
        engine.stop_server("demo")
    (log,) = (home / "logs" / "servers").glob("*.log")
    requests, samples = known(engine)
    for days in (60, -60, 60, 400):
        with running_engine(homes, home=home, env=other_time(home, days * DAY_S)) as engine:
            assert engine.call("GET", "/api/requests").json[0]["id"] == 1
    with running_engine(homes, home=home) as engine:
        assert engine.call("GET", "/api/requests").json[0]["id"] == 1
    assert known(engine) == (requests, samples)
    assert log.stat().st_size
    figures.record(
        "run of the engine with the clock 60 or 400 days ahead or behind",
        4,
        "nothing; every figure, request and server log is there",
        "make test ARGS=tests/faults/test_clocks.py",
    )


def test_jumps_of_the_clock_lose_nothing_that_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, clock = random.Random(SEED), Clock()  # noqa: S311 - not for secrets
    monkeypatch.setattr(history, "time", clock)
    right: dict[int, float] = {}

    async def live() -> None:
        memory = History(paths.history_file(), days=lambda: KEPT_DAYS)
        for number in range(1, JUMPS + 1):
            clock.wrong_s = 0.0
            right[number] = clock.elapsed_s
            memory.put_request(record(number, clock.time()))
            await memory._write()
            clock.elapsed_s += history._PRUNE_S
            clock.wrong_s = chance.choice((-1, 1)) * chance.uniform(1, 4000) * DAY_S
            await memory._write()
            clock.elapsed_s += chance.uniform(0, 2 * DAY_S)
            found = await memory.requests((), count=500, server=None, before=None)
            young = {n for n, at in right.items() if at > clock.elapsed_s - KEPT_DAYS * DAY_S}
            assert young <= {request.id for request in found}
        clock.wrong_s = 0.0
        await memory._write()
        found = await memory.requests((), count=500, server=None, before=None)
        # What is old is gone, though the clock was wrong on the way.
        assert {request.id for request in found} == {
            n for n, at in right.items() if at >= clock.elapsed_s - KEPT_DAYS * DAY_S
        }
        await memory.close()

    asyncio.run(asyncio.wait_for(live(), DEADLINE_S))
    figures.record(
        "jump of the clock by up to 11 years while the engine runs",
        JUMPS,
        "nothing; what is older than the setting says still goes",
        "make test ARGS=tests/faults/test_clocks.py",
    )
