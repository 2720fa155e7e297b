"""Databases that were torn, bent or left hot: opened in words, and nothing else is lost."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from faults import figures
from patience import DEADLINE_S

from app.engine.history import History
from app.wire.hub import HubDetails, HubModel
from app.wire.requests import RequestRecord, RequestState
from app.worker.hub.store import Store

SEED = int(os.environ.get("FAULT_SEED", "20261124"))
COUNT = int(os.environ.get("TORN_DATABASES", "160"))
PAGE = 4096
_WRITER = """
import asyncio, sys, time
from pathlib import Path
from app.engine.history import History
from faults.test_torn_databases import record

async def main():
    history = History(Path(sys.argv[1]), days=lambda: 30)
    number = await history.open()
    while True:
        number += 1
        history.put_samples(time.time(), {"p": {"memory_bytes": 1.0}})
        history.put_request(record(number))
        await history._write()
        print(number, flush=True)

asyncio.run(main())
"""


def record(number: int) -> RequestRecord:
    """Return a request of now."""
    return RequestRecord(
        time.time(), "127.0.0.1", "p", "P", "m", RequestState.DONE, prompt_tokens=3, id=number
    )


def truncated(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def bent(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 5, 50, 500))):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)


def blank_page(data: bytearray, chance: random.Random) -> None:
    begin = chance.randrange(len(data) // PAGE) * PAGE
    data[begin : begin + PAGE] = bytes(PAGE)


def shuffled(data: bytearray, chance: random.Random) -> None:
    begin, end, size = (chance.randrange(len(data)) for _ in range(3))
    piece = data[begin : begin + size][: len(data) - end]
    data[end : end + len(piece)] = piece


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    truncated,
    bent,
    blank_page,
    shuffled,
)


def run(work: object) -> object:
    return asyncio.run(asyncio.wait_for(work, DEADLINE_S))  # type: ignore[arg-type]


async def fill(path: Path) -> None:
    history, begin = History(path, days=lambda: 30), time.time() - 600
    await history.open()
    for i in range(600):
        history.put_samples(begin + i, {"p": {"memory_bytes": float(i)}, "ü": {"cpu_percent": 1.0}})
        history.put_request(record(i + 1))
        if i % 100 == 0:
            await history._write()
    await history.close()


async def use(path: Path) -> str:
    """Read and write as the engine does; what is written must be read again."""
    history = History(path, days=lambda: 30)
    number = await history.open() + 1
    await history.requests((), count=1000, server=None, before=None)
    for span_s in (300, 3600, 86_400):
        await history.server_history("p", span_s)
    history.put_samples(time.time(), {"p": {"memory_bytes": 5.0}})
    history.put_request(record(number))
    await history._write()
    assert not history._records
    known = await history.requests((), count=3, server=None, before=None)
    assert number in [found.id for found in known]
    assert 5.0 in (await history.server_history("p", 300)).values["memory_bytes"]
    await history.close()
    return history.problem


def damaged(whole: Path, target: Path, seed: int, *suffixes: str) -> str:
    """Copy a database with one of its files damaged, and return how."""
    chance = random.Random(seed)  # noqa: S311 - reproducible
    damage = DAMAGES[seed % len(DAMAGES)]
    shutil.rmtree(target.parent, ignore_errors=True)
    target.parent.mkdir()
    for suffix in suffixes:
        shutil.copy(f"{whole}{suffix}", f"{target}{suffix}")
    hit = Path(f"{target}{chance.choice(suffixes)}")
    data = bytearray(hit.read_bytes())
    damage(data, chance)
    hit.write_bytes(data)
    return damage.__name__


def test_damaged_history_opens_with_a_sentence_and_goes_on(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("it begins anew, and the old file is kept as history.db.broken")
    whole, target = tmp_path / "history.db", tmp_path / "home" / "history.db"
    run(fill(whole))
    told: Counter[str] = Counter()
    for seed in range(SEED, SEED + COUNT):
        how = damaged(whole, target, seed, "")
        problem = str(run(use(target)))
        # Kept in memory would mean that the file stays unusable.
        assert "not saved" not in problem, (seed, problem)
        aside = target.with_name("history.db.broken")
        assert aside.exists() == bool(problem), (seed, problem)
        told[how] += bool(problem)
        assert run(use(target)) == "", seed
    assert all(told.values()), told
    figures.record(
        "history of figures and requests: cut off, bent, blanked or shuffled",
        COUNT,
        "only rows that were hit, or the history, which is kept aside; told in a sentence",
        "make test ARGS=tests/faults/test_torn_databases.py",
    )


def test_history_with_a_row_out_of_order_begins_anew(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("it begins anew, and the old file is kept as history.db.broken")
    path = tmp_path / "history.db"
    run(fill(path))
    data = bytearray(path.read_bytes())
    # The time of a row stands before its server's name; its last byte but one counts 256 seconds.
    data[data.index(b'p{"memory_bytes":590.0}') - 2] += 1
    path.write_bytes(data)
    assert "its pages are damaged" in str(run(use(path)))


def test_history_that_a_kill_leaves_hot_has_every_row_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    written = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, path],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        begin = written
        while written < begin + 25:
            written = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.communicate(timeout=DEADLINE_S)[0].split()
        written = int(rest[-1]) if rest else written
        assert Path(f"{path}-wal").stat().st_size, "the kill left nothing hot"
    run(_holds(path, written))


def test_hot_history_with_a_damaged_log_loses_no_more_than_that_log(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("it begins anew")
    whole, target = tmp_path / "history.db", tmp_path / "home" / "history.db"
    run(fill(whole))

    async def leave_hot() -> None:
        history = History(whole, days=lambda: 30)
        history.put_request(record(await history.open() + 1))
        await history._write()
        for suffix in ("", "-wal"):
            shutil.copy(f"{whole}{suffix}", f"{hot}{suffix}")
        await history.close()

    hot = tmp_path / "hot.db"
    run(leave_hot())
    for seed in range(SEED, SEED + COUNT // 4):
        damaged(hot, target, seed, "", "-wal")
        assert "not saved" not in str(run(use(target))), seed
        assert run(use(target)) == "", seed


async def _holds(path: Path, written: int) -> None:
    history = History(path, days=lambda: 30)
    # A row may have been written and not yet been told.
    assert await history.open() in (written, written + 1)
    known = await history.requests((), count=1000, server=None, before=None)
    assert {found.id for found in known} >= set(range(1, written + 1))
    await history.close()
    assert history.problem == ""


def _details(name: str) -> HubDetails:
    return HubDetails(HubModel(name, "org", name, updated_at=1.0))


def test_damaged_cache_of_the_hub_is_a_miss_and_remembers_again(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    for words in ("is made anew", "makes no sense"):
        expect_log(words)
    whole, target = tmp_path / "hub.db", tmp_path / "home" / "hub.db"
    with contextlib.closing(Store(whole)) as store:
        for number in range(200):
            store.put(_details(f"org/model-{number}"))
    for seed in range(SEED, SEED + COUNT):
        damaged(whole, target, seed, "")
        with contextlib.closing(Store(target)) as store:
            for number in range(0, 200, 20):
                found = store.get(f"org/model-{number}")
                assert found is None or found.model.id == f"org/model-{number}", seed
            store.put(_details("org/new"))
            store.put(_details("org/newer"))
            assert store.get("org/newer") == _details("org/newer"), seed
