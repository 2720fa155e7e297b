"""All downloads by id: requests come in here, a worker carries them out."""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from app import paths
from app.engine.bus import Bus
from app.engine.downloads.changes import ModelChanges
from app.engine.downloads.link import WorkerLink
from app.engine.downloads.removal import check_removable, remove_from_cache
from app.engine.downloads.speed import Speed
from app.engine.downloads.store import DownloadStore
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Download, DownloadRequest, DownloadState, Failure, Model
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
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_PUT_S = 0.24
"""Progress goes to subscribers at most four times a second."""
_MAX_LOSSES = 5
_NOTHING_SHOWN = {"bytes_per_s": None, "eta_s": None, "waiting": "", "retry_at": None}


@dataclass
class _Entry:
    """One download and what only the engine knows of it."""

    download: Download
    is_running: bool = False
    """True while the worker has the order to do it."""
    is_planned: bool = False
    is_stopping: bool = False
    goes_on: bool = False
    """True when it was resumed before its pause was done."""
    speed: Speed = field(default_factory=Speed)
    put_at: float = 0.0


class Downloads:
    """Keeps the queue. All methods belong to the engine's loop."""

    def __init__(
        self,
        bus: Bus,
        cache: Path,
        *,
        at_once: Callable[[], int],
        bytes_per_s: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._cache = cache
        self._at_once = at_once
        self._bytes_per_s = bytes_per_s
        self._store = DownloadStore(paths.home() / "downloads.json")
        self._entries: dict[str, _Entry] = {}
        self._acks: Counter[str] = Counter()
        """Orders to stop that the worker has not confirmed; older events of these do not count."""
        self._discards: dict[str, Discard] = {}
        self._changes = ModelChanges()
        self._link = WorkerLink(cache, on_event=self._on_event, on_lost=self._on_lost)
        self._serving: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._is_dirty = False

    async def open(self) -> None:
        """Take up the list of the last run, and go on with what was under way."""
        for download in await asyncio.to_thread(self._store.load):
            self._entries[download.id] = _Entry(download)
            self._bus.put(download)
        self._serving = asyncio.create_task(self._link.run(), name="download worker")
        self._serving.add_done_callback(_on_served)
        self.apply_settings()

    async def close(self) -> None:
        """End the worker; every byte and the list stay."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
            await self._saved()

    def apply_settings(self) -> None:
        """Use the settings as they are now."""
        self._link.set_limit(self._bytes_per_s())
        self._pump()

    async def add(self, request: DownloadRequest) -> Download:
        """Make sure that a model is downloaded; returns when that is on disk. Raises AppError."""
        if not _ID.fullmatch(request.id) or "--" in request.id or ".." in request.id:
            raise AppError(
                f"“{request.id[:120]}” is no id of a model on the hub.",
                hint="Write it like mlx-community/Qwen3-4B-4bit.",
                code=ErrorCode.BAD_REQUEST,
            )
        if not 0 < len(request.revision) <= 200:
            raise AppError("The revision has no usable name.", code=ErrorCode.BAD_REQUEST)
        entry = self._entries.get(request.id)
        if entry is not None:
            if entry.download.revision != request.revision:
                raise AppError(
                    f"{request.id} is already being downloaded, in its revision "
                    f"“{entry.download.revision}”.",
                    hint="Cancel that download first.",
                    code=ErrorCode.DOWNLOAD_CONFLICT,
                )
            return self.resume(request.id)
        download = Download(
            request.id,
            DownloadState.QUEUED,
            revision=request.revision,
            verify=request.verify,
            added_at=time.time(),
        )
        entry = self._entries[request.id] = _Entry(download)
        self._pump()
        await self._saved()
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
            self._set(entry, state=DownloadState.PAUSED, place=None)
            self._pump()
        return entry.download

    def resume(self, download_id: str) -> Download:
        """Go on with a download that is paused, blocked or failed; try a waiting one again now.

        Raises AppError when there is none.
        """
        entry = self._known(download_id)
        if entry.is_running:
            if entry.is_stopping:
                entry.goes_on = True
            else:
                self._link.send(Hurry(download_id))
        elif not entry.download.state.is_active:
            self._queue(entry)
        return entry.download

    def remove(self, download_id: str, *, keep_partial: bool) -> None:
        """Cancel a download. Raises AppError when there is none."""
        entry = self._known(download_id)
        del self._entries[download_id]
        if entry.is_running or not keep_partial:
            self._stop(Discard(download_id, keep_partial))
        self._bus.remove(entry.download)
        self._pump()
        self._save()

    def merge(self, models: Iterable[Model], *, since: float) -> list[Model]:
        """Return what a scan that started at `since` found, with the changes that came later."""
        return self._changes.merge(models, since=since)

    async def remove_model(self, model_id: str) -> int:
        """Delete a model from the disk and return the bytes that this freed. Raises AppError."""
        model = check_removable(model_id, self._bus)
        freed = await remove_from_cache(self._cache, model_id)
        self._changes.note(model_id, None)
        self._bus.remove(model)
        return freed

    def _known(self, download_id: str) -> _Entry:
        entry = self._entries.get(download_id)
        if entry is None:
            raise AppError(
                f"There is no download of “{download_id[:120]}”.", code=ErrorCode.NOT_FOUND
            )
        return entry

    def _queue(self, entry: _Entry) -> None:
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
        """Start what may start, and number the rest."""
        # One that waits for the network must not keep others from trying.
        running = sum(
            e.is_running and e.download.state is not DownloadState.WAITING
            for e in self._entries.values()
        )
        place = 0
        for entry in list(self._entries.values()):
            if entry.is_running or entry.download.state is not DownloadState.QUEUED:
                continue
            if running < self._at_once():
                running += 1
                self._start(entry)
            else:
                place += 1
                self._set(entry, place=place)
        if running or +self._acks or any(e.is_running for e in self._entries.values()):
            self._link.stay()
        else:
            self._link.rest()

    def _start(self, entry: _Entry) -> None:
        download = entry.download
        entry.is_running, entry.is_planned, entry.speed = True, False, Speed()
        self._set(entry, state=DownloadState.RESOLVING, place=None)
        self._link.send(
            Start(download.id, download.revision, download.commit, verify=download.verify)
        )

    def _on_event(self, event: TransferEvent) -> None:
        entry = self._entries.get(event.id)
        if isinstance(event, Stopped):
            self._on_stopped(event.id, entry)
        elif entry is None or not entry.is_running or self._acks[event.id]:
            return
        else:
            self._on_own_event(event, entry)

    def _on_own_event(
        self, event: Planned | Progress | Noted | Fetched | GaveUp, entry: _Entry
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

    def _on_stopped(self, download_id: str, entry: _Entry | None) -> None:
        self._acks[download_id] -= 1
        if self._acks[download_id] <= 0:
            del self._acks[download_id]
            self._discards.pop(download_id, None)
            # Otherwise this was the end of an earlier download with the same id.
            if entry is not None and entry.is_stopping:
                self._on_paused(entry)
        self._pump()

    def _on_paused(self, entry: _Entry) -> None:
        goes_on = entry.goes_on
        entry.is_running = entry.is_stopping = entry.goes_on = False
        self._set(entry, state=DownloadState.PAUSED, **_NOTHING_SHOWN)
        if goes_on:
            self._queue(entry)

    def _on_progress(self, event: Progress, entry: _Entry) -> None:
        now = time.monotonic()
        before = entry.download.state
        if event.waiting:
            state = DownloadState.WAITING
        elif not entry.is_planned:
            state = DownloadState.RESOLVING
        else:
            state = DownloadState.VERIFYING if event.is_verifying else DownloadState.DOWNLOADING
        changes: dict[str, object] = {"waiting": event.waiting, "retry_at": event.retry_at}
        if entry.is_planned:
            entry.speed.add(now, event.done_bytes)
            left = (entry.download.total_bytes or 0) - event.done_bytes
            is_moving = state is DownloadState.DOWNLOADING
            changes |= {
                "done_bytes": event.done_bytes,
                "files_done": event.files_done,
                "bytes_per_s": entry.speed.bytes_per_s() if is_moving else None,
                "eta_s": entry.speed.eta_s(left) if is_moving else None,
            }
        if state is before and now - entry.put_at < _PUT_S:
            return
        entry.put_at = now
        self._set(entry, state=state, **changes)
        if state is not before:
            self._pump()

    def _on_fetched(self, event: Fetched, entry: _Entry) -> None:
        if event.model is None:
            sentence = f"{event.id} is downloaded, but it is no model that can be served here."
            self._end(
                entry,
                DownloadState.FAILED,
                Failure(ErrorCode.MODEL_UNSUPPORTED, sentence, "Choose another model."),
            )
            return
        _log.info("%s is downloaded", event.id)
        del self._entries[event.id]
        self._changes.note(event.id, event.model)
        # One after the other without a wait, so that nobody sees both or none.
        self._bus.remove(entry.download)
        self._bus.put(event.model)
        self._pump()
        self._save()

    def _end(self, entry: _Entry, state: DownloadState, failure: Failure) -> None:
        _log.warning("%s", failure.message)
        entry.is_running = False
        self._set(entry, state=state, failure=failure, **_NOTHING_SHOWN)
        self._pump()

    def _on_lost(self) -> None:
        """Start again what the lost worker had, a few times."""
        self._acks.clear()
        for order in list(self._discards.values()):
            self._stop(order)
        for entry in [e for e in self._entries.values() if e.is_running]:
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

    def _set(self, entry: _Entry, **changes: object) -> None:
        before = entry.download
        entry.download = msgspec.structs.replace(before, **changes)
        self._bus.put(entry.download)
        if entry.download.state is not before.state or entry.download.commit != before.commit:
            self._save()

    def _save(self) -> None:
        self._is_dirty = True
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._write(), name="list of downloads")

    async def _write(self) -> None:
        while self._is_dirty:
            self._is_dirty = False
            downloads = [entry.download for entry in self._entries.values()]
            await asyncio.to_thread(self._store.save, downloads)

    async def _saved(self) -> None:
        """Wait until everything is on disk."""
        self._save()
        if self._saving is not None:
            await asyncio.shield(self._saving)


def _on_served(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("downloads have stopped by an error in the program", exc_info=error)
