"""One request on its way through a model server: connecting, trying again, hanging up."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from typing import cast

from app.gateway.answer import Answer, ClientSide
from app.gateway.directory import Upstream
from app.gateway.errors import RequestError, server_failed
from app.wire.errors import ErrorCode

log = logging.getLogger("gateway")

# http.server's listen queue holds five; on a Mac what a burst has above that is reset. A
# completion has no side effect, so it may be sent again while no byte of an answer has come.
_RETRY_AFTER_S = (0.05, 0.2, 0.5)
_CONNECT_TIMEOUT_S = 5.0
_JOINED_BYTES = 64 * 1024
_CONNECTED = (0, errno.EISCONN)
# A full queue resets at once; a server that was lost later would be lost again over this request.
_EARLY_LOSS_S = 1.0


class Exchange:
    """Sends a request to its server and feeds the answer; reports trouble to the client's side.

    `is_ready` says whether the server is still there, so that a dead one is not tried again.
    """

    def __init__(
        self,
        client: ClientSide,
        upstream: Upstream,
        request: Sequence[bytes],
        answer: Answer,
        is_ready: Callable[[], bool],
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._request = request
        self._answer = answer
        self._is_ready = is_ready
        self._link: _Link | None = None
        self._task = asyncio.create_task(self._run(), name=f"gateway to {upstream.profile_name}")

    def drop(self) -> None:
        """Hang up at once, in whatever phase; the client's side hears nothing more."""
        self._task.cancel()
        if self._link is not None:
            self._link.drop()

    def pause(self) -> None:
        """Take nothing more from the server until `resume`."""
        if self._link is not None and self._link.transport is not None:
            self._link.transport.pause_reading()

    def resume(self) -> None:
        """Take what the server sends again."""
        if self._link is not None and self._link.transport is not None:
            self._link.transport.resume_reading()

    async def _run(self) -> None:
        try:
            if not await self._has_answer():
                name = self._upstream.profile_name
                self._client.send_error(server_failed(f"The server {name} cannot be reached."))
        except Exception:  # boundary of a request: the client must get an answer
            log.exception("request failed")
            self._client.send_error(RequestError(ErrorCode.INTERNAL, "The request failed."))

    async def _has_answer(self) -> bool:
        if await self._try_once():
            return True
        for delay in _RETRY_AFTER_S:
            await asyncio.sleep(delay)
            if not self._is_ready():
                return False
            log.debug("trying %s again", self._upstream.profile_name)
            if await self._try_once():
                return True
        return False

    async def _try_once(self) -> bool:
        link = self._link = _Link(self._request, self._answer)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await _connect(link, self._upstream)
        except OSError as error:
            link.drop()
            log.debug("no connection to %s: %s", self._upstream.profile_name, error)
            return False
        has_answer = await link.has_answer
        if has_answer:
            # A prompt of 20 MB is not kept for the length of its answer.
            self._request = ()
        return has_answer


async def _connect(link: "_Link", upstream: Upstream) -> None:
    """Open the connection. Raises OSError."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in upstream.host else socket.AF_INET
    link_socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        link_socket.setblocking(False)
        address = (upstream.host, upstream.port)
        # On loopback it is connected when the first call returns, and the second one says so. That
        # saves a round of the loop before the first event.
        if link_socket.connect_ex(address) and link_socket.connect_ex(address) not in _CONNECTED:
            await loop.sock_connect(link_socket, address)
    except BaseException:
        link_socket.close()
        raise
    await loop.create_connection(lambda: link, sock=link_socket)


class _Link(asyncio.Protocol):
    """One connection to a model server."""

    def __init__(self, request: Sequence[bytes], answer: Answer) -> None:
        loop = asyncio.get_running_loop()
        self.has_answer: asyncio.Future[bool] = loop.create_future()
        """True when the answer, or its loss, is in the hands of `answer`; False: try again."""
        self.transport: asyncio.Transport | None = None
        self._request = request
        self._answer = answer
        self._is_dropped = False
        self._connected_at = 0.0

    def drop(self) -> None:
        """Hang up; nothing is reported any more."""
        self._is_dropped = True
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._is_dropped:
            self.transport.abort()
            return
        self._connected_at = asyncio.get_running_loop().time()
        # A large body is not copied; a small one goes out with its head in one system call.
        size = sum(map(len, self._request))
        pieces = (b"".join(self._request),) if size <= _JOINED_BYTES else self._request
        for piece in pieces:
            self.transport.write(piece)
        self._request = ()

    def data_received(self, data: bytes) -> None:
        if self._is_dropped:
            return
        if not self.has_answer.done():
            self.has_answer.set_result(True)
        self._answer.feed(data)
        if self._answer.is_over:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_dropped:
            return
        log.debug("a server's connection is closed: %s", exc or "in good order")
        if not self.has_answer.done():
            age = asyncio.get_running_loop().time() - self._connected_at
            self.has_answer.set_result(age >= _EARLY_LOSS_S)
            if age < _EARLY_LOSS_S:
                return
        self._answer.end()
