"""Collects figures and requests in the engine's loop and has a thread write them in batches."""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from app.engine.history import figures, requests, texts
from app.engine.history.database import BusyError, Database
from app.engine.history.figures import Point
from app.wire.errors import AppError, ErrorCode
from app.wire.events import SLOW_S, SampleValues
from app.wire.history import SPANS_S, ServerHistory
from app.wire.requests import MAX_TEXT, RequestRecord, RequestTexts

_log = logging.getLogger("store")
_T = TypeVar("_T")
BATCH_S = 10.0
"""How often is written: what an engine that is killed had not written yet is lost."""
_PRUNE_S = 300.0
_MOST_POINTS = 20_000
"""Held while another program locks the database; ten servers for half an hour."""
_MOST_TEXTS = 16_000_000 // MAX_TEXT
"""Texts that wait to be written; of more in ten seconds the oldest are not kept."""
_FRESH_S = SLOW_S + 3.0
# The one that goes on in sleep: macOS calls it monotonic, on Linux that one stands still.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class History:
    """Belongs to the engine's loop. Nothing here stops the engine: trouble is one warning.

    `days` says for how long requests are kept; 0 keeps none.
    """

    def __init__(self, path: Path, *, days: Callable[[], int]) -> None:
        self._database = Database(path)
        self._days = days
        self._lock = asyncio.Lock()
        self._points: list[Point] = []
        self._records: list[RequestRecord] = []
        self._texts: deque[RequestTexts] = deque(maxlen=_MOST_TEXTS)
        self._sampled_at = 0.0
        self._sampled: frozenset[str] = frozenset()
        self._pruned_at: float | None = None
        self._anchor: tuple[float, float] | None = None
        """A time that was surely reached, and what `_CLOCK` showed then."""

    @property
    def problem(self) -> str:
        """The last trouble with the database, in words; the log has it already."""
        return self._database.problem

    async def open(self) -> int:
        """Open the database and return the largest id of a request in it."""
        async with self._lock:
            try:
                return await asyncio.to_thread(self._database.work, requests.last_id)
            except BusyError:
                _log.warning("Another program holds the history, so its requests are not counted.")
                return 0

    async def close(self) -> None:
        """Write what is left and close the file."""
        await self._write()
        await asyncio.to_thread(self._database.close)

    def put_samples(self, at: float, values: Mapping[str, SampleValues]) -> None:
        """Take the figures of one tick; `at` in seconds since the epoch."""
        since, self._sampled_at = at - self._sampled_at, at
        seconds = max(1, round(since)) if since < _FRESH_S else 1
        self._points += [
            Point(at, server, seconds if server in self._sampled else 1, figures)
            for server, figures in values.items()
        ]
        self._sampled = frozenset(values)

    def put_request(self, record: RequestRecord) -> None:
        """Take a request that has ended."""
        if self._days():
            self._records.append(record)

    def put_texts(self, found: RequestTexts) -> None:
        """Take prompt and answer of a request that has ended."""
        if self._days():
            self._texts.append(found)

    async def texts(self, request_id: int) -> RequestTexts:
        """Return prompt and answer of a request. Raises AppError when they are not kept."""
        async with self._lock:
            waiting = next((t for t in self._texts if t.id == request_id), None)
            found = waiting or await self._read(lambda link: texts.read(link, request_id))
        if found is None:
            raise AppError("No text of this request is kept.", code=ErrorCode.NOT_FOUND)
        return found

    async def delete_texts(self) -> None:
        """Remove all prompts and answers, from the file too. Raises AppError."""
        async with self._lock:
            self._texts.clear()
            await self._read(texts.clear)
            await self._read(texts.forget)

    async def follow(self) -> None:
        """Write in batches for ever."""
        while True:
            await asyncio.sleep(BATCH_S)
            await self._write()

    async def server_history(self, server_id: str, span_s: int) -> ServerHistory:
        """Return the figures of a server over one of SPANS_S up to now. Raises AppError."""
        if span_s not in SPANS_S:
            allowed = ", ".join(map(str, SPANS_S))
            raise AppError(f"span_s must be one of {allowed}.", code=ErrorCode.BAD_REQUEST)
        now = time.time()
        # The second that has just begun has no sample yet.
        end_at = self._sampled_at if abs(now - self._sampled_at) < _FRESH_S else now
        async with self._lock:
            pending = tuple(self._points)

            def read(link: sqlite3.Connection) -> ServerHistory:
                return figures.history(
                    link, server_id, span_s=span_s, end_at=end_at, pending=pending
                )

            return await self._read(read)

    async def requests(
        self,
        recent: Sequence[RequestRecord],
        *,
        count: int,
        server: str | None,
        before: int | None,
    ) -> list[RequestRecord]:
        """Return the last requests, the newest first; of one server, below an id.

        `recent`: those that the gateway remembers, open ones too. Raises AppError.
        """
        async with self._lock:
            waiting = tuple(self._records)

            def read(link: sqlite3.Connection) -> list[RequestRecord]:
                return requests.read(link, count=count, server=server, before=before)

            stored = await self._read(read)
        found = {record.id: record for record in (*stored, *waiting, *recent)}
        wanted = [
            record
            for record in found.values()
            if server in (None, record.server) and (before is None or record.id < before)
        ]
        return sorted(wanted, key=lambda record: record.id, reverse=True)[:count]

    async def _read(self, job: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return await asyncio.to_thread(self._database.work, job)
        except BusyError:
            raise AppError(
                "Another program holds the history.", hint="Try again.", code=ErrorCode.STORE_FAILED
            ) from None

    async def _write(self) -> None:
        async with self._lock:
            points, self._points = self._points, []
            records, self._records = self._records, []
            said = tuple(self._texts)
            self._texts.clear()
            clock, days = time.clock_gettime(_CLOCK), self._days()
            is_due = self._pruned_at is None or clock - self._pruned_at >= _PRUNE_S or not days
            if not (points or records or said or is_due):
                return

            def write(link: sqlite3.Connection) -> None:
                now = self._trusted_now(link, clock)
                figures.write(link, points)
                requests.write(link, records)
                texts.write(link, said)
                if is_due:
                    figures.prune(link, now)
                    requests.prune(link, now, days)
                    texts.prune(link)

            try:
                await asyncio.to_thread(self._database.work, write)
            except BusyError:
                self._points = [*points, *self._points][-_MOST_POINTS:]
                self._records = [*records, *self._records][-_MOST_POINTS:]
                self._texts = deque([*said, *self._texts], _MOST_TEXTS)
                return
            if is_due:
                self._pruned_at = clock

    def _trusted_now(self, link: sqlite3.Connection, clock: float) -> float:
        """Return the time by which rows are too old, however far ahead the wall clock is.

        It is what was last written before this run, and what has passed since its beginning.
        """
        wall = time.time()
        if self._anchor is None:
            known = (figures.newest(link), requests.newest(link))
            written = max((at for at in known if at is not None), default=wall)
            self._anchor = min(wall, written), clock
        at, since = self._anchor
        return min(wall, at + clock - since)
