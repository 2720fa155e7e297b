"""One download from the list of files to the finished model, in a thread of its own."""

import contextlib
import logging
import random
import shutil
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

from huggingface_hub import HfApi

from app.wire.errors import ErrorCode
from app.wire.nouns import Failure
from app.wire.transfer import (
    Fetched,
    GaveUp,
    Noted,
    Planned,
    Progress,
    Start,
    TransferEvent,
)
from app.worker.download.cache import RepoCache
from app.worker.download.fetch import Fetch, Item
from app.worker.download.metadata import REJECTED, Login, check_revision, read_plan
from app.worker.download.partial import Partial
from app.worker.download.plan import Plan
from app.worker.download.source import Source
from app.worker.download.transport import Limiter
from app.worker.download.trouble import (
    Later,
    Stopped,
    Trouble,
    disk_full,
    from_os_error,
    gave_up,
)
from app.worker.scan import scan_repo

_log = logging.getLogger("download")
_TICK_S = 0.25
_LOCK_RETRY_S = 1.0
_BUSY = "Another program is downloading this model"
# Of free space: a full disk stops everything else on the computer too.
_RESERVE_BYTES = 1_000_000_000
_RESERVE_SHARE = 0.02
_space = threading.Lock()
"""Held while a download looks for space and takes it, so that two do not count on the same."""


class Transfer:
    """Runs one download. All methods but `start` may be called from any thread."""

    def __init__(
        self,
        order: Start,
        cache: Path,
        emit: Callable[[TransferEvent], None],
        *,
        limiter: Limiter,
        stall_s: float,
    ) -> None:
        self._order = order
        self._cache = cache
        self._emit_event = emit
        self._limiter = limiter
        self._stall_s = stall_s
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._is_over = False
        self._fetch: Fetch | None = None
        self._last: Progress | None = None
        # A daemon: it may hang in a name look-up while the program ends.
        self._thread = threading.Thread(target=self.run, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """True when nothing more comes from this download."""
        return self._is_over

    def stop(self, timeout_s: float) -> None:
        """End the download, keeping every byte; afterwards no event of it comes any more."""
        self._stop.set()
        self._wake.set()
        if self._fetch is not None:
            self._fetch.interrupt()
        self._thread.join(timeout_s)
        with self._lock:
            self._is_over = True

    def hurry(self) -> None:
        """Try again now instead of waiting on."""
        self._wake.set()
        if self._fetch is not None:
            self._fetch.hurry()

    def run(self) -> None:
        """Do the download and report how it ended."""
        try:
            end = self._download()
        except Stopped:
            return
        except Trouble as trouble:
            _log.warning("%s", trouble)
            end = GaveUp(self._order.id, trouble.failure, trouble.needs_user)
        except OSError as error:
            _log.warning("%s: %s", self._order.id, error)
            trouble = from_os_error(error, self._order.id)
            end = GaveUp(self._order.id, trouble.failure, trouble.needs_user)
        except Exception as error:  # noqa: BLE001 - worker run()
            _log.exception("the download of %s failed", self._order.id)
            end = GaveUp(self._order.id, _bug(self._order.id, error))
        with self._lock:
            if not self._is_over:
                self._is_over = True
                self._emit_event(end)

    def _download(self) -> Fetched:
        order = self._order
        check_revision(order.id, order.revision)
        login = Login()
        plan = self._resolve(login)
        repo = RepoCache(self._cache, order.id)
        repo.prepare()
        with self._locked(repo, plan):
            items = self._prepare(repo, plan)
            done = sum(item.done_bytes for item in items)
            self._emit(Planned(order.id, plan.commit, plan.total_bytes, done, len(items)))
            self._fetch_all(plan, items, login)
            folder = repo.publish(plan, order.revision)
        _log.info("%s is complete in %s", order.id, folder)
        found = scan_repo(self._cache, order.id)
        model = next((m for m in found.models if m.id == order.id), None)
        return Fetched(order.id, plan.total_bytes, model, len(plan.files))

    def _resolve(self, login: Login) -> Plan:
        """Return the plan, however long the hub cannot be asked."""
        tries = 0
        while True:
            self._check_stop()
            try:
                plan = read_plan(self._order.id, self._order.commit or self._order.revision, login)
            except Later as later:
                tries += 1
                if login.is_rejected:
                    self._emit(Noted(self._order.id, REJECTED))
                if later.tries is not None and tries > later.tries:
                    raise gave_up(later, self._order.id) from later
                pause_s = later.after_s
                if pause_s is None:
                    pause_s = min(30.0, 0.5 * 2 ** min(tries - 1, 8)) * random.uniform(0.8, 1.2)  # noqa: S311
                self._rest(later.text, pause_s)
            else:
                return plan

    def _rest(self, text: str, pause_s: float) -> None:
        if pause_s > 0:
            _log.info("%s: %s; again in %.1f s", self._order.id, text, pause_s)
            self._tell(Progress(self._order.id, 0, 0, waiting=text, retry_at=time.time() + pause_s))
            self._wake.wait(pause_s)
            self._wake.clear()
        self._check_stop()

    @contextlib.contextmanager
    def _locked(self, repo: RepoCache, plan: Plan) -> Generator[None, None, None]:
        """Hold the locks of all files that are missing; wait while another program has one."""
        with contextlib.ExitStack() as stack:
            while True:
                self._check_stop()
                missing = [f for f in plan.files if self._order.verify or not repo.find(plan, f)]
                try:
                    stack.enter_context(repo.locked(missing))
                except TimeoutError:
                    self._rest(_BUSY, _LOCK_RETRY_S)
                else:
                    break
            yield

    def _prepare(self, repo: RepoCache, plan: Plan) -> list[Item]:
        """Return all files, with the space for the missing ones taken. Raises Trouble, OSError."""
        items = [
            Item(file, Partial(repo.blobs, file), repo.find(plan, file)) for file in plan.files
        ]
        for item in items:
            item.is_done = item.there is not None and not self._order.verify
        missing = [item.partial for item in items if item.there is None]
        with _space:
            usage = shutil.disk_usage(self._cache)
            reserve = min(_RESERVE_BYTES, int(usage.total * _RESERVE_SHARE))
            need = sum(p.file.size - p.allocated_bytes() for p in missing)
            if need and need + reserve > usage.free:
                if not any(p.path.exists() for p in missing):
                    repo.discard()
                raise disk_full(self._order.id, need + reserve - usage.free)
            for partial in missing:
                partial.open()
                partial.reserve()
        return items

    def _fetch_all(self, plan: Plan, items: list[Item], login: Login) -> None:
        fetch = Fetch(
            self._order.id,
            items,
            Source(HfApi().endpoint, plan, login),
            stop=self._stop,
            limiter=self._limiter,
            stall_s=self._stall_s,
        )
        self._fetch = fetch
        was_rejected = login.is_rejected
        fetch.start()
        is_over = False
        while not is_over:
            is_over = fetch.wait(_TICK_S)
            self._check_stop()
            if login.is_rejected and not was_rejected:
                was_rejected = True
                self._emit(Noted(self._order.id, REJECTED))
            s = fetch.status()
            self._tell(
                Progress(
                    self._order.id,
                    s.done_bytes,
                    s.files_done,
                    s.is_verifying and not is_over,
                    s.waiting,
                    s.retry_at,
                )
            )
        if fetch.trouble is not None:
            raise fetch.trouble

    def _tell(self, progress: Progress) -> None:
        if progress != self._last:
            self._last = progress
            self._emit(progress)

    def _emit(self, event: TransferEvent) -> None:
        with self._lock:
            if not self._is_over:
                self._emit_event(event)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped


def _bug(repo_id: str, error: Exception) -> Failure:
    return Failure(
        ErrorCode.DOWNLOAD_FAILED,
        f"Download of {repo_id} stopped by an error in the program: {error!r}.",
        "Retry; what is there is kept. The log of downloads has details.",
    )
