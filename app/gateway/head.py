"""Strict reading of a request's head: what two programs could read differently is refused."""

import re
from dataclasses import dataclass

from app.gateway.errors import RequestError, malformed
from app.wire.errors import ErrorCode

# A real request has less than 2 KB; 32 KB leaves room for large cookies and tokens.
MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
# Prompts with pictures reach 20 MB.
MAX_BODY_BYTES = 64 * 1024 * 1024

# RFC 9112: a method, a target in origin form, and nothing else between single spaces.
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.([01])\r\n")
# RFC 9110, section 5: no space before the colon, no control characters, no folded lines.
_FIELD = (
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*+"
    rb"([\x21-\x7e\x80-\xff](?:[\x20-\x7e\t\x80-\xff]*[\x21-\x7e\x80-\xff])?|)[ \t]*+\r\n"
)
# All at once, for SDKs send a dozen. Possessive: 32 KB of blanks would take seconds otherwise.
_FIELDS = re.compile(rb"(?>" + _FIELD + rb")*+\r\n")
_EACH_FIELD = re.compile(_FIELD)
_ONCE = (b"host", b"content-length", b"transfer-encoding", b"content-type")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request but for its body."""

    method: str
    target: str
    """As it was sent."""
    is_http11: bool
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in lower case."""
    keeps_alive: bool
    """True when the client wants to send more requests on this connection."""
    body_bytes: int | None
    """Announced length of the body, 0 for none; None when it comes in chunks."""
    expects_continue: bool
    """True when the client waits for a word before it sends the body."""

    @property
    def has_body(self) -> bool:
        """True when a body follows."""
        return self.body_bytes != 0

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.split("?", 1)[0]


def find_end(buffer: bytearray, seen: int) -> int:
    """Return the length of the complete head at the start of `buffer`, -1 if it is not complete.

    `seen`: how many bytes were searched by an earlier call. Raises RequestError for a head that
    is too large or has bare line feeds.
    """
    end = buffer.find(b"\r\n\r\n", max(0, seen - 3))
    length = end + 4 if end >= 0 else len(buffer)
    if length > MAX_HEAD_BYTES:
        raise malformed("The request's head is larger than 32 KB.", http_status=431)
    if buffer.count(b"\n", seen, length) > buffer.count(b"\r\n", max(0, seen - 1), length):
        raise malformed("Lines of a request's head end with CR LF.")
    return length if end >= 0 else -1


def parse_head(head: bytes) -> RequestHead:
    """Return the request in `head`, which ends with its blank line. Raises RequestError."""
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise malformed("The request line is not valid.")
    headers = _parse_fields(head, line.end())
    fields = dict(headers)
    is_http11 = line[3] == b"1"
    if is_http11 and b"host" not in fields:
        raise malformed("The Host header is missing.")
    return RequestHead(
        method=line[1].decode("ascii"),
        target=line[2].decode("ascii"),
        is_http11=is_http11,
        headers=headers,
        keeps_alive=is_http11 and not (b"connection" in fields and _closes(headers)),
        body_bytes=_body_bytes(fields, is_http11=is_http11),
        expects_continue=is_http11 and b"expect" in fields and _expects_continue(headers),
    )


def _parse_fields(head: bytes, start: int) -> tuple[tuple[bytes, bytes], ...]:
    if _FIELDS.fullmatch(head, start) is None:
        raise malformed("A header of the request is not valid.")
    fields = [(name.lower(), value) for name, value in _EACH_FIELD.findall(head, start)]
    if len(fields) > MAX_HEADERS:
        raise malformed(f"The request has more than {MAX_HEADERS} headers.", http_status=431)
    names = [name for name, _ in fields]
    for name in _ONCE:
        if names.count(name) > 1:
            raise malformed(f"The header {name.decode()} is there twice.")
    return tuple(fields)


def _closes(headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    tokens = b",".join(_values(headers, b"connection")).lower().split(b",")
    return b"close" in [token.strip() for token in tokens]


def _values(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _body_bytes(fields: dict[bytes, bytes], *, is_http11: bool) -> int | None:
    length = fields.get(b"content-length")
    encoding = fields.get(b"transfer-encoding")
    if encoding is not None:
        if length is not None or not is_http11 or encoding.lower() != b"chunked":
            raise malformed("The header transfer-encoding is not valid here.")
        return None
    if length is None:
        return 0
    # isdigit of bytes is ASCII only, which int() alone is not.
    if not length.isdigit() or len(length) > 18:
        raise malformed("The header content-length is not valid.")
    if int(length) > MAX_BODY_BYTES:
        raise body_too_large()
    return int(length)


def _expects_continue(headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    if any(value.lower() != b"100-continue" for value in _values(headers, b"expect")):
        raise malformed("The header expect is not understood.", http_status=417)
    return True


def body_too_large() -> RequestError:
    """Return the refusal of a body above the limit."""
    return RequestError(ErrorCode.TOO_LARGE, "The request's body is larger than 64 MB.")
