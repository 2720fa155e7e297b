"""Taking a request's body out of the bytes that have come: by its length, or chunk by chunk."""

import codecs
import re

from app.gateway.errors import malformed
from app.gateway.head import MAX_BODY_BYTES, body_too_large

# Digits only: extensions and spaces are read differently by different programs.
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_MAX_SIZE_LINE = 16


class _Body:
    """What has come of a body.

    All of it is JSON, so it is checked for UTF-8 as it comes: at its end that would stop every
    other answer for as long as 20 MB take.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def _add(self, piece: memoryview) -> None:
        self.data += piece
        self._check(piece)

    def _whole(self) -> bytearray:
        self._check(b"", is_last=True)
        return self.data

    def _check(self, piece: memoryview | bytes, *, is_last: bool = False) -> None:
        try:
            self._decoder.decode(piece, is_last)
        except UnicodeDecodeError as error:
            raise malformed("The request's body is not UTF-8 text.") from error


class SizedBody(_Body):
    """A body of known length."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length

    def take(self, buffer: bytearray) -> bytearray | None:
        """Remove what belongs to the body from `buffer`; return the body once it is complete.

        Raises RequestError for a body that is not text.
        """
        size = min(len(buffer), self._length - len(self.data))
        with memoryview(buffer)[:size] as piece:
            self._add(piece)
        del buffer[:size]
        return self._whole() if len(self.data) == self._length else None


class ChunkedBody(_Body):
    """A body in chunks of HTTP/1.1, without extensions and trailers."""

    def take(self, buffer: bytearray) -> bytearray | None:
        """Remove complete chunks from `buffer`; return the body after the last one, else None.

        Raises RequestError for malformed chunks, a body above the limit or one that is not text.
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
            with memoryview(buffer)[start:end] as piece:
                self._add(piece)
            del buffer[: end + 2]
            if size == 0:
                return self._whole()

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
        if len(self.data) + size > MAX_BODY_BYTES:
            raise body_too_large()
        return size, line_end + 2
