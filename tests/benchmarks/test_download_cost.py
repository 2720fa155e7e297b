"""A download measured in turn with the hub's own library and curl, on an open line and a slow one.

The stand-in hub is a process of its own, so that its work is nobody's figure but its own.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from download_kit import ID, MB, environment_for, worker
from measure import Figure, middle, report

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

MiB = 1 << 20
SHARDS = 4
ROUNDS = 3
TESTS = Path(__file__).parents[1]
GIGABIT = 125 * MB
_HUB = """
import json, sys
from pathlib import Path
from hub import Fault, StandInHub
folder, rate, throttle = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
hub = StandInHub(rate=rate or None)
model = hub.add_model(sys.argv[4], {p.name: p for p in folder.iterdir()})
hub.full_info(model, blobs=True)
if throttle:
    hub.add_fault(Fault("throttle", path="^/[0-9a-f]{64}", side="cdn", rate=throttle))
with hub:
    links = {n: f"{hub.cdn_url}/{f.sha256}" for n, f in model.files.items() if f.lfs}
    print(json.dumps({"url": hub.url, "links": links}), flush=True)
    sys.stdin.read()
"""
_SNAPSHOT = """
import json, resource, sys, time
from huggingface_hub import snapshot_download
before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
snapshot_download(sys.argv[1], cache_dir=sys.argv[2])
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"seconds": time.monotonic() - began, "cpu": cpu}))
"""


@dataclass
class Line:
    """A hub behind a line, as clients see it."""

    url: str
    links: dict[str, str]


@dataclass
class Cost:
    """What one download took."""

    seconds: float
    cpu_s: float = 0.0
    rss_bytes: float = 0.0


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model of 800 MiB that does not compress."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    for shard in range(SHARDS):
        name = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        with (folder / name).open("wb") as out:
            for _ in range(800 // SHARDS):
                out.write(os.urandom(MiB))
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def line(weights: Path, *, rate: float = 0.0, per_connection: float = 0.0) -> Iterator[Line]:
    """Run a stand-in hub; rates in bytes a second, 0 is no limit."""
    hub = subprocess.Popen(
        [sys.executable, "-c", _HUB, str(weights), str(rate), str(per_connection), ID],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )  # fmt: skip
    assert hub.stdin is not None
    assert hub.stdout is not None
    try:
        facts: dict[str, Any] = json.loads(hub.stdout.readline())
        yield Line(facts["url"], facts["links"])
    finally:
        hub.stdin.close()
        hub.wait(30)
        hub.stdout.close()


def size_of(weights: Path) -> int:
    return sum(path.stat().st_size for path in weights.iterdir())


def ours(there: Line, home: Path, cache: Path) -> Cost:
    """Download with the app's worker, which the engine has running by then."""
    with worker(None, cache, home, env={"HF_ENDPOINT": there.url}) as w:
        w.order("pause", id="nobody/knows")
        w.wait_for("stopped")
        cpu_s, began, rss = w.cpu_s(), time.monotonic(), 0
        w.start()
        while (event := w.lines.event())["event"] != "fetched":
            rss = max(rss, w.rss_bytes())
            assert event["event"] != "gave_up", event
        seconds = time.monotonic() - began
        return Cost(seconds, w.cpu_s() - cpu_s, max(rss, w.rss_bytes()))


def librarys(there: Line, home: Path, cache: Path) -> Cost:
    """Download with huggingface_hub over HTTP; its import does not count."""
    env = environment_for(None, home, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    done = subprocess.run(
        [sys.executable, "-c", _SNAPSHOT, ID, str(cache)],
        env={**env, "HF_ENDPOINT": there.url},
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return Cost(found["seconds"], found["cpu"])


def curls(there: Line, _home: Path, cache: Path) -> Cost:
    """Fetch the large files with curl, all at a time; without a checksum."""
    cache.mkdir()
    words = ["curl", "-sS", "--fail", "-Z", "--no-progress-meter"]
    for name, link in there.links.items():
        words += ["-o", str(cache / name), link]
    began = time.monotonic()
    subprocess.run(words, check=True, timeout=600)
    return Cost(time.monotonic() - began)


def in_turn(there: Line, home: Path, place: Path, rounds: int) -> dict[str, list[Cost]]:
    """Download with each client in turn, so that a busy moment hits all."""
    clients = {"app": ours, "snapshot_download": librarys}
    if shutil.which("curl"):
        clients["curl"] = curls
    found: dict[str, list[Cost]] = {name: [] for name in clients}
    for number in range(rounds):
        for name, download in clients.items():
            cache = place / f"{name}-{number}"
            found[name].append(download(there, home, cache))
            shutil.rmtree(cache)
    return found


def test_open_line_against_the_library_and_curl(weights: Path, home: Path, tmp_path: Path) -> None:
    size = size_of(weights)
    with line(weights) as there:
        found = in_turn(there, home, tmp_path, ROUNDS)
    figures = [
        Figure(f"{name}, speed", size / middle([c.seconds for c in costs]) / MB, "MB/s")
        for name, costs in found.items()
    ]
    gigabytes = size / 1e9
    ratios = [
        theirs.seconds / own.seconds
        for own, theirs in zip(found["app"], found["snapshot_download"], strict=True)
    ]
    figures += [
        Figure("app, seconds for each of the library's", 1 / middle(ratios), "", 1.0),
        Figure(
            "app, CPU with checksum", min(c.cpu_s for c in found["app"]) / gigabytes, "s/GB", 2.5
        ),
        Figure(
            "snapshot_download, CPU without",
            min(c.cpu_s for c in found["snapshot_download"]) / gigabytes,
            "s/GB",
        ),
        Figure("app, memory", max(c.rss_bytes for c in found["app"]) / MB, "MB", 200),
    ]
    report("download, open line", figures, f"{size / MB:.0f} MB in {SHARDS} files", published=True)


def test_gigabit_line_is_used_to_the_full(weights: Path, home: Path, tmp_path: Path) -> None:
    size = size_of(weights)
    with line(weights, rate=GIGABIT) as there:
        found = in_turn(there, home, tmp_path, 1)
    best = size / GIGABIT
    figures = [
        Figure(f"{name}, seconds for each the line needs", costs[0].seconds / best, "")
        for name, costs in found.items()
        if name != "app"
    ]
    # 0.97 of the line, resolving and checking included.
    own = found["app"][0].seconds / best
    figures.append(Figure("app, seconds for each the line needs", own, "", 1 / 0.97))
    report("download, line of 1 Gbit/s", figures, f"{size / MB:.0f} MB", published=True)


def test_line_that_slows_each_connection_is_used_by_several(
    weights: Path, home: Path, tmp_path: Path
) -> None:
    slow = 40 * MB
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    shutil.copy(min(weights.glob("*.safetensors")), folder / "model.safetensors")
    size = size_of(folder)
    with line(folder, per_connection=slow) as there:
        found = in_turn(there, home, tmp_path, 1)
    figures = [
        Figure(f"{name}, speed", size / costs[0].seconds / MB, "MB/s")
        for name, costs in found.items()
    ]
    single = found["curl" if "curl" in found else "snapshot_download"][0].seconds
    figures.append(
        Figure("app, share of a single stream's time", found["app"][0].seconds / single, "", 0.5)
    )
    report(
        "download, 40 MB/s for each connection",
        figures,
        f"{size / MB:.0f} MB in one file",
        published=True,
    )
