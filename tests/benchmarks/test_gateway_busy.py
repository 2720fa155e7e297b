"""How old a relayed event is while the engine scans 500 models, feeds windows and writes history.

The engine rests and works in turn. At the same time the same streams come past the gateway, on the
same machine: what they lose too, the engine has no part in.
"""

import asyncio
import json
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from busy_engine import SECONDS
from faults import figures
from measure import DRIVERS, Figure, machine, middle, quantile, report
from model_kit import make_hub_repo, model_files
from quiet import Rounds, told
from streams import Heard, ask, hear, side_by_side
from test_engine_cost import program

pytestmark = pytest.mark.benchmark

MODELS = 500
READERS = 4
ROUNDS = 3
STREAMS = 8
PER_SECOND = 50
BUDGET_MS = 10.0


@dataclass(frozen=True)
class Seen:
    """What was found in one round while the engine rested, or worked. In ms."""

    p50: float
    p99: float
    oldest: float
    direct_p99: float
    direct_oldest: float
    longest_turn: float
    scans: int


async def listen(gateway: int, direct: int) -> list[Heard]:
    """Have streams through the gateway, and the same without it, for a bit less than SECONDS."""
    request = ask(round(PER_SECOND * (SECONDS - 1)), PER_SECOND)
    return await asyncio.gather(
        *(
            side_by_side(port, request, clients=STREAMS, times=1, spread_s=0.2)
            for port in (gateway, direct)
        )
    )


def observe(engine: "subprocess.Popen[str]", word: str, ports: tuple[int, int]) -> Seen:
    engine.stdin.write(f"{word}\n")
    engine.stdin.flush()
    relayed, direct = hear(listen(*ports))
    found = json.loads(engine.stdout.readline())
    assert relayed.errors == direct.errors == 0
    assert word == "rest" or found["scans"]
    ages, control = ([us / 1000 for us in heard.ages_us] for heard in (relayed, direct))
    return Seen(
        middle(ages), quantile(ages, 0.99), max(ages), quantile(control, 0.99), max(control),
        found["longest_ms"], found["scans"],
    )  # fmt: skip


@pytest.mark.timeout(3600)
def test_events_through_a_busy_engine(home: Path) -> None:
    for number in range(MODELS):
        extra = {f"extra{n}.txt": f"{number} {n}".encode() for n in range(16)}
        name = f"mlx-community/Model-{number}-4bit"
        make_hub_repo(home / "hf" / "hub", name, model_files() | extra)
    rest: list[Seen] = []
    work: list[Seen] = []
    with ExitStack() as stack:

        def start(driver: str, *words: str) -> "subprocess.Popen[str]":
            return stack.enter_context(program(home, str(DRIVERS / driver), *words))

        direct = int(start("stream_ends.py", "upstream", "1", "1", "1").stdout.readline())
        engine = start("busy_engine.py", str(direct))
        where = json.loads(engine.stdout.readline())
        api, gateway = (str(urlsplit(where[name]).port) for name in ("url", "gateway"))
        start("event_readers.py", api, str(READERS))
        rounds = Rounds(ROUNDS)
        while rounds.more():
            seen = [observe(engine, word, (int(gateway), direct)) for word in ("rest", "busy")]
            if rounds.keeps():
                rest.append(seen[0])
                work.append(seen[1])
    told_rounds = told(rounds.foreign, rounds.dropped)
    write(rest, work, told_rounds)
    report(
        f"events through an engine that scans {MODELS} models",
        [
            Figure("age at rest, p50", middle([one.p50 for one in rest]), "ms"),
            Figure("age at work, p50", middle([one.p50 for one in work]), "ms"),
            Figure("age at rest, oldest", middle([one.oldest for one in rest]), "ms"),
            Figure("age at work, oldest", middle([one.oldest for one in work]), "ms"),
            Figure("past the gateway at work, oldest",
                   middle([one.direct_oldest for one in work]), "ms"),
            Figure("oldest at work, more than past the gateway",
                   middle([one.oldest - one.direct_oldest for one in work]), "ms", BUDGET_MS),
            Figure("longest turn of the loop at work, CPU",
                   max(one.longest_turn for one in work), "ms", BUDGET_MS),
        ],
        told_rounds,
    )  # fmt: skip


def write(rest: list[Seen], work: list[Seen], told_rounds: str) -> None:
    """Put the figures into the document."""
    heads = {
        "age p50": "p50", "p99": "p99", "oldest": "oldest",
        "past the gateway p99": "direct_p99", "past it, oldest": "direct_oldest",
        "longest turn of the loop (CPU)": "longest_turn",
    }  # fmt: skip
    rows = [
        [name, *(f"{middle([getattr(o, field) for o in seen]):.2f} ms" for field in heads.values())]
        for name, seen in (("rests", rest), ("works", work))
    ]
    scans = sum(one.scans for one in work)
    said = (
        f"Medians. {told_rounds} In {len(work)} times {SECONDS:.0f} s of work the engine found "
        f"{MODELS} models {scans} times afresh. Measured on {machine()}."
    )
    lines = figures.table(["the engine", *heads], rows)
    figures.write("busy engine", ["", *lines, "", said, ""], figures.PERFORMANCE)
