"""Opens a long log from a real engine in the Log tab and prints what that costs.

Usage: log_load.py MEGABYTES
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QElapsedTimer, QTimer
from PySide6.QtWidgets import QApplication

from app import paths
from app.client import launch
from app.gui import main as gui
from app.gui.inspector.server.log import LogTab
from app.gui.mirror import LinkState, Mirror
from app.gui.workers.connection import connect
from app.gui.workers.door import Door
from app.gui.workers.thread import Crew

DEADLINE_S = 100.0
CHUNK = b"""\
2026-01-02 18:13:19,601 - INFO - Prompt Cache: 1 sequences, 0.02 GB
2026-01-02 18:13:19,601 - INFO - - user: 1 sequences, 0.02 GB
127.0.0.1 - - [02/Jan/2026 18:13:19] "POST /v1/chat/completions HTTP/1.0" 200 -
2026-01-02 18:13:19,625 - INFO - Prompt processing progress: 19/20
127.0.0.1 - - [02/Jan/2026 18:13:20] "GET /health HTTP/1.0" 200 -
2026-01-02 18:13:21,625 - WARNING - the answer was cut
2026-01-02 18:13:22,101 - INFO - Stream of 412 tokens ended for a client that was in no hurry
"""
NEEDLE = b"2026-01-02 18:13:23,000 - ERROR - the needle in the haystack\n"


class Host:
    """What the tab needs of a window."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.crew = Crew()
        self.connection = connect(None)
        self.door = Door(self.connection, self.crew)
        self.call = self.door.call

    def start(self, profile_id: str) -> None:
        raise NotImplementedError(profile_id)


class Gaps:
    """Measures the longest time for which the GUI thread did not come back to its loop."""

    def __init__(self) -> None:
        self._clock = QElapsedTimer()
        self._timer = QTimer()
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._on_beat)
        self.longest_ms = 0.0

    def begin(self) -> None:
        self.longest_ms = 0.0
        self._clock.start()
        self._timer.start()

    def end(self) -> float:
        self._on_beat()
        self._timer.stop()
        return self.longest_ms

    def _on_beat(self) -> None:
        self.longest_ms = max(self.longest_ms, self._clock.nsecsElapsed() / 1e6)
        self._clock.restart()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        QApplication.processEvents()


def write_log(megabytes: int) -> Path:
    path = paths.logs() / "servers" / "demo.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = megabytes * 10**6 // len(CHUNK)
    with path.open("wb") as file:
        for number in range(count):
            if number in (0, count // 2, count - 1):
                file.write(NEEDLE)
            file.write(CHUNK)
    return path


def main(megabytes: int) -> None:
    found: dict[str, float] = {}
    path = write_log(megabytes)
    app = gui.make_application()
    host = Host()
    host.mirror.set_link(LinkState.LIVE)
    gc.disable()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tab = LogTab(host, "demo")
    tab.resize(900, 800)
    gaps = Gaps()
    begin = time.perf_counter()
    gaps.begin()
    tab.show()
    until(lambda: len(tab.lines.visible_texts()) > 10 and tab.lines.painted_rows > 10)
    found["first_lines_ms"] = (time.perf_counter() - begin) * 1000
    until(lambda: tab.feed.has_answer and not tab.feed.missing_bytes)
    found["whole_ms"] = (time.perf_counter() - begin) * 1000
    found["open_gap_ms"] = gaps.end()
    found["lines"] = tab._text.lines
    found["mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident) / 1024
    scroll(tab, found)
    search(tab, gaps, found)
    switch(tab, gaps, found)
    follow(tab, path, gaps, found)
    tab.hide()
    until(lambda: not host.crew.workers())
    tab.deleteLater()
    app.processEvents()
    assert host.connection.owned is not None
    host.connection.owned.stop()
    assert launch.find() is None
    print(json.dumps(found))


def scroll(tab: LogTab, found: dict[str, float]) -> None:
    bar, times = tab.lines.verticalScrollBar(), list[float]()
    for step in range(300):
        begin = time.perf_counter()
        bar.setValue(bar.maximum() * (step * 37 % 300) // 300)
        tab.lines.viewport().repaint()
        times.append((time.perf_counter() - begin) * 1000)
    times.sort()
    found["frame_ms"] = sum(times) / len(times)
    found["frame_p99_ms"] = times[int(len(times) * 0.99)]


def search(tab: LogTab, gaps: Gaps, found: dict[str, float]) -> None:
    begin = time.perf_counter()
    gaps.begin()
    tab.find_field.setText("needle in the")
    until(lambda: not tab.finder.is_searching)
    found["search_ms"] = (time.perf_counter() - begin) * 1000
    found["search_gap_ms"] = gaps.end()
    found["finds"] = len(tab.finder.spots)
    gaps.begin()
    tab.find_field.setText("e")
    until(lambda: not tab.finder.is_searching)
    found["common_letter_gap_ms"] = gaps.end()
    tab.find_field.clear()


def switch(tab: LogTab, gaps: Gaps, found: dict[str, float]) -> None:
    gaps.begin()
    begin = time.perf_counter()
    tab.level_box.setCurrentIndex(2)
    tab.lines.viewport().repaint()
    found["filter_ms"] = (time.perf_counter() - begin) * 1000
    assert len(tab._text) == 3
    tab.level_box.setCurrentIndex(0)
    gaps.end()


def follow(tab: LogTab, path: Path, gaps: Gaps, found: dict[str, float]) -> None:
    """Let the log grow."""
    before = tab.feed.total_bytes
    gaps.begin()
    begin = time.perf_counter()
    with path.open("ab") as file:
        file.write(CHUNK)
    tab.poll()
    until(lambda: tab.feed.total_bytes == before + len(CHUNK))
    found["append_ms"] = (time.perf_counter() - begin) * 1000
    found["append_gap_ms"] = gaps.end()


if __name__ == "__main__":
    main(int(sys.argv[1]))
