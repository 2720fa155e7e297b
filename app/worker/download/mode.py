"""The mode `download`: orders come on standard input, events go to standard output."""

import logging
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import msgspec

from app.wire.transfer import (
    Discard,
    Hurry,
    Limit,
    Pause,
    Start,
    Stopped,
    TransferEvent,
    decode_order,
)
from app.worker.download.bounds import bound_answers
from app.worker.download.cache import RepoCache
from app.worker.download.transfer import Transfer
from app.worker.download.transport import Limiter

_log = logging.getLogger("download")
_STOP_S = 0.25
"""A pause must be done in 0.3 s. Threads that hang longer can do no harm any more."""


class Downloads:
    """All downloads of this process. Orders are obeyed one after another."""

    def __init__(self, cache: Path, out: BinaryIO, *, stall_s: float) -> None:
        self._cache = cache
        self._out = out
        self._out_lock = threading.Lock()
        self._stall_s = stall_s
        self._limiter = Limiter()
        self._transfers: dict[str, Transfer] = {}

    def obey(self, line: bytes) -> None:
        """Carry out one order."""
        match decode_order(line):
            case Start() as order:
                self._start(order)
            case Pause(id=repo_id):
                self._stop(repo_id)
                self._emit(Stopped(repo_id))
            case Discard(id=repo_id, keep_partial=keep_partial):
                self._stop(repo_id)
                if not keep_partial:
                    self._discard(repo_id)
                self._emit(Stopped(repo_id))
            case Hurry(id=repo_id):
                if transfer := self._transfers.get(repo_id):
                    transfer.hurry()
            case Limit(bytes_per_s=speed):
                self._limiter.set(speed)

    def close(self) -> None:
        """End all downloads; every byte stays."""
        for repo_id in list(self._transfers):
            self._stop(repo_id)

    def _start(self, order: Start) -> None:
        known = self._transfers.get(order.id)
        if known is not None and not known.is_over:
            return
        transfer = Transfer(
            order, self._cache, self._emit, limiter=self._limiter, stall_s=self._stall_s
        )
        self._transfers[order.id] = transfer
        transfer.start()

    def _stop(self, repo_id: str) -> None:
        transfer = self._transfers.pop(repo_id, None)
        if transfer is not None:
            transfer.stop(_STOP_S)

    def _discard(self, repo_id: str) -> None:
        try:
            RepoCache(self._cache, repo_id).discard()
        except (OSError, ValueError) as error:
            # ValueError: no id of a model, so there is nothing of it either.
            _log.warning("unfinished files of %s could not be removed: %s", repo_id, error)

    def _emit(self, event: TransferEvent) -> None:
        with self._out_lock:
            try:
                self._out.write(msgspec.json.encode(event) + b"\n")
                self._out.flush()
            except (BrokenPipeError, ValueError):
                # The owner is gone, or this process is about to end.
                _log.debug("nobody reads the events any more")


def run(cache: Path, *, stall_s: float) -> None:
    """Obey orders until standard input ends, which means that the owner is gone."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    for noisy in ("httpx2", "filelock", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    bound_answers()
    out = sys.stdout.buffer
    # Whatever a library prints must not look like an event.
    sys.stdout = sys.stderr
    downloads = Downloads(cache, out, stall_s=stall_s)
    try:
        for line in sys.stdin.buffer:
            try:
                downloads.obey(line)
            except msgspec.DecodeError as error:
                _log.error("an order was not understood: %s", error)
    finally:
        downloads.close()
