"""Taking a request's body out of the bytes that have come: by its length, or chunk by chunk."""

import re

from app.gateway.errors import malformed
from app.gateway.head import MAX_BODY_BYTES, body_too_large

# Digits only: extensions and spaces are read differently by different programs.
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_MAX_SIZE_LINE = 16


class SizedBody:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self._length = length

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove the body from the start of `buffer` and return it, None while incomplete."""
        if len(buffer) < self._length:
            return None
        body = bytes(memoryview(buffer)[: self._length])
        del buffer[: self._length]
        return body


class ChunkedBody:
    """A body in chunks of HTTP/1.1, without extensions and trailers."""

    def __init__(self) -> None:
        self._body = bytearray()

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove complete chunks from `buffer`; return the body after the last one, else None.

        Raises RequestError for malformed chunks and for a body above the limit.
        """
        while True:
            size, start = self._next_chunk(buffer)
            if size is None:
                return None
            end = start + size
            if len(buffer) < end + 2:
                return None
            if not buffer.startswith(b"\r\n", end):
                raise malformed("A chunk of the request's body is not valid.")
            self._body += memoryview(buffer)[start:end]
            del buffer[: end + 2]
            if size == 0:
                return bytes(self._body)

    def _next_chunk(self, buffer: bytearray) -> tuple[int | None, int]:
        line_end = buffer.find(b"\r\n", 0, _MAX_SIZE_LINE)
        line = bytes(buffer[: line_end if line_end >= 0 else _MAX_SIZE_LINE])
        if line_end < 0:
            if len(line) == _MAX_SIZE_LINE or b"\n" in line:
                raise malformed("A chunk of the request's body is not valid.")
            return None, 0
        if _CHUNK_SIZE.fullmatch(line) is None:
            raise malformed("A chunk of the request's body is not valid.")
        size = int(line, 16)
        if len(self._body) + size > MAX_BODY_BYTES:
            raise body_too_large()
        return size, line_end + 2
