"""Requests out of the bytes of a connection, one after another."""

from app.gateway.body import ChunkedBody, SizedBody
from app.gateway.head import RequestHead, find_end, parse_head


class RequestReader:
    """Holds what a client has sent and not yet been answered for."""

    def __init__(self) -> None:
        self.received = 0
        """Bytes since the connection was made."""
        self._buffer = bytearray()
        self._searched = 0
        self._body: SizedBody | ChunkedBody | None = None

    @property
    def waiting(self) -> int:
        """Bytes that were fed and not taken."""
        return len(self._buffer) + (0 if self._body is None else len(self._body.data))

    @property
    def is_in_body(self) -> bool:
        """True from a head to the end of its body."""
        return self._body is not None

    @property
    def is_between(self) -> bool:
        """True when nothing of a next request has come."""
        return self._body is None and not self._buffer

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        self.received += len(data)
        self._buffer += data

    def take_head(self) -> RequestHead | None:
        """Return the next request's head, None while it is not complete. Raises RequestError."""
        end = find_end(self._buffer, self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        head = parse_head(bytes(self._buffer[:end]))
        del self._buffer[:end]
        self._searched = 0
        length = head.body_bytes
        self._body = ChunkedBody() if length is None else SizedBody(length)
        return head

    def take_body(self) -> bytearray | None:
        """Return the body after the head, None while it is incomplete. Raises RequestError."""
        body = None if self._body is None else self._body.take(self._buffer)
        if body is not None:
            self._body = None
        return body
