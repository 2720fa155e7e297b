"""A model server's answer on its way to the client: a whole JSON document or a stream of events."""

import re
from typing import Protocol

import msgspec

from app.gateway.errors import RequestError, malformed, server_failed
from app.gateway.events import (
    EventStream,
    EventTooLargeError,
    UnreadableEventError,
    Usage,
    renamings,
)
from app.gateway.ledger import Meter
from app.wire.reading import JsonReader, read_json
from app.wire.requests import ErrorKind

_MAX_HEAD_BYTES = 32 * 1024
# Far above the longest answer with log probabilities; a server that sends more is broken.
_MAX_WHOLE_BYTES = 64 * 1024 * 1024


class _WholeAnswer(msgspec.Struct, frozen=True):
    usage: Usage | None = None


_usage_reader: JsonReader[_WholeAnswer] = JsonReader(_WholeAnswer)


class _ErrorObject(msgspec.Struct, frozen=True):
    message: str = ""


class _ErrorAnswer(msgspec.Struct, frozen=True):
    error: str | _ErrorObject


_error_reader: JsonReader[_ErrorAnswer] = JsonReader(_ErrorAnswer)

_LENGTH = re.compile(rb"[0-9]{0,18}")
# mlx_lm.server writes these while it reads a prompt: tokens that are read, and all of them.
_PROGRESS = re.compile(rb"^: keepalive ([0-9]{1,9})/([0-9]{1,9})$", re.MULTILINE)
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")


class ClientSide(Protocol):
    """Where an answer goes: whole, as an error, or as events from `start_events` to an end."""

    def send_whole(self, body: bytes) -> None:
        """Send a complete success."""
        ...

    def send_error(self, error: RequestError) -> None:
        """Send a complete error."""
        ...

    def start_events(self) -> None:
        """Prepare the head of an event stream, which goes out with the first event."""
        ...

    def flush(self) -> None:
        """Send the head now, because there is no event yet."""
        ...

    def send_events(self, events: bytes) -> None:
        """Send one or more complete events."""
        ...

    def end_events(self, events: bytes) -> None:
        """Send the last events, if any, and end a stream that is complete."""
        ...

    def cut_events(self, error: RequestError) -> None:
        """Send the reason as an event, then cut the stream so that nobody takes it for complete."""
        ...


class Answer:
    """Reads the bytes of one answer and calls the client's side.

    `server`: its name, for sentences. `model`: the client's name for it, None to leave it as it is.
    """

    # Without a dictionary: it is touched for every event of a stream.
    __slots__ = (
        "_buffer", "_client", "_events", "_has_head", "_has_token", "_hides_usage", "_length",
        "_meter", "_model", "_server", "_status", "is_over",
    )  # fmt: skip

    def __init__(
        self,
        client: ClientSide,
        *,
        server: str,
        model: str | None,
        hides_usage: bool,
        meter: Meter | None = None,
    ) -> None:
        self.is_over = False
        self._client = client
        self._meter = meter
        self._has_token = False
        self._server = server
        self._model = model
        self._hides_usage = hides_usage
        self._has_head = False
        self._status = 0
        self._length: int | None = None
        self._events: EventStream | None = None
        self._buffer = bytearray()
        """The head, then the body of a whole answer."""

    def feed(self, data: bytes) -> None:
        """Take what the server sent."""
        stream = self._events
        if stream is None:
            self._feed_begin(data)
            return
        # Nothing is called here that need not be: it runs for every token.
        try:
            events = stream.feed(data)
            if not self._has_token:
                self._await_token(data)
            if stream.is_done:
                self._end_events(events)
            elif events:
                self._client.send_events(events)
        except EventTooLargeError:
            self._fail("sent an event that does not end")
        except UnreadableEventError:
            self._fail("sent an event that cannot be read")

    def _feed_begin(self, data: bytes) -> None:
        """Take what comes before the events, or of an answer that is none."""
        self._buffer += data
        if not self._has_head and not self._take_head():
            return
        if self._events is not None:
            events = bytes(self._buffer)
            self._buffer.clear()
            self.feed(events)
            if not self.is_over:
                self._client.flush()
        elif self._length is not None and len(self._buffer) >= self._length:
            del self._buffer[self._length :]
            self._deliver()
        elif len(self._buffer) > _MAX_WHOLE_BYTES:
            self._fail("sent an answer above the limit of 64 MB")

    def end(self) -> None:
        """Take notice that the server's connection is over."""
        if self.is_over:
            return
        if self._events is not None:
            events = self._events.finish()
            if not self._events.is_done:
                self._fail("stopped in mid-answer", ErrorKind.DIED)
                return
            try:
                self._end_events(events)
            except UnreadableEventError:
                self._fail("sent an answer that cannot be read")
        elif not self._has_head:
            self._fail("closed the connection without an answer", ErrorKind.DIED)
        elif self._length is None and _is_json(self._buffer):
            self._deliver()
        else:
            self._fail("stopped in mid-answer", ErrorKind.DIED)

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                self._fail("sent an answer that cannot be read")
            return False
        head = bytes(self._buffer[: end + 2])
        del self._buffer[: end + 4]
        status = _STATUS_LINE.match(head)
        fields = _fields(head)
        length = fields.get(b"content-length", b"")
        # The request was HTTP/1.0, so an answer in chunks breaks the protocol.
        if status is None or b"transfer-encoding" in fields or not _LENGTH.fullmatch(length):
            self._fail("sent an answer that cannot be read")
            return False
        self._has_head = True
        self._status = int(status[1])
        self._length = int(length) if length else None
        kind = fields.get(b"content-type", b"").lower()
        if self._status == 200 and kind.startswith(b"text/event-stream"):
            self._events = EventStream(model=self._model, hides_usage=self._hides_usage)
            self._client.start_events()
            if self._meter is not None:
                self._meter.taken()
        return True

    def _await_token(self, data: bytes) -> None:
        # What comes before the first token are comments on the progress with the prompt.
        self._has_token = b"data:" in data
        if self._meter is None:
            return
        for progress in _PROGRESS.finditer(data):
            self._meter.prompt = (int(progress[1]), int(progress[2]))
        if self._has_token:
            self._meter.first()

    def _end_events(self, events: bytes) -> None:
        self._count(self._events.usage if self._events is not None else None)
        self._client.end_events(events)
        self.is_over = True

    def _count(self, usage: Usage | None) -> None:
        if self._meter is not None and usage is not None:
            self._meter.count(usage.prompt_tokens, usage.completion_tokens)

    def _deliver(self) -> None:
        self.is_over = True
        body = bytes(self._buffer)
        self._buffer.clear()
        if self._status != 200:
            self._client.send_error(self._refusal(body))
            return
        self._count(_whole_usage(body) if self._meter is not None else None)
        if self._model is not None:
            for old, new in renamings(self._model):
                body = body.replace(old, new)
        self._client.send_whole(body)

    def _refusal(self, body: bytes) -> RequestError:
        reason = _error_text(body)
        # mlx_lm.server answers 404 when a template refuses the messages; the path itself is known.
        if self._status in (400, 404, 422):
            note = f"The server {self._server} refused the request."
            return malformed(reason or note, note=note)
        note = f"The server {self._server} answered with the status {self._status}."
        return server_failed(f"{note} {reason}".rstrip(), note=note)

    def _fail(self, what: str, kind: ErrorKind = ErrorKind.SERVER_ERROR) -> None:
        self.is_over = True
        error = server_failed(f"The server {self._server} {what}.", kind, hint="Its log says why.")
        if self._events is not None:
            self._client.cut_events(error)
        else:
            self._client.send_error(error)


def _fields(head: bytes) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _is_json(body: bytearray) -> bool:
    try:
        read_json(body, msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def _whole_usage(body: bytes) -> Usage | None:
    try:
        return _usage_reader.decode(body).usage
    except msgspec.DecodeError:
        return None


def _error_text(body: bytes) -> str:
    """Return the sentence in `{"error": "text"}` or in OpenAI's error object, empty if none."""
    try:
        error = _error_reader.decode(body).error
    except msgspec.DecodeError:
        return ""
    return error if isinstance(error, str) else error.message
