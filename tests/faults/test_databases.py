"""A database that is damaged in any way stops nothing, and goes on from what can be read."""

import asyncio
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import figures
from patience import DEADLINE_S

from app.engine.history import History
from app.wire.hub import HubDetails, HubModel
from app.wire.requests import RequestRecord, RequestState
from app.worker.hub.store import Store

SUFFIXES = ("", "-wal", "-shm")
RUNS, LONG_RUNS = 120, 1_000


def record(number: int) -> RequestRecord:
    return RequestRecord(
        at=time.time(), client="127.0.0.1", server="p", profile="P", model="m",
        state=RequestState.DONE, id=number,
    )  # fmt: skip


async def use_history(path: Path) -> None:
    """Ask for everything, write, and read what was written."""
    history = History(path, days=lambda: 30)
    number = await history.open() + 1
    at = time.time()
    for span_s in (300, 3600, 86_400):
        await history.server_history("p", span_s)
    await history.requests((), count=50, server=None, before=None)
    history.put_samples(at, {"p": {"memory_bytes": 5.0}})
    history.put_request(record(number))
    await history._write()
    found = await history.server_history("p", 300)
    assert 5.0 in found.values["memory_bytes"]
    assert number in [r.id for r in await history.requests((), count=50, server="p", before=None)]
    await history.close()


def details(number: int) -> HubDetails:
    return HubDetails(
        HubModel(f"acme/model-{number}", author="acme", name=f"model-{number}"), card="words " * 400
    )


def use_store(path: Path) -> None:
    """Read what may be there, write, and read what was written."""
    store = Store(path)
    for number in range(20):
        store.get(f"acme/model-{number}")
    for number in (3, 99):
        # The first one may find the damage; then it is not remembered, and the next one is.
        store.put(details(number))
    store.put(details(99))
    assert store.get("acme/model-99", fresh=True) == details(99)
    store.close()


def history_in_use(path: Path, copy_to: Callable[[], None]) -> None:
    """Fill a history and copy its files while they are open, as a killed engine leaves them."""

    async def live() -> None:
        history = History(path, days=lambda: 30)
        await history.open()
        for second in range(400):
            history.put_samples(time.time() - second, {"p": {"memory_bytes": float(second)}})
            history.put_request(record(second + 1))
        await history._write()
        copy_to()
        await history.close()

    asyncio.run(live())


def store_in_use(path: Path, copy_to: Callable[[], None]) -> None:
    store = Store(path)
    for number in range(20):
        store.put(details(number))
    copy_to()
    store.close()


def damage(chance: random.Random, path: Path) -> str:
    """Do something to the files of a database; return what."""
    kind = chance.choice(("flip", "flip", "cut", "zeros", "no journal", "only journal", "mixed"))
    files = [file for suffix in SUFFIXES if (file := Path(f"{path}{suffix}")).exists()]
    file = chance.choice(files)
    content = bytearray(file.read_bytes())
    if kind == "flip":
        for _ in range(chance.randint(1, 64)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        content = content[: chance.randrange(len(content))]
    elif kind == "zeros":
        begin = chance.randrange(len(content))
        content[begin : begin + 4096] = bytes(len(content[begin : begin + 4096]))
    elif kind == "mixed":
        chance.shuffle(files)
        content = bytearray(files[0].read_bytes())
    file.write_bytes(content)
    if kind == "no journal":
        Path(f"{path}-wal").unlink(missing_ok=True)
    if kind == "only journal":
        path.unlink()
    return f"{kind} {file.name}"


def campaign(folder: Path, runs: int) -> None:
    chance = random.Random(11)  # noqa: S311 - to be repeated
    whole = folder / "whole"
    whole.mkdir()
    places = {name: whole / name for name in ("history.db", "hub.sqlite")}

    def copy(name: str) -> Callable[[], None]:
        def work() -> None:
            kept = folder / "kept"
            kept.mkdir(exist_ok=True)
            for file in whole.glob(f"{name}*"):
                shutil.copy(file, kept)

        return work

    history_in_use(places["history.db"], copy("history.db"))
    store_in_use(places["hub.sqlite"], copy("hub.sqlite"))
    assert {f.name for f in (folder / "kept").iterdir()} >= {"history.db-wal", "hub.sqlite-wal"}
    for run in range(runs):
        home = folder / str(run)
        shutil.copytree(folder / "kept", home)
        done = [damage(chance, home / name) for name in places]
        try:
            asyncio.run(asyncio.wait_for(use_history(home / "history.db"), DEADLINE_S))
            use_store(home / "hub.sqlite")
        except Exception as error:
            raise AssertionError(f"run {run}: {', '.join(done)}") from error
        shutil.rmtree(home)


@pytest.fixture(autouse=True)
def quiet(allow_log: Callable[[str], None]) -> None:
    """What is damaged is told, in one of these ways."""
    allow_log("it begins anew|makes no sense|is not used any more|cannot be used and is made anew")


def test_damaged_databases_stop_nothing(tmp_path: Path) -> None:
    campaign(tmp_path, RUNS)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_thousand_damaged_databases_stop_nothing(tmp_path: Path) -> None:
    campaign(tmp_path, LONG_RUNS)
    figures.record(
        "flipped bits, cut, zeroed, mixed up and missing files of both databases",
        2 * LONG_RUNS,
        "what was in the damaged file at most; the engine goes on and says so",
        "make soak ARGS=tests/faults/test_databases.py",
    )
