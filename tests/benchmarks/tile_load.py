"""Feeds the real window, without an engine, and prints what a tick costs.

Usage: tile_load.py SERVERS TICKS tiles|rows|auto
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import measure
import synthetic
from msgspec.json import encode
from PySide6.QtCore import QCoreApplication, QEvent, QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QGraphicsView, QWidget

from app.gui import main as gui
from app.gui.main_window import MainWindow, parts
from app.gui.main_window.parts import Parts
from app.gui.mirror import LinkState
from app.gui.widgets.sparkline import load_pyqtgraph
from app.wire.events import decode_event

WARM_TICKS = 130
ROUNDS = 3
TICKS = 40
LONG_TICKS = 2000


class Alone(Parts):
    """The parts of a window that looks for no engine."""

    def begin(self) -> None:
        load_pyqtgraph()
        self.servers_panel.enable_plots()


class Paints(QObject):
    """Counts the paint events of one widget."""

    count = 0

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt
        self.count += event.type() is QEvent.Type.Paint
        return False


class Desk:
    """The window, and the clock that moves one second a tick."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.ticks = 0
        self.gap_s = 0.0
        """The longest time in which the GUI thread did not come back to its events."""
        parts.Parts = Alone
        self.window = MainWindow()
        self.window.resize(1400, 860)
        self.window.show()
        assert QTest.qWaitForWindowExposed(self.window)
        while self.window.parts is None:
            QCoreApplication.processEvents()
        self.settle()

    def settle(self) -> None:
        for _ in range(3):
            with self.watched():
                QCoreApplication.processEvents()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take what is done here as one piece of work of the GUI thread."""
        begin = time.perf_counter()
        yield
        self.gap_s = max(self.gap_s, time.perf_counter() - begin)

    def fill(self) -> None:
        with self.watched():
            self.window.parts.mirror.apply(synthetic.snapshot(self.count))
        self.window.parts.mirror.set_link(LinkState.LIVE)
        self.settle()

    def tick(self) -> float:
        """Take one event as it comes from the engine, and paint; return CPU seconds."""
        data = encode(synthetic.samples(self.count, self.ticks))
        self.ticks += 1
        begin = time.process_time()
        with self.watched():
            self.window.parts.mirror.apply(decode_event(data))
        with self.watched():
            self.window.parts.servers_panel._on_second()
        self.settle()
        # As often as the app does.
        if self.ticks % 2 == 0:
            gc.collect(2 if self.ticks % 60 == 0 else 1)
        return time.process_time() - begin


def _resident_mib() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / measure.MIB
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / measure.MIB


def _slope(values: list[float]) -> float:
    """Least squares: change of `values` from one to the next."""
    x = [i - (len(values) - 1) / 2 for i in range(len(values))]
    return sum(a * b for a, b in zip(x, values, strict=True)) / sum(a * a for a in x)


def _watch(item: QWidget, paints: Paints) -> None:
    """Count the paint events of an item's first plot, or of a row, which has none."""
    view = item.findChild(QGraphicsView, "sparkView")
    (item if view is None else view.viewport()).installEventFilter(paints)


def main(count: int, long_ticks: int, *, rows: bool | None) -> None:
    app = gui.make_application()
    gui._collect_in_gui_thread(app)
    desk = Desk(count)
    if rows is not None:
        desk.window.parts.servers_panel.board.choose_rows(rows)
    empty = _resident_mib()
    desk.gap_s = 0.0
    desk.fill()
    filled_s, desk.gap_s = desk.gap_s, 0.0
    for _ in range(WARM_TICKS):
        desk.tick()
    full = _resident_mib()
    paints = Paints()
    _watch(desk.window.parts.servers_panel.tile("server-00"), paints)
    desk.gap_s = 0.0
    rounds = [sum(desk.tick() for _ in range(TICKS)) / TICKS for _ in range(ROUNDS)]
    painted, gap_ms = paints.count / (ROUNDS * TICKS), desk.gap_s * 1000
    resident = []
    for number in range(long_ticks):
        desk.tick()
        if number >= long_ticks // 4 and number % 50 == 0:
            resident.append(_resident_mib())
    print(
        json.dumps(
            {
                "ms": min(rounds) * 1000,
                "seen": len(desk.window.parts.servers_panel.grid.visible_tiles()),
                "paints_a_tick": painted,
                "gap_ms": gap_ms,
                "fill_gap_ms": filled_s * 1000,
                "tile_mib": (full - empty) / count,
                "resident_mib": full,
                "growth_mib": _slope(resident) * long_ticks / 50 if resident else 0.0,
            }
        )
    )
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    shape = {"tiles": False, "rows": True, "auto": None}[sys.argv[3]]
    main(int(sys.argv[1]), int(sys.argv[2]), rows=shape)
