"""HTTP for large files: plain sockets, redirects, and a token that only its own hub sees.

http.client instead of a full client library: 1.2 to 1.8 s of CPU for each GB against 2.1 to 3.0
with httpx2 in the same rounds (4 connections over loopback, without the checksum).
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import cast
from urllib.parse import urljoin, urlsplit

import httpx2

from app.worker.download.trouble import Later, Stopped

READ_BYTES = 512 << 10
"""What a thread reads at most at a time, into memory of its own: fewer steps cost less."""
_SHORT_BYTES = 128 << 10
"""An answer with so little left is read to its end, to keep the connection."""
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
Header = Callable[[str], str | None]


class Answer(http.client.HTTPResponse):
    """An answer that can be read into memory that is there, as much as has come."""

    def read_some(self, into: memoryview) -> int:
        """Return how many bytes were read; 0 is the end. Raises OSError and HTTPException."""
        if self.chunked or self.length is None or not self.length:
            data = self.read1(len(into))
            into[: len(data)] = data
            return len(data)
        count = self.fp.readinto1(into[: self.length])
        # As the library's own readinto, which waits until all of `into` is full.
        self.length -= count
        if not self.length:
            # Nothing is left, but only this frees the connection for the next request.
            self.read()
        return count


class Limiter:
    """Holds all downloads together below a speed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes_per_s = 0.0
        self._free_at = 0.0

    def set(self, bytes_per_s: float) -> None:
        """Set the speed; 0 is no limit."""
        with self._lock:
            self._bytes_per_s = bytes_per_s

    def read_bytes(self) -> int:
        """Return how much to read at a time, so that a slow speed is an even one."""
        limit = self._bytes_per_s
        return READ_BYTES if not limit else max(2048, min(READ_BYTES, int(limit / 20)))

    def wait(self, count: int, stop: threading.Event) -> None:
        """Wait until `count` bytes more are within the limit, or the download stops."""
        with self._lock:
            if not self._bytes_per_s:
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 0.1) + count / self._bytes_per_s
            pause_s = self._free_at - now
        if pause_s > 0:
            stop.wait(pause_s)


class Sockets:
    """All open connections of a download, so that another thread can end them at once."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def add(self, connection: socket.socket) -> None:
        """Take a new connection. Raises Stopped when the download has stopped."""
        with self._lock:
            if self._stop.is_set():
                connection.close()
                raise Stopped
            self._open.add(connection)

    def drop(self, connection: socket.socket) -> None:
        """Forget a connection that is about to be closed."""
        with self._lock:
            self._open.discard(connection)

    def interrupt(self) -> None:
        """End all reads and writes that other threads wait for."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Connections:
    """The kept connections of one thread, one for each server."""

    def __init__(self, sockets: Sockets, tls: ssl.SSLContext, timeout_s: float) -> None:
        self._sockets = sockets
        self._tls = tls
        self._timeout_s = timeout_s
        self._kept: dict[str, http.client.HTTPConnection] = {}

    def get(
        self, url: str, headers: dict[str, str], *, token: str | None, token_origin: str
    ) -> tuple[Answer, str]:
        """Return the answer behind all redirects, and its address.

        Raises OSError, http.client.HTTPException, Stopped, or Later for redirects to nowhere.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            sent = dict(headers)
            if token and origin(url) == token_origin:
                sent["Authorization"] = f"Bearer {token}"
            response = self._send(url, sent)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response, url
            self.finish(url, response)
            following = urljoin(url, location)
            if urlsplit(following).scheme not in ("https", urlsplit(url).scheme):
                raise Later("The hub sends this computer to an unsafe address", tries=3)
            url = following
        raise Later("The hub sends this computer around in a circle", tries=3)

    def finish(self, url: str, response: Answer) -> None:
        """Keep the connection for the next request if what is left of the answer is short."""
        if response.length is not None and response.length <= _SHORT_BYTES:
            response.read()
        if not response.isclosed() or response.will_close:
            self.drop(url)

    def drop(self, url: str) -> None:
        """Close the connection to a server."""
        connection = self._kept.pop(origin(url), None)
        if connection is not None:
            self._close(connection)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._kept.values():
            self._close(connection)
        self._kept.clear()

    def _send(self, url: str, headers: dict[str, str]) -> Answer:
        is_reused = origin(url) in self._kept
        try:
            return self._send_once(url, headers)
        except (http.client.RemoteDisconnected, ConnectionError):
            self.drop(url)
            if not is_reused:
                raise
        # The server closed a kept connection, as it may at any time.
        return self._send_once(url, headers)

    def _send_once(self, url: str, headers: dict[str, str]) -> Answer:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = self._kept.get(origin(url))
        if connection is None:
            connection = self._connect(url)
        if parts.scheme == "http" and _proxy(parts.scheme, parts.hostname or ""):
            target = url
        try:
            connection.request("GET", target, headers=headers)
            return cast("Answer", connection.getresponse())
        except BaseException:
            self.drop(url)
            raise

    def _connect(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        proxy = _proxy(parts.scheme, host)
        place = (proxy[0], proxy[1]) if proxy else (host, port)
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                *place, timeout=self._timeout_s, context=self._tls
            )
            if proxy:
                connection.set_tunnel(host, port)
        else:
            connection = http.client.HTTPConnection(*place, timeout=self._timeout_s)
        connection.response_class = Answer
        connection.connect()
        self._sockets.add(connection.sock)
        self._kept[origin(url)] = connection
        return connection

    def _close(self, connection: http.client.HTTPConnection) -> None:
        if connection.sock is not None:
            self._sockets.drop(connection.sock)
        connection.close()


def origin(url: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def tls_context() -> ssl.SSLContext:
    """Return a context that trusts what this computer trusts, company certificates included."""
    return httpx2.create_ssl_context()


def _proxy(scheme: str, host: str) -> tuple[str, int] | None:
    # On macOS this also reads the system's settings, which an app sees in no variable.
    address = urllib.request.getproxies().get(scheme)
    if not address or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(address if "://" in address else f"http://{address}")
    return (parts.hostname, parts.port or 80) if parts.hostname else None
