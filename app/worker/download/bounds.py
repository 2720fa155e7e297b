"""Bounds for the answers that the hub library reads into memory whole."""

import time
from collections.abc import Iterable, Iterator

import httpx2
from huggingface_hub import get_session

_MAX_BYTES = 64_000_000
"""A list of 10,000 files with their checksums takes 5 MB."""
_MAX_S = 60.0


class UnboundedError(ValueError):
    """An answer that is too long, takes too long, or grows when it is unpacked."""


class _Bounded(httpx2.SyncByteStream):
    """The body of an answer, up to the bounds."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        end, count = time.monotonic() + _MAX_S, 0
        for piece in self._stream:
            count += len(piece)
            if count > _MAX_BYTES or time.monotonic() > end:
                raise UnboundedError("the answer does not end")
            yield piece

    def close(self) -> None:
        if isinstance(self._stream, httpx2.SyncByteStream):
            self._stream.close()


def bound_answers() -> None:
    """Make the hub library give up answers beyond the bounds, with a ValueError."""
    session = get_session()
    # Nothing packed: a few kilobytes could become gigabytes.
    session.headers["Accept-Encoding"] = "identity"
    hooks = session.event_hooks
    session.event_hooks = {**hooks, "response": [*hooks.get("response", []), _bound]}


def _bound(response: httpx2.Response) -> None:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise UnboundedError("the answer is packed, though nobody asked for that")
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _Bounded(response.stream)
