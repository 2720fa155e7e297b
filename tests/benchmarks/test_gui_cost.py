"""What the window costs: until its first frame, and for each second with tiles in it."""

import time
from pathlib import Path

import pytest
from measure import DRIVERS, Figure, driver, middle, report, run

pytestmark = pytest.mark.benchmark

ROUNDS = 9
KINDS = ("bare", "classes", "app")
LONG_TICKS = 2000


def first_paint(home: Path, kind: str) -> tuple[float, float]:
    """Return milliseconds from the start of the process to its first frame: wall and CPU."""
    begin = time.monotonic_ns()
    painted, cpu = run(home, str(DRIVERS / "first_paint.py"), kind).split()
    return (int(painted) - begin) / 1e6, int(cpu) / 1e6


def test_first_paint_against_bare_window(home: Path) -> None:
    for kind in KINDS:
        first_paint(home, kind)
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            times[kind].append(first_paint(home, kind))
    least = {kind: min(wall for wall, _ in times[kind]) for kind in KINDS}
    figures = [
        *(Figure(f"{kind}, first frame, least", least[kind], "ms") for kind in KINDS),
        *(Figure(f"{kind}, first frame, median", middle([w for w, _ in times[kind]]), "ms")
          for kind in KINDS),
        *(Figure(f"{kind}, CPU, least", min(c for _, c in times[kind]), "ms") for kind in KINDS),
        # A bare window uses three classes of Qt; making those that the app needs takes 45 ms more.
        Figure("ratio to a bare window", least["app"] / least["bare"], "x", 1.5),
        Figure("ratio to one that loads the same Qt classes", least["app"] / least["classes"], "x",
               1.5),
    ]  # fmt: skip
    report("first frame", figures, "classes: a bare window that first loads our classes of Qt")


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("servers", "shape", "budget", "ticks"),
    [(4, "tiles", 1.5, LONG_TICKS), (50, "tiles", 4.0, 0), (50, "rows", 4.0, 0),
     (200, "tiles", 6.0, 0), (200, "rows", 6.0, 0)],
)  # fmt: skip
def test_servers_at_one_hertz(
    home: Path, servers: int, shape: str, budget: float, ticks: int
) -> None:
    found = driver(home, "tile_load.py", str(servers), str(ticks), shape)
    assert found["paints_a_tick"] >= 1, "nothing was painted, so nothing was measured"
    figures = [
        Figure("CPU of one core", found["ms"] / 10, "%", budget),
        Figure("CPU a tick", found["ms"], "ms"),
        Figure("longest GUI gap", found["gap_ms"], "ms"),
        Figure("longest GUI gap when all servers come at once", found["fill_gap_ms"], "ms"),
        Figure("in view", found["seen"], ""),
        Figure("memory a server", found["tile_mib"], "MiB"),
        Figure("resident", found["resident_mib"], "MiB"),
    ]
    if ticks:
        figures.append(Figure(f"growth over {ticks} ticks", found["growth_mib"], "MiB", 4.0))
    report(f"{servers} servers as {shape} at 1 Hz", figures)


def test_palette_with_a_thousand_entries(home: Path) -> None:
    found = driver(home, "palette_load.py", "1000")
    figures = [
        Figure("opened and painted, least", found["open_ms"], "ms", 50.0),
        Figure("one more letter, least", found["key_ms"], "ms", 50.0),
    ]
    report("palette with 1,000 entries", figures)
