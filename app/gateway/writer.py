"""Answers on their way to a client: status lines, framing, the end of an answer."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus

from app.gate import Refusal
from app.gateway.errors import RequestError, server_failed
from app.gateway.head import RequestHead
from app.wire.errors import ErrorCode

log = logging.getLogger("gateway")

_JSON = (("Content-Type", "application/json"),)
_EVENTS = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache"),
    # A user's own nginx in front must not hold tokens back.
    ("X-Accel-Buffering", "no"),
)
_SMALL = 1024
# Made once: to format one costs more than the rest of a chunk.
_SIZES = tuple(b"%x\r\n" % size for size in range(_SMALL))
_CHUNKED_EVENTS = (*_EVENTS, ("Transfer-Encoding", "chunked"))


class AnswerWriter:
    """Writes the answer to one request; the client's side of a model server's answer.

    `request` is None where its head could not be read. `on_end` is called once, after the last
    byte was handed to the transport; its argument says whether the connection may go on. `headers`
    go with every answer.
    """

    # Without a dictionary: it is touched for every event of a stream.
    __slots__ = (
        "_headers", "_is_chunked", "_is_head", "_on_end", "_transport", "_unsent", "error",
        "has_events", "is_silent", "keeps_alive",
    )  # fmt: skip

    def __init__(
        self,
        transport: asyncio.Transport,
        request: RequestHead | None,
        on_end: Callable[[bool], None],
        *,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.keeps_alive = request is not None and request.keeps_alive
        """May be set to False before the answer begins."""
        self.error: RequestError | None = None
        """What the answer ended with, None for a success."""
        self.has_events = False
        """True from the head of an event stream on."""
        self.is_silent = False
        """Set to False by every event; somebody else sets it to True to see whether one comes."""
        self._transport = transport
        self._unsent = b""
        """The head of an event stream, which goes out with its first event where there is one."""
        self._headers = headers
        self._is_chunked = request is not None and request.is_http11
        self._is_head = request is not None and request.method == "HEAD"
        self._on_end = on_end

    def send_whole(self, body: bytes) -> None:
        """Send a complete success."""
        if self.has_events:
            # The head of a stream is out, and this is none.
            self.cut_events(server_failed("The server did not answer with a stream."))
            return
        self._send(200, _JSON, body)

    def send_error(self, error: RequestError) -> None:
        """Send a complete error; after the head of an event stream, cut that."""
        if self.has_events:
            self.cut_events(error)
            return
        self._note(error)
        self._send(error.status, (*_JSON, *error.headers), error.body)

    def send_refusal(self, refusal: Refusal) -> None:
        """Send what the gate answers."""
        self._send(refusal.status, refusal.headers, refusal.body)

    def start_events(self) -> None:
        """Prepare the head of an event stream, unless it was sent; `flush` or events send it."""
        if self.has_events:
            return
        self.has_events = True
        self.is_silent = False
        events = _CHUNKED_EVENTS if self._is_chunked else _EVENTS
        self._unsent = _event_head((*events, *self._headers), self.keeps_alive)

    def flush(self) -> None:
        """Send a head that still waits for its first event."""
        if self._unsent:
            head, self._unsent = self._unsent, b""
            self._transport.write(head)

    def send_events(self, events: bytes) -> None:
        """Send one or more complete events; never none, as an empty chunk ends an answer."""
        self.is_silent = False
        if self._is_chunked:
            size = len(events)
            # One piece, because each write is a system call.
            events = (_SIZES[size] if size < _SMALL else b"%x\r\n" % size) + events + b"\r\n"
        if self._unsent:
            events, self._unsent = self._unsent + events, b""
        self._transport.write(events)

    def end_events(self, events: bytes) -> None:
        """Send the last events, if any, and end a stream that is complete."""
        frame = self._unsent
        self._unsent = b""
        if self._is_chunked:
            # In one piece: each write is a system call, which is most of what an event costs.
            frame += b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events) if events else b"0\r\n\r\n"
        else:
            frame += events
        if frame:
            self._transport.write(frame)
        self._on_end(self.keeps_alive)

    def cut_events(self, error: RequestError) -> None:
        """Send the reason as an event, and leave out the last chunk."""
        self._note(error)
        self.send_events(b"data: %b\n\n" % error.body)
        self._on_end(False)

    def give_up(self, error: RequestError) -> None:
        """End the answer with an error, in whatever phase it is."""
        self.keeps_alive = False
        self.send_error(error)

    def _send(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        length = ("Content-Length", str(len(body)))
        head = _head(status, (*headers, length, *self._headers), self.keeps_alive)
        self._transport.write(head if self._is_head else head + body)
        self._on_end(self.keeps_alive)

    def _note(self, error: RequestError) -> None:
        self.error = error
        if error.code is ErrorCode.UPSTREAM_FAILED:
            log.warning("%s", error.message)


def _head(status: int, headers: Iterable[tuple[str, str]], keeps_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if not keeps_alive:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


@lru_cache(maxsize=64)
def _event_head(headers: tuple[tuple[str, str], ...], keeps_alive: bool) -> bytes:
    """Return the head of every event stream, which differs by its kind of client only."""
    return _head(200, headers, keeps_alive)
