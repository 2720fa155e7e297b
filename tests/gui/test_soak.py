"""Half an hour of twenty tiles in fast motion: memory, objects, threads and handles stay flat."""

import gc
import os
import sys
from typing import NamedTuple

import psutil
import pytest
from panel_kit import FIGURES, Engine, many, panel_of, server
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from shiboken6 import Shiboken

from app.gui.panels.servers_panel import ServersPanel
from app.gui.theme import theme
from app.wire.nouns import ServerState

TICKS = int(os.environ.get("SOAK_TICKS", "1800"))
"""Samples at 1 Hz: 1,800 are half an hour."""
TILES = 20
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
    sys.stdout.write(f"before {before}\nafter  {after}\n")
    assert after.resident_mib - before.resident_mib < MOST_GROWTH_MIB
    assert abs(after.wrappers - before.wrappers) <= 60
    assert after.threads <= before.threads
    assert after.handles <= before.handles
