"""All downloads by id: requests come in here, a worker carries them out."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from app import paths
from app.engine.bus import Bus
from app.engine.downloads.disk import Disk
from app.engine.downloads.entry import Entry
from app.engine.downloads.hours import local_time
from app.engine.downloads.journal import Journal
from app.engine.downloads.link import WorkerLink
from app.engine.downloads.progress import shown_progress
from app.engine.downloads.queue import Queue
from app.engine.downloads.request import check_request, conflict
from app.engine.downloads.speed import Speed
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Download, DownloadRequest, DownloadState, Failure
from app.wire.storage import MoveTo
from app.wire.transfer import (
    Discard,
    Fetched,
    GaveUp,
    Hurry,
    Noted,
    Pause,
    Planned,
    Progress,
    Start,
    Stopped,
    TransferEvent,
)

_log = logging.getLogger("download")
_PUT_S = 0.24
"""Progress goes to subscribers at most four times a second."""
_LOOK_AT_CLOCK_S = 20.0
"""How often the hours are looked at: a timer would not count the time that a computer sleeps."""
_MAX_LOSSES = 5
_NOTHING_SHOWN = {"bytes_per_s": None, "eta_s": None, "waiting": "", "retry_at": None}


class Downloads:
    """Keeps the queue. All methods belong to the engine's loop."""

    def __init__(
        self,
        bus: Bus,
        cache: Path,
        *,
        at_once: Callable[[], int],
        bytes_per_s: Callable[[], float],
        hours: Callable[[], str] = str,
        now: Callable[[], datetime] = local_time,
    ) -> None:
        self._bus = bus
        self._cache = cache
        self._at_once = at_once
        self._bytes_per_s = bytes_per_s
        self._hours = hours
        self._queue = Queue(hours, now)
        self._journal = Journal(
            paths.home() / "downloads.json",
            lambda: [entry.download for entry in self._queue.entries.values()],
        )
        self._acks: Counter[str] = Counter()
        """Orders to stop that the worker has not confirmed; older events of these do not count."""
        self._discards: dict[str, Discard] = {}
        self.disk = Disk(bus, cache)
        self._link = WorkerLink(cache, on_event=self._on_event, on_lost=self._on_lost)
        self._serving: asyncio.Task[None] | None = None
        self._clock: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str:
        """What is wrong with the list on the disk, in words."""
        return self._journal.problem

    async def open(self) -> None:
        """Take up the list of the last run, and go on with what was under way."""
        for download in await self._journal.load():
            self._queue.entries[download.id] = Entry(download)
            self._bus.put(download)
        self._serving = asyncio.create_task(self._link.run(), name="download worker")
        self._serving.add_done_callback(_on_served)
        self._clock = asyncio.create_task(self._follow_hours(), name="hours of downloads")
        self.apply_settings()

    async def close(self) -> None:
        """End the worker; every byte and the list stay."""
        await self.disk.close()
        if self._serving is not None and self._clock is not None:
            self._clock.cancel()
            self._serving.cancel()
            await asyncio.wait([self._serving, self._clock])
            await self._journal.saved()

    def apply_settings(self) -> None:
        """Use the settings as they are now."""
        self._link.set_limit(self._bytes_per_s())
        self._pump()

    async def add(self, request: DownloadRequest) -> Download:
        """Make sure that a model is downloaded; returns when that is on disk. Raises AppError."""
        check_request(request)
        entry = self._queue.entries.get(request.id)
        if entry is not None:
            if entry.download.revision != request.revision:
                raise conflict(entry.download)
            return self.resume(request.id)
        download = Download(
            request.id,
            DownloadState.QUEUED,
            revision=request.revision,
            verify=request.verify,
            added_at=time.time(),
        )
        entry = self._queue.entries[request.id] = Entry(download)
        self._pump()
        await self._journal.saved()
        return entry.download

    def pause(self, download_id: str) -> Download:
        """Stop a download and keep every byte of it. Raises AppError when there is none."""
        entry = self._known(download_id)
        entry.goes_on = False
        if entry.is_running:
            if not entry.is_stopping:
                entry.is_stopping = True
                self._stop(Pause(download_id))
        elif entry.download.state.is_active:
            self._set(entry, state=DownloadState.PAUSED, place=None, **_NOTHING_SHOWN)
            self._pump()
        return entry.download

    def resume(self, download_id: str) -> Download:
        """Go on with a download that is paused, blocked or failed; try a waiting one again now.

        Outside of the hours it runs at any hour from then on. Raises AppError when there is none.
        """
        entry = self._known(download_id)
        if self._queue.opens_at(entry) is not None:
            self._set(entry, any_time=True)
        if entry.is_running:
            if entry.is_stopping:
                entry.goes_on = True
            else:
                self._link.send(Hurry(download_id))
        elif entry.is_in_line:
            self._pump()
        else:
            self._line_up(entry)
        return entry.download

    def pause_all(self) -> None:
        """Pause every download that goes on by itself."""
        for download_id in [
            i for i, e in self._queue.entries.items() if e.download.state.is_active
        ]:
            self.pause(download_id)

    def resume_all(self) -> None:
        """Go on with every download that is paused."""
        for entry in list(self._queue.entries.values()):
            if entry.is_stopping:
                entry.goes_on = True
            elif entry.download.state is DownloadState.PAUSED:
                self._line_up(entry)

    def move(self, download_id: str, to: MoveTo) -> Download:
        """Move a queued download in the queue. Raises AppError when there is none."""
        entry = self._known(download_id)
        self._queue.move(download_id, to)
        self._pump()
        self._journal.save()
        return entry.download

    def remove(self, download_id: str, *, keep_partial: bool) -> None:
        """Cancel a download. Raises AppError when there is none."""
        entry = self._known(download_id)
        del self._queue.entries[download_id]
        if entry.is_running or not keep_partial:
            self._stop(Discard(download_id, keep_partial))
        self._bus.remove(entry.download)
        self._pump()
        self._journal.save()

    async def saved(self) -> None:
        """Wait until the list as it is now is on disk, so that no death undoes what was said."""
        await self._journal.saved()

    def _known(self, download_id: str) -> Entry:
        entry = self._queue.entries.get(download_id)
        if entry is None:
            raise AppError(
                f"There is no download of “{download_id[:120]}”.", code=ErrorCode.NOT_FOUND
            )
        return entry

    def _line_up(self, entry: Entry) -> None:
        failure = entry.download.failure
        lost = failure is not None and failure.code is ErrorCode.REVISION_NOT_FOUND
        commit = None if lost else entry.download.commit
        self._set(entry, state=DownloadState.QUEUED, failure=None, notice="", commit=commit)
        self._pump()

    def _stop(self, order: Pause | Discard) -> None:
        self._acks[order.id] += 1
        if isinstance(order, Discard):
            self._discards[order.id] = order
        self._link.send(order)

    def _pump(self) -> None:
        """Start what may start, number the rest, and hold what may not run at this hour."""
        self._hold()
        busy = self._queue.busy()
        place = 0
        for entry in self._queue.in_line():
            opening = self._queue.opens_at(entry)
            if opening is not None:
                place += 1
                self._set(
                    entry,
                    state=DownloadState.WAITING,
                    place=place,
                    waiting=f"Waits until {opening:%H:%M}",
                    retry_at=opening.timestamp(),
                )
            elif busy < self._at_once():
                busy += 1
                self._start(entry)
            else:
                place += 1
                self._set(entry, state=DownloadState.QUEUED, place=place, waiting="", retry_at=None)
        if busy or +self._acks or self._queue.any_running():
            self._link.stay()
        else:
            self._link.rest()

    def _hold(self) -> None:
        """Send what runs outside of its hours back into the queue."""
        for entry in list(self._queue.entries.values()):
            if entry.is_running and not entry.is_stopping and self._queue.opens_at(entry):
                entry.is_stopping = entry.goes_on = True
                self._stop(Pause(entry.download.id))

    async def _follow_hours(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AT_CLOCK_S)
            if self._hours():
                self._pump()

    def _start(self, entry: Entry) -> None:
        download = entry.download
        entry.is_running, entry.is_planned, entry.speed = True, False, Speed()
        self._set(entry, state=DownloadState.RESOLVING, place=None, waiting="", retry_at=None)
        self._link.send(
            Start(download.id, download.revision, download.commit, verify=download.verify)
        )

    def _on_event(self, event: TransferEvent) -> None:
        entry = self._queue.entries.get(event.id)
        if isinstance(event, Stopped):
            self._on_stopped(event.id, entry)
        elif entry is None or not entry.is_running or self._acks[event.id]:
            return
        else:
            self._on_own_event(event, entry)

    def _on_own_event(
        self, event: Planned | Progress | Noted | Fetched | GaveUp, entry: Entry
    ) -> None:
        match event:
            case Planned():
                entry.is_planned = True
                self._set(
                    entry,
                    state=DownloadState.DOWNLOADING,
                    commit=event.commit,
                    total_bytes=event.total_bytes,
                    done_bytes=event.done_bytes,
                    files_total=event.files_total,
                    **_NOTHING_SHOWN,
                )
            case Progress():
                self._on_progress(event, entry)
            case Noted():
                self._set(entry, notice=event.text)
            case Fetched():
                self._on_fetched(event, entry)
            case GaveUp():
                state = DownloadState.BLOCKED if event.needs_user else DownloadState.FAILED
                self._end(entry, state, event.failure)

    def _on_stopped(self, download_id: str, entry: Entry | None) -> None:
        self._acks[download_id] -= 1
        if self._acks[download_id] <= 0:
            del self._acks[download_id]
            self._discards.pop(download_id, None)
            # Otherwise this was the end of an earlier download with the same id.
            if entry is not None and entry.is_stopping:
                self._on_paused(entry)
        self._pump()

    def _on_paused(self, entry: Entry) -> None:
        goes_on = entry.goes_on
        entry.is_running = entry.is_stopping = entry.goes_on = False
        self._set(entry, state=DownloadState.PAUSED, **_NOTHING_SHOWN)
        if goes_on:
            self._line_up(entry)

    def _on_progress(self, event: Progress, entry: Entry) -> None:
        now = time.monotonic()
        before = entry.download.state
        changes = shown_progress(event, entry, now)
        if changes["state"] is before and now - entry.put_at < _PUT_S:
            return
        entry.put_at = now
        self._set(entry, **changes)
        if changes["state"] is not before:
            self._pump()

    def _on_fetched(self, event: Fetched, entry: Entry) -> None:
        if event.model is None:
            self._end(entry, DownloadState.FAILED, _no_use(entry.download))
            return
        _log.info("%s is downloaded", event.id)
        del self._queue.entries[event.id]
        model = self.disk.fetched(event, event.model, was_checked=entry.download.verify)
        self._bus.finish(entry.download, model)
        self._pump()
        self._journal.save()

    def _end(self, entry: Entry, state: DownloadState, failure: Failure) -> None:
        _log.warning("%s", failure.message)
        entry.is_running = False
        self._set(entry, state=state, failure=failure, **_NOTHING_SHOWN)
        self._pump()

    def _on_lost(self) -> None:
        """Start again what the lost worker had, a few times."""
        self._acks.clear()
        for order in list(self._discards.values()):
            self._stop(order)
        for entry in [e for e in self._queue.entries.values() if e.is_running]:
            if entry.is_stopping:
                self._on_paused(entry)
                continue
            entry.is_running = False
            if self._link.losses <= _MAX_LOSSES:
                self._set(entry, state=DownloadState.QUEUED, **_NOTHING_SHOWN)
                continue
            sentence = f"Download of {entry.download.id} stopped: its process ends again and again."
            hint = f"Retry; what is there is kept. {paths.logs() / 'downloads.log'} has details."
            self._end(
                entry,
                DownloadState.FAILED,
                Failure(ErrorCode.DOWNLOAD_FAILED, sentence, hint),
            )
        self._pump()

    def _set(self, entry: Entry, **changes: object) -> None:
        before = entry.download
        entry.download = msgspec.structs.replace(before, **changes)
        self._bus.put(entry.download)
        if entry.download.state is not before.state or entry.download.commit != before.commit:
            self._journal.save()


def _no_use(download: Download) -> Failure:
    """Return why a model that was downloaded cannot be served."""
    if download.revision == "main":
        sentence = f"{download.id} is downloaded, but it is no model that can be served here."
        return Failure(ErrorCode.MODEL_UNSUPPORTED, sentence, "Choose another model.")
    return Failure(
        ErrorCode.MODEL_MISSING,
        f"{download.id} is downloaded in its revision “{download.revision}”, but servers use main.",
        "Download it without a revision too.",
    )


def _on_served(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("downloads have stopped by an error in the program", exc_info=error)
