"""A hub that cuts, stalls, resets, lies and refuses at random during downloads over real HTTP."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from download_kit import MB, Worker, add_model, check_files, worker
from faults import figures
from hub import Fault, StandInHub, rate_limited

STALL_S = 1.0
MOST_TRIES = 6
"""How often a person would press Retry before the test calls it hopeless."""
TOLD = {"hub_failed", "checksum_wrong"}
"""What may end a download after trouble that lasts; a retry then goes on."""
HALF = b'{"id": "a/b", "sib'
PAGE = b"<html><body>Please log in to this network.</body></html>"
CDN: dict[str, Any] = {"side": "cdn", "method": "GET"}
FILES: dict[str, Any] = {"side": "hub", "path": "resolve", "method": "GET"}
LIST: dict[str, Any] = {
    "side": "hub",
    "path": "^/api/models/[^/]+/[^/]+(/revision/.*)?$",
    "method": "GET",
}

Maker = Callable[[random.Random, int], Fault]
"""Makes a fault at a random place of a file of so many bytes."""


def place(chance: random.Random, size: int) -> int:
    return chance.choice((0, 1, size // 3, size - 1, chance.randrange(size)))


def body(kind: str) -> Maker:
    """Return what makes a fault in the body of a large file."""

    def make(chance: random.Random, size: int) -> Fault:
        after = place(chance, size)
        return Fault(kind, after=after, times=1, skip=chance.randrange(3), **CDN)

    return make


def burst(chance: random.Random, _: int) -> Fault:
    status = chance.choice((500, 502, 503, 504, 408))
    where = chance.choice((CDN, FILES, LIST))
    return Fault("status", status=status, times=chance.randint(1, 3), **where)


MAKERS: dict[str, Maker] = {
    "cut": body("drop"),
    "reset": body("reset"),
    "stall": body("stall"),
    # Not skipped: the first request is for the beginning of a file, so it has the place.
    "wrong byte": lambda c, size: Fault("corrupt", after=place(c, size), times=1, **CDN),
    "short body": lambda c, size: Fault("short", after=max(1, place(c, size)), times=1, **CDN),
    "no ranges": lambda _c, _size: Fault("no_range", times=2, **CDN),
    "no length": lambda _c, _size: Fault("no_length", times=1, **CDN),
    "refused connection": lambda c, _: Fault("refuse", times=2, **c.choice((CDN, FILES, LIST))),
    "error burst": burst,
    "rate limit": lambda c, _: rate_limited(0, times=1, side="hub", skip=c.randrange(3)),
    "login page": lambda c, _: Fault(
        "status", status=200, body=PAGE, times=1, **c.choice((FILES, CDN))
    ),
    "half a list": lambda _c, _size: Fault("status", status=200, body=HALF, times=1, **LIST),
    "late answer": lambda c, _: Fault(
        "delay", seconds=0.4, times=3, **c.choice((CDN, FILES, LIST))
    ),
    "expired link": lambda c, _: Fault(
        "status", status=c.choice((403, 404)), times=1, skip=c.randrange(3), **CDN
    ),
}


@dataclass
class Journey:
    """Downloads through bad weather, and what came of them."""

    hits: Counter[str] = field(default_factory=Counter)
    models: int = 0
    bytes: int = 0
    sent: int = 0
    told: Counter[str] = field(default_factory=Counter)


def download(hub: StandInHub, one: Worker, cache: Path, repo_id: str, journey: Journey) -> None:
    """Download a model however often it takes, and compare every byte of it."""
    for _ in range(MOST_TRIES):
        one.start(repo_id)
        end = one.end()
        if end["event"] == "fetched":
            break
        assert end["failure"]["code"] in TOLD, end
        assert end["failure"]["message"].endswith(".")
        journey.told[end["failure"]["code"]] += 1
    else:
        raise AssertionError(f"{repo_id} was never complete")
    check_files(cache, hub, repo_id)


def travel(
    hub: StandInHub, home: Path, chance: random.Random, kinds: list[str], at_once: int
) -> Journey:
    """Download models, each with some of the faults on its way."""
    cache, journey = home / "hf" / "hub", Journey()
    with worker(hub, cache, home, stall_s=STALL_S) as one:
        process = psutil.Process(one.process.pid)
        before: tuple[int, int] | None = None
        while kinds:
            repo_id = f"mlx-community/Weather-{journey.models}-4bit"
            sizes = [chance.choice((1, 3, 7, 40)) * MB + chance.randrange(999) for _ in range(2)]
            journey.bytes += add_model(hub, *sizes, repo_id=repo_id)
            now, kinds = kinds[:at_once], kinds[at_once:]
            faults = [(kind, hub.add_fault(MAKERS[kind](chance, min(sizes)))) for kind in now]
            download(hub, one, cache, repo_id, journey)
            for kind, fault in faults:
                # One that never came to its turn goes to the next model.
                journey.hits[kind] += bool(fault.hits)
                kinds += [] if fault.hits else [kind]
            hub.clear_faults()
            journey.models += 1
            before = before or (process.num_fds(), process.num_threads())
        assert process.num_fds() <= before[0] + 1
        assert process.num_threads() <= before[1] + 1
    journey.sent = hub.bytes_sent()
    return journey


@pytest.mark.timeout(240)
def test_faults_of_the_hub_leave_no_wrong_byte(standin: StandInHub, home: Path) -> None:
    kinds = ["cut", "wrong byte", "stall", "short body", "error burst", "reset"]
    journey = travel(standin, home, random.Random(3), kinds, 3)  # noqa: S311
    assert journey.hits.total() == len(kinds)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_hundred_faults_of_the_hub_leave_no_wrong_byte(standin: StandInHub, home: Path) -> None:
    chance = random.Random(100)  # noqa: S311
    kinds = [*MAKERS] * 8
    chance.shuffle(kinds)
    journey = travel(standin, home, chance, kinds, 4)
    assert journey.hits.total() == len(kinds)
    write_figures(journey)


def write_figures(journey: Journey) -> None:
    rows = [[kind, str(journey.hits[kind])] for kind in MAKERS]
    beyond = journey.sent / journey.bytes - 1
    note = (
        f"{journey.hits.total()} faults on the way of {journey.models} models with "
        f"{journey.bytes / 1e6:,.0f} MB: every model identical byte for byte in the end. The hub "
        f"sent {beyond:.1%} more than their size, files that arrived damaged and were fetched "
        f"again included. {journey.told.total()} times a download ended with a sentence, and a "
        "retry went on with it."
    )
    table = figures.table(["the hub", "times"], rows)
    figures.write("hub", ["", *table, "", note, ""])
    figures.record(
        "cuts, stalls, resets, wrong bytes, short bodies and errors of the hub",
        journey.hits.total(),
        "no byte; every model identical in the end",
        "make soak ARGS=tests/faults/test_hub_faults.py",
    )
