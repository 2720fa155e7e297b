"""SIGKILL to every kind of process in the middle of downloads, saves, requests and quits."""

import json
import os
import random
from collections import Counter
from pathlib import Path

import leaks
import pytest
from download_kit import MB, add_model, environment_for
from engine_kit import new_home, running_engine, spawn_engine, until, wait_gone
from faults import figures
from faults.campaign import Campaign, campaign
from faults.work_kit import find
from hub import Fault, StandInHub

RATE = 5_000_000
"""Bytes per second of the hub: downloads are under way when something is killed, and little of them
waits in sockets while the machine is busy elsewhere, which counts as fetched again."""
MOST_AGAIN = 0.02
"""The share of a model that may be fetched again after each kill of something it needs."""

Plan = list[tuple[str, str]]
SHORT: Plan = [
    ("download worker", "downloads"),
    ("scan worker", "saves"),
    ("hub worker", "downloads"),
    ("download worker", "all"),
    ("server", "requests"),
    ("guard", "saves"),
    ("window's saves", "saves"),
    ("engine", "quit"),
    ("window", "all"),
]
LONG: dict[tuple[str, str], int] = {
    ("download worker", "downloads"): 10,
    ("download worker", "all"): 8,
    ("download worker", "quit"): 8,
    ("scan worker", "saves"): 8,
    ("scan worker", "all"): 8,
    ("hub worker", "downloads"): 6,
    ("hub worker", "all"): 6,
    ("verify worker", "all"): 4,
    ("remove worker", "all"): 4,
    ("trash worker", "all"): 4,
    ("leftovers worker", "all"): 4,
    ("probe worker", "all"): 4,
    ("server", "requests"): 10,
    ("server", "saves"): 6,
    ("server", "quit"): 8,
    ("guard", "requests"): 8,
    ("guard", "saves"): 6,
    ("guard", "quit"): 8,
    ("engine", "all"): 16,
    ("engine", "downloads"): 8,
    ("engine", "saves"): 8,
    ("engine", "requests"): 8,
    ("engine", "quit"): 10,
    ("window", "all"): 6,
    ("window", "downloads"): 3,
    ("window", "saves"): 3,
    ("window", "requests"): 3,
    ("window", "quit"): 5,
    ("window's saves", "saves"): 10,
}
"""How often each kind of process is killed in the middle of what."""


def play(homes: Path, hub: StandInHub, seed: int, plan: Plan) -> Campaign:
    hub.rate = RATE
    with campaign(homes, hub, seed) as one:
        for victim, amid in plan:
            while not one.strike(victim, amid):
                pass
        one.finish()
        check_fetched_again(one)
    return one


def check_fetched_again(one: Campaign) -> None:
    for repo_id, again in one.fetched_again().items():
        size = sum(file.size for file in one.hub.models[repo_id].files.values())
        most = MOST_AGAIN * size * one.blows_to[repo_id]
        assert again <= most, f"{repo_id}: {again} of {size} bytes again"


@pytest.mark.timeout(400)
def test_kills_amid_work_lose_nothing_and_leave_nothing(homes: Path, standin: StandInHub) -> None:
    one = play(homes, standin, 5, SHORT)
    assert len(one.blows) == len(SHORT)
    assert one.strangers.processes
    assert min(one.work.saves, one.settings.saves) > 0


@pytest.mark.timeout(240)
def test_scan_of_a_disk_that_hangs_ends_with_its_killed_engine(homes: Path) -> None:
    home = new_home(homes)
    # Whoever opens this waits for a writer that never comes.
    os.mkfifo(home / "models.json")
    engine = spawn_engine(home)
    try:
        until(lambda: find(home, "scan worker") is not None)
    finally:
        engine.kill()
        engine.wait()
        assert engine.stdout is not None
        engine.stdout.close()
    wait_gone(leaks.processes_with_home_under(home), 10)


def test_confirmed_orders_to_downloads_are_on_the_disk(homes: Path, standin: StandInHub) -> None:
    home = new_home(homes)
    ids = [f"mlx-community/Order-{number}-4bit" for number in range(4)]
    for repo_id in ids:
        add_model(standin, 1 * MB, repo_id=repo_id)
    # Nothing ends by itself.
    standin.add_fault(Fault("stall", seconds=60))

    def listed() -> list[tuple[str, str]]:
        rows = json.loads((home / "downloads.json").read_bytes())
        return [(row["id"], row["state"]) for row in rows]

    env = environment_for(standin, home, MLX_MANAGER_DOWNLOADS_AT_ONCE="1")
    with running_engine(homes, home=home, env=env) as engine:
        for repo_id in ids:
            engine.call("POST", "/api/downloads", {"id": repo_id})
            assert repo_id in dict(listed())
        first, second, third, fourth = ids
        engine.call("POST", f"/api/downloads/{fourth}/move", {"to": "up"})
        assert [name for name, _ in listed()] == [first, second, fourth, third]
        engine.call("POST", f"/api/downloads/{third}/pause")
        assert dict(listed())[third] == "paused"
        for repo_id in (second, fourth, third):
            engine.call("DELETE", f"/api/downloads/{repo_id}")
            assert repo_id not in dict(listed())


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_kills_amid_work_lose_nothing(homes: Path, standin: StandInHub) -> None:
    plan = [blow for blow, times in LONG.items() for _ in range(times)]
    random.Random(200).shuffle(plan)  # noqa: S311
    # Windows take the longest to come up, and engines alone are faster without one between.
    plan.sort(key=lambda blow: blow[0] == "window")
    one = play(homes, standin, 200, plan)
    assert len(one.blows) == 200
    write_figures(one)


def write_figures(one: Campaign) -> None:
    amid = ("downloads", "saves", "requests", "all", "quit")
    counts = Counter((blow.victim, blow.amid) for blow in one.blows)
    rows = [
        [victim, *(str(counts[victim, what] or "") for what in amid)]
        for victim in dict.fromkeys(victim for victim, _ in LONG)
    ]
    fetched = one.fetched_again()
    sizes = {n: sum(f.size for f in one.hub.models[n].files.values()) for n in fetched}
    kills = sum(one.blows_to.values())
    again = sum(fetched.values()) / sum(sizes.values()) / max(1, kills) * len(fetched)
    note = (
        f"{len(one.blows)} kills, {one.starts} starts, {one.work.saves + one.settings.saves} saves "
        f"of a profile and of the settings, {one.requests} streams, {len(fetched)} models of "
        f"{one.model_mb} MB with {kills} kills during their downloads: every one identical byte "
        f"for byte, {again:.2%} of a model fetched again after a kill. Every file was as it was "
        "saved last or as the interrupted save wanted it. 0 processes, 0 ports and 0 run files "
        f"left, {len(one.strangers.processes)} strangers untouched."
    )
    heads = ["killed", *(f"amid {what}" for what in amid)]
    figures.write("kills amid work", ["", *figures.table(heads, rows), "", note, ""])
    figures.record(
        "SIGKILL amid downloads, saves, requests and quits",
        len(one.blows),
        f"no file, no download, no byte; {again:.2%} of a model fetched again after a kill",
        "make soak ARGS=tests/faults/test_kills_amid_work.py",
    )
