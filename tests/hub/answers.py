"""Writes the stand-in's answers, with the faults that a body can have."""

import email.utils
import gzip
import json
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from hub.blobs import Blob, FileBlob, MiB
from hub.faults import Fault

if TYPE_CHECKING:
    from hub.server import Listener


@dataclass
class LoggedRequest:
    side: str
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    status: int = 0
    sent: int = 0
    seconds: float = 0.0


class Abort(Exception):
    """Stop serving this connection now."""


class Unsatisfiable(Exception):
    """The requested range lies outside the content."""


class HubError(Exception):
    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


class Answers(BaseHTTPRequestHandler):
    """A request handler that can answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Listener"
    entry: LoggedRequest
    active: list[Fault]

    def _json(
        self, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        limit = {
            "RateLimit": '"api";r=499;t=300',
            "RateLimit-Policy": '"fixed window";"api";q=500;w=300',
        }
        self._reply(
            status,
            json.dumps(value).encode(),
            headers={**limit, **(headers or {})},
            kind="application/json",
        )

    def _reply(
        self,
        status: int,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        kind: str = "text/plain",
    ) -> None:
        self._start(
            status, {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
        )
        if self.command != "HEAD":
            self.wfile.write(body)
            self.entry.sent += len(body)

    def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.entry.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not self.server.hub.keeps_alive:
            self.send_header("Connection", "close")
        self.end_headers()

    def _content(
        self,
        blob: Blob,
        headers: Mapping[str, str],
        *,
        paced: bool = False,
        compressible: bool = False,
    ) -> None:
        faults = {f.kind: f for f in self.active}
        size = faults["short"].after if "short" in faults else blob.size
        try:
            span = None if "no_range" in faults else _parse_range(self.headers.get("Range"), size)
        except Unsatisfiable:
            return self._reply(416, b"", headers={**headers, "Content-Range": f"bytes */{size}"})
        start, end = span or (0, size)
        status = 206 if span else 200
        out = {
            "Content-Type": "application/octet-stream",
            **headers,
            "Last-Modified": email.utils.formatdate(0),
        }
        if span:
            out["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        accepts_gzip = "gzip" in self.headers.get("Accept-Encoding", "")
        if (
            compressible
            and self.server.hub.gzip_text
            and accepts_gzip
            and not span
            and self.command == "GET"
        ):
            packed = gzip.compress(blob.read(0, size))
            self._start(200, {**out, "Content-Encoding": "gzip", "Transfer-Encoding": "chunked"})
            self._write_chunked([packed])
            return None
        if "no_length" in faults:
            self._start(status, {**out, "Transfer-Encoding": "chunked"})
            cut = min((f.after for k, f in faults.items() if k in ("drop", "reset")), default=None)
            self._write_chunked(
                blob.pieces(start, end if cut is None else min(end, start + cut)), whole=cut is None
            )
            return None
        self._start(status, {**out, "Content-Length": str(end - start)})
        if self.command == "HEAD":
            return None
        if isinstance(blob, FileBlob) and not self.active and not (paced and self.server.hub.rate):
            self.wfile.flush()
            with blob.path.open("rb") as source:
                self.entry.sent += self.connection.sendfile(source, start, end - start) or 0
            return None
        self._write_pieces(blob, start, end, faults, paced)
        return None

    def _write_pieces(  # noqa: C901 - one loop, and what may go wrong in it
        self, blob: Blob, start: int, end: int, faults: dict[str, Fault], paced: bool
    ) -> None:
        hub = self.server.hub
        cut = min(
            (f.after for k, f in faults.items() if k in ("drop", "reset", "stall")), default=None
        )
        throttle = faults.get("throttle")
        step = MiB if throttle is None else max(1024, min(MiB, int(throttle.rate / 20)))
        if paced and hub.rate:
            step = max(1024, min(step, int(hub.rate / 100)))
        position, began = start, time.monotonic()
        while position < end:
            if hub.wait(0):
                raise Abort
            length = min(step, end - position)
            if cut is not None:
                length = min(length, cut - (position - start))
                if length <= 0:
                    break
            data = blob.read(position, length)
            if "corrupt" in faults and position <= faults["corrupt"].after < position + length:
                changed = bytearray(data)
                changed[faults["corrupt"].after - position] ^= 0xFF
                data = bytes(changed)
            self.wfile.write(data)
            self.entry.sent += len(data)
            position += len(data)
            if paced:
                hub.pace(len(data))
            if throttle is not None:
                hub.wait(max(0.0, (position - start) / throttle.rate - (time.monotonic() - began)))
        if position < end:
            self.wfile.flush()
            if "stall" in faults:
                hub.wait(faults["stall"].seconds)
            if "reset" in faults:
                time.sleep(0.05)  # let the bytes before the reset reach the client
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.connection.close()
            raise Abort

    def _write_chunked(self, pieces: Iterable[bytes], *, whole: bool = True) -> None:
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.entry.sent += len(piece)
        if not whole:
            raise Abort
        self.wfile.write(b"0\r\n\r\n")


def _parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, end exclusive), or None for the whole content."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    start = int(match[1])
    end = min(int(match[2]) + 1, size) if match[2] else size
    if start >= end:
        raise Unsatisfiable
    return start, end
