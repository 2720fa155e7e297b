"""Fetches and checks the files of a plan with several connections at a time."""

import contextlib
import http.client
import logging
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from app.wire.errors import ErrorCode
from app.worker.download.digest import Digest
from app.worker.download.metadata import from_transport
from app.worker.download.partial import SEGMENT, DiskError, Partial
from app.worker.download.plan import PlannedFile
from app.worker.download.source import Body, Source
from app.worker.download.transport import READ_BYTES, Connections, Limiter, Sockets, tls_context
from app.worker.download.trouble import Later, Stopped, Trouble, from_os_error, gave_up

_log = logging.getLogger("download")
CONNECTIONS = 4
"""More gave no more speed over loopback; the hub's own client uses up to 8."""
_BACKOFF_S = (0.5, 30.0)


class Item:
    """One file of the plan on its way."""

    def __init__(self, file: PlannedFile, partial: Partial, there: Path | None) -> None:
        self.file = file
        self.partial = partial
        self.there = there
        """A complete file that was there before, None when it is to be fetched."""
        self.is_done = False
        self.is_checking = False
        self.is_streaming = False
        self.has_failed = False
        self.taken: set[int] = set()
        self.digest = Digest(file)
        self.is_read_ahead = False
        """True while a thread reads what is there of a file that is not complete."""

    @property
    def done_bytes(self) -> int:
        """Bytes that are on this disk."""
        return self.file.size if self.is_done or self.there else self.partial.done_bytes

    @property
    def wants_check(self) -> bool:
        """True when every byte is there and nobody has looked at them yet."""
        if self.is_done or self.is_checking or self.is_read_ahead:
            return False
        return self.there is not None or self.partial.is_complete


@dataclass
class _Slot:
    """What one connection is busy with."""

    is_busy: bool = False
    later: Later | None = None
    retry_at: float | None = None
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BYTES)))


@dataclass(frozen=True)
class Status:
    """How far a fetch is."""

    done_bytes: int
    files_done: int
    is_verifying: bool
    waiting: str
    retry_at: float | None


class Fetch:
    """Owns the threads that fetch. `stop` is shared with the download that owns this."""

    def __init__(
        self,
        repo_id: str,
        items: list[Item],
        source: Source,
        *,
        stop: threading.Event,
        limiter: Limiter,
        stall_s: float,
    ) -> None:
        self._repo_id = repo_id
        self._items = items
        self._source = source
        self._stop = stop
        self._limiter = limiter
        self._stall_s = stall_s
        self._sockets = Sockets(stop)
        self._tls = tls_context()
        self._changed = threading.Condition()
        self._hurries = 0
        self._slots = [_Slot() for _ in range(CONNECTIONS)]
        self._running = 0
        self.trouble: Exception | None = None

    def start(self) -> None:
        """Start the threads."""
        self._running = len(self._slots) + 1
        for slot in self._slots:
            threading.Thread(target=self._run, args=(slot,), daemon=True).start()
        threading.Thread(target=self._run, args=(None,), daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Return True when all threads have ended, False after the time-out."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout_s)

    def interrupt(self) -> None:
        """Wake everything that waits, after `stop` was set."""
        self._sockets.interrupt()
        with self._changed:
            self._changed.notify_all()

    def hurry(self) -> None:
        """Try again now."""
        with self._changed:
            self._hurries += 1
            self._changed.notify_all()

    def status(self) -> Status:
        """Return how far the fetch is."""
        with self._changed:
            busy = [slot for slot in self._slots if slot.is_busy]
            laters = [slot for slot in busy if slot.later is not None]
        is_waiting = bool(busy) and len(laters) == len(busy)
        first = min(laters, key=lambda slot: slot.retry_at or 0.0, default=None)
        later = first.later if first is not None and is_waiting else None
        return Status(
            done_bytes=sum(item.done_bytes for item in self._items),
            files_done=sum(item.is_done for item in self._items),
            is_verifying=all(item.is_done or item.is_checking for item in self._items),
            waiting=later.text if later is not None else "",
            retry_at=first.retry_at if first is not None and later is not None else None,
        )

    def _run(self, slot: _Slot | None) -> None:
        """Fetch with the connection of a slot, or read ahead without one."""
        connections = Connections(self._sockets, self._tls, self._stall_s)
        try:
            if slot is None:
                self._read_ahead()
            else:
                self._work(slot, connections)
        except Stopped:
            pass
        except Trouble as trouble:
            self._fail(trouble)
        except (DiskError, OSError) as caught:
            error = caught.error if isinstance(caught, DiskError) else caught
            _log.warning("%s: %s", self._repo_id, error)
            self._fail(from_os_error(error, self._repo_id))
        except Exception as error:  # noqa: BLE001 - worker run()
            _log.exception("the download of %s failed", self._repo_id)
            self._fail(error)
        finally:
            connections.close()
            with self._changed:
                self._running -= 1
                if slot is not None:
                    slot.is_busy = False
                self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self.trouble = self.trouble or error
            self._changed.notify_all()
        self._sockets.interrupt()

    def _work(self, slot: _Slot, connections: Connections) -> None:
        while (task := self._take(slot)) is not None:
            item, segment = task
            if segment is None:
                self._check(item)
                continue
            try:
                self._fetch(item, segment, slot, connections)
            finally:
                with self._changed:
                    item.taken.discard(segment)
                    self._changed.notify_all()

    def _read_ahead(self) -> None:
        """Take the checksums of growing files, so that little is left to read at their ends."""
        while (item := self._next_ahead()) is not None:
            try:
                item.digest.read_to(item.partial.path, item.partial.first_bytes, self._stop)
                item.partial.flush()
            finally:
                with self._changed:
                    item.is_read_ahead = False
                    self._changed.notify_all()

    def _next_ahead(self) -> Item | None:
        """Return a file with enough to read; None when nothing is left to do."""
        with self._changed:
            while not self._stop.is_set() and self.trouble is None:
                for item in self._items:
                    if not item.is_done and not item.there and not item.is_checking:
                        new = item.partial.first_bytes - item.digest.position
                        if new >= SEGMENT and not item.partial.is_complete:
                            item.is_read_ahead = True
                            return item
                if all(item.is_done for item in self._items):
                    return None
                self._changed.wait()
        return None

    def _take(self, slot: _Slot) -> tuple[Item, int | None] | None:
        """Return the next file to check or segment to fetch; None when nothing is left to do."""
        with self._changed:
            slot.is_busy = False
            while not self._stop.is_set() and self.trouble is None:
                task = self._next()
                if task is not None:
                    slot.is_busy = True
                    return task
                if all(item.is_done for item in self._items):
                    return None
                # A file that turns out to be damaged makes new work.
                self._changed.wait()
        return None

    def _next(self) -> tuple[Item, int | None] | None:
        for item in self._items:
            if item.wants_check and not item.taken:
                item.is_checking = True
                return item, None
        for item in self._items:
            if item.is_done or item.there or item.is_checking or item.is_streaming:
                continue
            for segment in item.partial.missing():
                if segment not in item.taken:
                    item.taken.add(segment)
                    return item, segment
        return None

    def _fetch(self, item: Item, segment: int, slot: _Slot, connections: Connections) -> None:
        """Fetch a segment, or what the server sends instead of it, however often that takes."""
        tries = 0
        while segment in item.partial.missing():
            before = item.partial.span(segment)[0]
            try:
                is_ours = self._attempt(item, segment, slot, connections)
            except Later as error:
                later = error
            except (OSError, http.client.HTTPException) as error:
                later = from_transport(error)
                later.__cause__ = error
            else:
                if not is_ours:
                    return
                continue
            connections.close()
            tries = 1 if item.partial.span(segment)[0] > before else tries + 1
            if later.tries is not None and tries > later.tries:
                raise gave_up(later, self._repo_id) from later
            self._back_off(slot, later, tries)

    def _attempt(self, item: Item, segment: int, slot: _Slot, connections: Connections) -> bool:
        """Do one request. Returns False when another thread reads the whole file anyway."""
        self._check_stop()
        start, end = item.partial.span(segment)
        body = self._source.open(item.file, start, end, connections)
        if not body.offset <= start < body.end:
            connections.drop(body.url)
            raise Later("The hub sends another part of the file than it was asked for", tries=4)
        is_stream = body.end - body.offset > end - body.offset
        if is_stream and not self._claim_stream(item):
            connections.drop(body.url)
            return False
        try:
            self._copy(item, body, slot)
        finally:
            if is_stream:
                with self._changed:
                    item.is_streaming = False
                    self._changed.notify_all()
        connections.finish(body.url, body.response)
        return True

    def _claim_stream(self, item: Item) -> bool:
        with self._changed:
            if item.is_streaming:
                return False
            item.is_streaming = True
            return True

    def _copy(self, item: Item, body: Body, slot: _Slot) -> None:
        position = body.offset
        with contextlib.closing(item.partial.writer()) as writer:
            while position < body.end:
                most = min(self._limiter.read_bytes(), body.end - position)
                count = body.response.read_some(slot.buffer[:most])
                self._check_stop()
                if not count:
                    raise Later("The connection was cut")
                if writer.write(position, slot.buffer[:count]):
                    slot.later = slot.retry_at = None
                position += count
                self._limiter.wait(count, self._stop)

    def _back_off(self, slot: _Slot, later: Later, tries: int) -> None:
        low, high = _BACKOFF_S
        pause_s = min(high, low * 2 ** min(tries - 1, 8)) * random.uniform(0.8, 1.2)  # noqa: S311
        if later.after_s is not None:
            pause_s = later.after_s
        cause = f" ({later.__cause__!r})" if later.__cause__ else ""
        _log.info("%s: %s%s; again in %.1f s", self._repo_id, later.text, cause, pause_s)
        with self._changed:
            hurries = self._hurries
            slot.later, slot.retry_at = later, time.time() + pause_s
            self._changed.wait_for(
                lambda: self._stop.is_set() or self.trouble or self._hurries != hurries, pause_s
            )
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_set() or self.trouble is not None:
            raise Stopped

    def _check(self, item: Item) -> None:
        path = item.there or item.partial.path
        item.digest.read_to(path, item.file.size + 1, self._stop)
        is_good = item.digest.is_right()
        if is_good and item.there is None:
            item.partial.publish(path.with_name(item.file.etag))
        elif not is_good:
            _log.warning("%s: %s is damaged", self._repo_id, item.file.name)
            self._begin_again(item)
        with self._changed:
            item.is_checking = False
            item.is_done = is_good
            self._changed.notify_all()

    def _begin_again(self, item: Item) -> None:
        was_fetched = item.there is None
        if was_fetched and item.has_failed:
            item.partial.remove()
            raise Trouble(
                ErrorCode.CHECKSUM_WRONG,
                f"Download of {self._repo_id} stopped: {item.file.name} arrived damaged twice.",
                "Try again later, or over another network.",
            )
        item.has_failed = was_fetched
        item.there = None
        item.digest = Digest(item.file)
        item.partial.reset()
