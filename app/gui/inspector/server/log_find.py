"""Finds words in a log, a piece at a time between two paints."""

import time
from bisect import bisect_left

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui.inspector.server.log_text import LogText, Spot

_SLICE_S = 0.008
"""How long one slice of the search may hold the window up."""
_MOST = 10_000
"""Finds beyond these are not counted; nobody walks through so many."""


class LogFinder(QObject):
    """Knows where the searched words are. `changed` comes with every slice that found some."""

    changed = Signal()

    def __init__(self, text: LogText, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._text = text
        self.words = ""
        self.spots: list[Spot] = []
        """In the order of the log."""
        self.current: Spot | None = None
        self._next = -1
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._search_slice)

    @property
    def is_searching(self) -> bool:
        """True until every line was looked at."""
        return self._timer.isActive()

    @property
    def is_cut(self) -> bool:
        """True when there are more places than are counted."""
        return len(self.spots) >= _MOST

    @property
    def number(self) -> int:
        """The place of `current` among the spots, from 1 on; 0 without one."""
        if self.current is None:
            return 0
        place = bisect_left(self.spots, self.current)
        is_there = place < len(self.spots) and self.spots[place] == self.current
        return place + 1 if is_there else 0

    def look_for(self, words: str) -> None:
        """Search for other words; the last place becomes the current one."""
        self.words = words
        self.current = None
        self.again()

    def again(self) -> None:
        """Search anew, after the text or its filter has changed as a whole."""
        self.spots = []
        self._next = len(self._text.blocks) - 1
        if self.words and self._next >= 0:
            self._timer.start()
        else:
            self._timer.stop()
        self.changed.emit()

    def shift(self, blocks: int) -> None:
        """Take notice of blocks before all others, and search them too."""
        if not self.words:
            return
        self.spots = [spot._replace(block=spot.block + blocks) for spot in self.spots]
        # The place that is looked at is the same one, under another number.
        if self.current is not None:
            self.current = self.current._replace(block=self.current.block + blocks)
        self._next = self._next + blocks if self.is_searching else blocks - 1
        self._timer.start()

    def look_at_last(self, first: int) -> None:
        """Search the blocks from `first` on again, which have grown."""
        if not self.words:
            return
        while self.spots and self.spots[-1].block >= first:
            self.spots.pop()
        for block in range(first, len(self._text.blocks)):
            self.spots += self._text.find_in(block, self.words, _MOST)
        self.changed.emit()

    def step(self, by: int) -> Spot | None:
        """Go to the next place, or the one before, round the end; return it."""
        if not self.spots:
            self.current = None
        elif self.current is None:
            self.current = self.spots[-1]
        else:
            place = bisect_left(self.spots, self.current)
            self.current = self.spots[(place + by) % len(self.spots)]
        self.changed.emit()
        return self.current

    def _search_slice(self) -> None:
        end = time.monotonic() + _SLICE_S
        # From the end on: what is near to the eye is found first.
        while self._next >= 0 and time.monotonic() < end and len(self.spots) < _MOST:
            self.spots[:0] = self._text.find_in(self._next, self.words, _MOST)
            self._next -= 1
        if self._next < 0 or len(self.spots) >= _MOST:
            self._timer.stop()
        if self.current is None and self.spots:
            self.current = self.spots[-1]
        self.changed.emit()
