"""Half an hour of twenty tiles: memory, objects, threads and handles stay flat.

Once in fast motion, once as it is: a second each, from a real engine through the real feed.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from panel_kit import FIGURES, Engine, many, panel_of, server
from patience import DEADLINE_S
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from shiboken6 import Shiboken

from app.client.api import Api
from app.gui.mirror import LinkState, Mirror
from app.gui.panels.servers_panel import ServersPanel
from app.gui.theme import theme
from app.gui.workers.connection import Connection
from app.gui.workers.metrics_feed import MetricsFeed
from app.wire.nouns import ServerState

TICKS = int(os.environ.get("SOAK_TICKS", "1800"))
"""Samples at 1 Hz: 1,800 are half an hour."""
TILES = 20
WARM_S = int(os.environ.get("SOAK_WARM_S", "420"))
"""Until every series of the mirror is full."""
LONE_ENGINE = Path(__file__).parents[1] / "benchmarks" / "lone_engine.py"
_MIB = 2**20
# Allocators give pages back late: 4 MiB of noise were seen in runs of any length.
MOST_GROWTH_MIB = 8.0


class State(NamedTuple):
    resident_mib: float
    wrappers: int
    threads: int
    handles: int


def settle() -> None:
    """Do what the event loop of the app does between two seconds."""
    QApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def state() -> State:
    settle()
    gc.collect()
    process = psutil.Process()
    return State(
        process.memory_info().rss / _MIB,
        len(Shiboken.getAllValidWrappers()),
        process.num_threads(),
        process.num_fds() if sys.platform != "win32" else 0,
    )


def live(panel: ServersPanel, engine: Engine, tick: int) -> None:
    """One second: figures, and now and then what else happens in half an hour."""
    figures = {f"s{n}": FIGURES | {"cpu_percent": float((tick + n) % 97)} for n in range(TILES)}
    engine.sample(figures, at=1_000_000.0 + tick)
    if tick % 20 == 0:
        engine.put(server("guest", name="Guest", state=ServerState.STARTING))
    if tick % 20 == 10:
        engine.remove("guest")
    if tick % 100 == 0:
        panel.board.tools.filter.setText("server 1")
    if tick % 100 == 5:
        panel.board.tools.filter.clear()
    if tick % 300 in (150, 160):
        panel.board.choose_rows(tick % 300 == 150)
    if tick % 400 in (200, 210):
        theme().set_mode("dark" if tick % 400 == 200 else "light")
    panel._on_second()
    settle()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_half_an_hour_of_twenty_tiles_leaves_no_trace(qtbot: QtBot) -> None:
    engine = Engine(*many(TILES))
    panel = panel_of(qtbot, engine, plots=True)
    warm = max(420, TICKS // 4)
    for tick in range(warm):
        live(panel, engine, tick)
    before = state()
    for tick in range(warm, warm + TICKS):
        live(panel, engine, tick)
        if tick % 60 == 0:
            gc.collect()
    after = state()
    theme().set_mode("system")
    check_flat(before, after)


def check_flat(before: State, after: State) -> None:
    sys.stdout.write(f"before {before}\nafter  {after}\n")
    assert after.resident_mib - before.resident_mib < MOST_GROWTH_MIB
    assert abs(after.wrappers - before.wrappers) <= 60
    assert after.threads <= before.threads
    assert after.handles <= before.handles


@contextmanager
def engine_of_made_up_servers(seconds: int) -> Iterator[str]:
    """Run a real engine that publishes figures of twenty servers each second; yield its address."""
    process = subprocess.Popen(
        [sys.executable, LONE_ENGINE, str(TILES), str(seconds), "1"],
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = json.loads(process.stdout.readline())["url"]
        process.stdin.write("go\n")
        process.stdin.flush()
        yield url
    finally:
        # A publication that is under way would go on to its end.
        process.terminate()
        process.stdin.close()
        process.stdout.close()
        process.wait(DEADLINE_S)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.usefixtures("home")
def test_half_an_hour_in_real_time_from_an_engine_leaves_no_trace(qtbot: QtBot) -> None:
    seen: list[int] = [0]

    def count(_samples: object) -> None:
        seen[0] += 1

    def watch(seconds: int) -> None:
        """Let the window live until so many samples more have come."""
        wanted = seen[0] + seconds
        qtbot.waitUntil(lambda: seen[0] >= wanted, timeout=seconds * 2000 + 30_000)

    with engine_of_made_up_servers(WARM_S + TICKS + 600) as url:
        with Api(url) as api:
            connection = Connection(url, None, api.engine())
        mirror = Mirror()
        panel = ServersPanel(mirror)
        qtbot.addWidget(panel)
        panel.resize(900, 820)
        panel.enable_plots()
        panel.show()
        mirror.set_link(LinkState.LIVE)
        mirror.sampled.connect(count)
        feed = MetricsFeed(connection)
        feed.received.connect(mirror.apply)
        feed.start()
        try:
            watch(WARM_S)
            assert len(panel.grid.tiles) == TILES
            before = state()
            watch(TICKS)
            after = state()
        finally:
            feed.stop()
            assert feed.wait(10_000)
    check_flat(before, after)
