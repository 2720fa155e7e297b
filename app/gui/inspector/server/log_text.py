"""A log as blocks of lines: what each line is, which lines are shown, and where words are."""

import re
from bisect import bisect_right
from collections.abc import Callable
from enum import IntEnum
from itertools import accumulate
from typing import Any, NamedTuple

PLAIN, WARNING, ERROR = 0, 1, 2
_LEVELS = 3
_CHATTER = 4
"""Added to a line's level when nobody but a developer of the server wants to see it."""
_OWN = 8
"""Set on lines that have a level of their own; others belong to the line before."""

_MARKS = (
    (ERROR, (b" - ERROR - ", b" - CRITICAL - ", b" ERROR ", b"CRITICAL ", b"Traceback (most rec")),
    (WARNING, (b" - WARNING - ", b" WARNING ", b"Warning: ")),
)
_NOISE = (
    b'"GET /health', b'"HEAD /health', b'"GET /v1/models', b"Prompt processing progress: ",
    b" - INFO - Prompt Cache: ", b" - INFO - - assistant: ", b" - INFO - - user: ",
    b" - INFO - - system: ", b"mlx_lm.server is not recommended for production",
)  # fmt: skip
"""Polls, progress and the state of the prompt cache as mlx_lm/server.py 0.32.2 writes them."""


class Level(IntEnum):
    """The least important lines that are shown."""

    ALL = PLAIN
    WARNINGS = WARNING
    ERRORS = ERROR


class Spot(NamedTuple):
    """A place where the searched words are."""

    block: int
    line: int
    begin: int
    """In bytes, from the start of the line."""
    end: int


class Block:
    """Some whole lines of a log; made in a worker, never changed but by `extended`."""

    __slots__ = ("data", "kinds", "starts")

    def __init__(self, data: bytes) -> None:
        import numpy as np  # lazy: the window's first frame can do without

        self.data = data
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n"))
        starts = np.concatenate((np.zeros(1, np.int64), ends.astype(np.int64) + 1))
        # The text behind the last line end is a line too, unless there is none.
        self.starts: Any = starts if len(starts) == 1 or starts[-1] < len(data) else starts[:-1]
        """(n,) int64, where each line begins, in bytes."""
        self.kinds: Any = self._classify(np)
        """(n,) uint8, level, plus _CHATTER for lines that are hidden at first."""

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, number: int) -> bytes:
        """Return a line without its end."""
        begin = int(self.starts[number])
        end = int(self.starts[number + 1]) if number + 1 < len(self.starts) else len(self.data)
        return self.data[begin:end].rstrip(b"\r\n")

    def _classify(self, np: Any) -> Any:
        kinds = np.zeros(len(self.starts), dtype=np.uint8)
        if not self.data:
            return kinds
        first = np.frombuffer(self.data, dtype=np.uint8)[
            np.minimum(self.starts, len(self.data) - 1)
        ]
        # Lines of a program begin with a date or an address; what does not, goes on with the last.
        kinds[(first >= ord("0")) & (first <= ord("9"))] |= _OWN
        for level, words in reversed(_MARKS):
            for word in words:
                kinds[self._lines_with(word)] = level | _OWN
        own = (kinds & _OWN) != 0
        last = np.maximum.accumulate(np.where(own, np.arange(len(kinds)), 0))
        levels = (kinds & _LEVELS)[last]
        for word in _NOISE:
            hits = self._lines_with(word)
            levels[hits] |= _CHATTER
        # The source line that a warning quotes goes with the warning.
        after = np.flatnonzero((levels & _CHATTER) != 0) + 1
        after = after[after < len(kinds)]
        after = after[~own[after]]
        levels[after] |= _CHATTER
        return levels

    def _lines_with(self, word: bytes) -> Any:
        data, step = self.data, len(word)
        places: list[int] = []
        place = data.find(word)
        while place >= 0:
            places.append(place)
            place = data.find(word, place + step)
        return self.starts.searchsorted(places, "right") - 1


class LogText:
    """The blocks of one run's log, oldest first, seen through a filter."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._shown: list[Any] = []
        self._sums: list[int] = [0]
        self._level = Level.ALL
        self._with_chatter = False

    def __len__(self) -> int:
        """Return how many lines are shown."""
        return self._sums[-1]

    @property
    def lines(self) -> int:
        """How many lines there are, shown or not."""
        return sum(len(block) for block in self.blocks)

    def clear(self) -> None:
        """Forget everything but the filter."""
        self.blocks, self._shown, self._sums = [], [], [0]

    def set_filter(self, level: Level, *, with_chatter: bool) -> None:
        """Show only these lines from now on."""
        self._level, self._with_chatter = level, with_chatter
        self._shown = [self._filtered(block) for block in self.blocks]
        self._sum()

    def prepend(self, block: Block) -> int:
        """Add lines before all others; return how many of them are shown."""
        self.blocks.insert(0, block)
        self._shown.insert(0, self._filtered(block))
        self._sum()
        return len(self._shown[0])

    def append(self, block: Block) -> None:
        """Add lines behind all others."""
        self.blocks.append(block)
        self._shown.append(self._filtered(block))
        self._sum()

    def replace_last(self, block: Block) -> None:
        """Put a longer block in the place of the last one."""
        self.blocks.pop()
        self._shown.pop()
        self.append(block)

    def place_of(self, row: int) -> tuple[int, int]:
        """Return block and line of a shown row."""
        number = bisect_right(self._sums, row) - 1
        return number, int(self._shown[number][row - self._sums[number]])

    def row_of(self, block: int, line: int) -> int:
        """Return the row of a line; of the next one that is shown when it is hidden."""
        return self._sums[block] + int(self._shown[block].searchsorted(line))

    def is_shown(self, block: int, line: int) -> bool:
        """Return True when the filter lets a line pass."""
        shown = self._shown[block]
        place = int(shown.searchsorted(line))
        return place < len(shown) and int(shown[place]) == line

    def text(self, row: int) -> str:
        """Return a shown row."""
        block, line = self.place_of(row)
        return self.blocks[block].line(line).decode("utf-8", "replace")

    def level(self, row: int) -> int:
        """Return PLAIN, WARNING or ERROR of a shown row."""
        block, line = self.place_of(row)
        return int(self.blocks[block].kinds[line]) & _LEVELS

    def join(self, first: int, last: int) -> str:
        """Return the rows from `first` to `last`, each with its line end."""
        rows = range(max(0, first), min(last + 1, len(self)))
        return "".join(f"{self.text(row)}\n" for row in rows)

    def exporter(self) -> Callable[[], str]:
        """Return a function that returns all shown rows as they are now; safe in any thread."""
        parts = list(zip(self.blocks, self._shown, strict=True))

        def export() -> str:
            lines: list[bytes] = []
            for block, shown in parts:
                if len(shown) == len(block):
                    lines.append(block.data)
                else:
                    lines += [block.line(int(number)) + b"\n" for number in shown]
            return b"".join(lines).decode("utf-8", "replace")

        return export

    def find_in(self, number: int, words: str, most: int) -> list[Spot]:
        """Return where `words` are in the shown lines of a block, whatever their case.

        Those nearest to the end of the block, `most` at most, in the order of the text.
        """
        block = self.blocks[number]
        found: list[Spot] = []
        pattern = words.encode().lower()
        # Of ASCII only, so that places in the copy are places in the text.
        lowered = block.data.lower()
        place = lowered.rfind(pattern) if pattern else -1
        while place >= 0 and len(found) < most:
            line = int(block.starts.searchsorted(place, "right")) - 1
            if self.is_shown(number, line):
                begin = place - int(block.starts[line])
                found.append(Spot(number, line, begin, begin + len(pattern)))
            place = lowered.rfind(pattern, 0, place)
        return found[::-1]

    def _filtered(self, block: Block) -> Any:
        import numpy as np  # lazy: see Block

        mask = (block.kinds & _LEVELS) >= int(self._level)
        if not self._with_chatter:
            mask &= (block.kinds & _CHATTER) == 0
        return np.flatnonzero(mask)

    def _sum(self) -> None:
        self._sums = [0, *accumulate(len(shown) for shown in self._shown)]


def matches_in(text: str, words: str) -> list[tuple[int, int]]:
    """Return begin and end of each place of `words` in one line, in characters."""
    if not words:
        return []
    return [m.span() for m in re.finditer(re.escape(words), text, re.IGNORECASE)]
