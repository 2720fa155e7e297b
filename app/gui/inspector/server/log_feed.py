"""Reads a run's log from the engine: its end at once, then what is before, then what is new."""

from dataclasses import dataclass
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal

from app.gui.inspector.server.log_text import Block, LogText
from app.gui.inspector.server.tab import Tab
from app.gui.workers.door import Api
from app.wire.server_log import MAX_PIECE, PRESENT

_FIRST = 256 * 1024
"""Enough for what is in sight; it is there at once, also from far."""
_PIECE = 1024 * 1024
_AT_ONCE = 4
"""Pieces that are read with one connection, before it is looked what is new."""
_MERGED = 256 * 1024
"""New lines join the last block until it has so many bytes."""


class Prepended(NamedTuple):
    """What has come before everything that was there."""

    rows: int
    """That are shown."""
    blocks: int


@dataclass(frozen=True)
class _Head:
    """The end of a log, read first."""

    block: Block
    begin: int
    end: int
    size: int
    version: str


@dataclass(frozen=True)
class _Earlier:
    """What is before, the latest first; None when the log is another one by now."""

    blocks: list[Block] | None
    begin: int


@dataclass(frozen=True)
class _Newer:
    """What is new; `block` is None when nothing is."""

    block: Block | None
    joins_last: bool
    end: int
    is_other: bool = False


class LogFeed(QObject):
    """Keeps a LogText equal to the log at the engine, as far as that is asked for by `read`."""

    began = Signal()
    """Everything was read anew."""
    prepended = Signal(object)  # Prepended
    appended = Signal()
    completed = Signal()
    """The whole log is there."""

    def __init__(self, tab: Tab, text: LogText) -> None:
        super().__init__(tab)
        self._tab = tab
        self.text = text
        self.run = PRESENT
        self.has_answer = False
        """True once the engine has answered for this run."""
        self._begin = 0
        self._end = 0
        self._version = ""
        self._ticket = 0

    @property
    def missing_bytes(self) -> int:
        """How much of the log's beginning is not there yet."""
        return self._begin

    @property
    def total_bytes(self) -> int:
        """How long the log is."""
        return self._end

    def choose(self, run: str) -> None:
        """Read another run from now on."""
        self.run = run
        self.restart()

    def restart(self) -> None:
        """Forget everything and read again."""
        self._ticket += 1
        self.has_answer = False
        self._begin = self._end = 0
        self._version = ""
        self.text.clear()
        self.began.emit()
        self.read()

    def read(self) -> None:
        """Ask for what is missing, unless an answer is on its way."""
        server_id, run, ticket = self._tab.server_id, self.run, self._ticket
        if not self.has_answer:
            self._tab.ask(
                "log", lambda api: (ticket, _read_head(api, server_id, run)), self._take_head
            )
            return
        last = self.text.blocks[-1].data if self.text.blocks else b""
        end, version = self._end, self._version
        self._tab.ask(
            "log",
            lambda api: (ticket, _read_newer(api, (server_id, run, version), end, last)),
            self._take_newer,
        )

    def _read_earlier(self) -> None:
        server_id, run, ticket = self._tab.server_id, self.run, self._ticket
        begin, version = self._begin, self._version
        self._tab.ask(
            "log",
            lambda api: (ticket, _read_earlier(api, (server_id, run, version), begin)),
            self._take_earlier,
        )

    def _take_head(self, answer: tuple[int, _Head]) -> None:
        ticket, head = answer
        if ticket != self._ticket:
            self.read()
            return
        self.has_answer = True
        self._begin, self._end, self._version = head.begin, head.end, head.version
        self.text.clear()
        if head.block.data:
            self.text.append(head.block)
        self.began.emit()
        self._go_on()

    def _take_earlier(self, answer: tuple[int, _Earlier]) -> None:
        ticket, found = answer
        if ticket != self._ticket or found.blocks is None:
            self.restart()
            return
        rows = sum(self.text.prepend(block) for block in found.blocks)
        self._begin = found.begin
        self.prepended.emit(Prepended(rows, len(found.blocks)))
        if self._begin:
            # What is new comes in between, and then goes on with what is before.
            self.read()
        else:
            self.completed.emit()

    def _take_newer(self, answer: tuple[int, _Newer]) -> None:
        ticket, found = answer
        if ticket != self._ticket or found.is_other:
            self.restart()
            return
        if found.block is not None:
            self._end = found.end
            if found.joins_last:
                self.text.replace_last(found.block)
            else:
                self.text.append(found.block)
            self.appended.emit()
        if self._begin:
            self._go_on()

    def _go_on(self) -> None:
        if not self._begin:
            self.completed.emit()
        elif self._tab.isVisible():
            self._read_earlier()


def _read_head(api: Api, server_id: str, run: str) -> _Head:
    piece = api.server_log_piece(server_id, max_bytes=_FIRST, run=run)
    data, begin = piece.data, piece.offset
    if begin:
        cut = data.find(b"\n") + 1
        data, begin = data[cut:], begin + cut
    return _Head(Block(data), begin, piece.offset + len(piece.data), piece.size, piece.version)


def _read_earlier(api: Api, log: tuple[str, str, str], begin: int) -> _Earlier:
    server_id, run, version = log
    blocks: list[Block] = []
    while begin and len(blocks) < _AT_ONCE:
        low = max(0, begin - _PIECE)
        piece = api.server_log_piece(server_id, offset=low, max_bytes=begin - low, run=run)
        if piece.version != version or len(piece.data) != begin - low:
            return _Earlier(None, begin)
        # The line that begins before this piece comes with the next one.
        cut = piece.data.find(b"\n") + 1 if low else 0
        if cut >= len(piece.data):
            cut = 0
        blocks.append(Block(piece.data[cut:]))
        begin = low + cut
    return _Earlier(blocks, begin)


def _read_newer(api: Api, log: tuple[str, str, str], end: int, last: bytes) -> _Newer:
    server_id, run, version = log
    piece = api.server_log_piece(server_id, offset=end, max_bytes=MAX_PIECE, run=run)
    if piece.version != version or piece.size < end:
        return _Newer(None, joins_last=False, end=end, is_other=True)
    if not piece.data:
        return _Newer(None, joins_last=False, end=end)
    joins = bool(last) and (len(last) < _MERGED or not last.endswith(b"\n"))
    data = last + piece.data if joins else piece.data
    return _Newer(Block(data), joins_last=joins, end=end + len(piece.data))
