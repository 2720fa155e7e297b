"""One request on its way through a model server: connecting, trying again, hanging up."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Sequence

from app.gateway.answer import Answer, ClientSide
from app.gateway.directory import Upstream
from app.gateway.errors import RequestError, server_failed
from app.wire.errors import ErrorCode
from app.wire.requests import ErrorKind

log = logging.getLogger("gateway")

# http.server's listen queue holds five; on a Mac what a burst has above that is reset. A
# completion has no side effect, so it may be sent again while no byte of an answer has come.
_RETRY_AFTER_S = (0.05, 0.2, 0.5)
_CONNECT_TIMEOUT_S = 5.0
_JOINED_BYTES = 64 * 1024
# Below what malloc may take from the system anew each time: that costs 12 us.
_PIECE_BYTES = 64 * 1024
# A full queue resets at once; a server that was lost later would be lost again over this request.
_EARLY_LOSS_S = 1.0


class Exchange:
    """Sends a request to its server and feeds the answer; reports trouble to the client's side.

    `is_ready` says whether the server is still there, so that a dead one is not tried again.
    It works on the bare socket: a transport would take three more rounds of the loop before the
    request goes out.
    """

    # Without a dictionary: it is touched for every event of a stream.
    __slots__ = (
        "_answer", "_client", "_delays", "_is_paused", "_is_ready", "_is_sending", "_loop",
        "_request", "_sent_at", "_socket", "_timer", "_unsent", "_upstream",
    )  # fmt: skip

    def __init__(
        self,
        client: ClientSide,
        upstream: Upstream,
        request: Sequence[bytes | memoryview],
        answer: Answer,
        is_ready: Callable[[], bool],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._upstream = upstream
        self._request = request
        """Empty from the first byte of the answer on: a prompt of 20 MB is not kept."""
        self._answer = answer
        self._is_ready = is_ready
        self._delays = iter(_RETRY_AFTER_S)
        self._socket: socket.socket | None = None
        self._unsent: list[bytes | memoryview] = []
        self._is_sending = False
        """True while the loop says when more can be sent."""
        self._sent_at: float | None = None
        """When the connection took its first bytes, in the loop's time."""
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._try()

    def drop(self) -> None:
        """Hang up at once, in whatever phase; the client's side hears nothing more."""
        self._disarm()
        link, self._socket = self._socket, None
        if link is None:
            return
        self._loop.remove_reader(link.fileno())
        if self._is_sending:
            self._loop.remove_writer(link.fileno())
        link.close()
        self._unsent = []
        self._is_sending = False
        self._sent_at = None

    def look(self) -> None:
        """Notice a loss that the loop did not tell; to be called now and then."""
        link = self._socket
        if link is not None and link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            # When data and a reset come together, uvloop on Linux calls for the data and then never
            # again.
            self._loop.call_soon(self._drain, link)

    def pause(self) -> None:
        """Take nothing more from the server until `resume`."""
        self._is_paused = True
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())

    def resume(self) -> None:
        """Take what the server sends again."""
        self._is_paused = False
        if self._socket is not None and self._sent_at is not None:
            self._loop.add_reader(self._socket.fileno(), self._read)

    def _try(self) -> None:
        """Connect, and send what the connection takes."""
        # A large body is not copied; a small one goes out with its head in one system call.
        is_small = sum(map(len, self._request)) <= _JOINED_BYTES
        self._unsent = [b"".join(self._request)] if is_small else list(self._request)
        family = socket.AF_INET6 if ":" in self._upstream.host else socket.AF_INET
        try:
            link = self._socket = socket.socket(family, socket.SOCK_STREAM)
            link.setblocking(False)
            failure = link.connect_ex((self._upstream.host, self._upstream.port))
        except OSError as error:
            self._lose(error)
            return
        if failure in (0, errno.EINPROGRESS):
            # On loopback it is connected by now, so nothing is to be waited for.
            self._send(link)
        else:
            self._lose(OSError(failure, os.strerror(failure)))

    def _send(self, link: socket.socket) -> None:
        try:
            while self._unsent:
                piece = self._unsent[0]
                sent = link.send(piece)
                if self._sent_at is None:
                    self._begin_to_read(link)
                if sent == len(piece):
                    del self._unsent[0]
                else:
                    self._unsent[0] = memoryview(piece)[sent:]
        except OSError as error:
            if error.errno == errno.EAGAIN or self._is_connecting(error):
                self._wait_to_send(link)
                return
            if self._sent_at is None:
                self._lose(error)
                return
            # The server takes no more, but may have said why.
            self._unsent = []
            self._loop.call_soon(self._drain, link)
        if self._is_sending:
            self._is_sending = False
            self._loop.remove_writer(link.fileno())

    def _is_connecting(self, error: OSError) -> bool:
        # macOS says so before the connection is made; once the loop has called, it is a failure.
        return error.errno == errno.ENOTCONN and not self._is_sending

    def _begin_to_read(self, link: socket.socket) -> None:
        self._sent_at = self._loop.time()
        self._disarm()
        if not self._is_paused:
            # By number: asyncio's selector would write the socket into a message that nobody reads.
            self._loop.add_reader(link.fileno(), self._read)

    def _wait_to_send(self, link: socket.socket) -> None:
        if self._is_sending:
            return
        self._is_sending = True
        self._loop.add_writer(link.fileno(), self._send, link)
        if self._sent_at is None:
            self._timer = self._loop.call_later(_CONNECT_TIMEOUT_S, self._lose, None)
        else:
            # Else the end of a large body would wait until the rest is acknowledged.
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _read(self) -> bool:
        """Take one piece; False when there was none."""
        link = self._socket
        if link is None:
            return False
        try:
            data = link.recv(_PIECE_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._lose(error)
            return False
        if not data:
            self._lose(None)
            return False
        is_first = self._request
        if is_first:
            self._request = ()
        try:
            self._answer.feed(data)
        except Exception:  # boundary of a request: the client must get an answer
            log.exception("request failed")
            self._fail()
            return False
        if self._answer.is_over:
            self.drop()
        elif is_first:
            # Who refuses a request may reset it at once. Not at every event: that is a twelfth of
            # what one costs.
            self.look()
        return True

    def _drain(self, link: socket.socket) -> None:
        """Read what a server said before it was lost, piece by piece to its end."""
        if self._socket is link and not self._is_paused and self._read():
            self._loop.call_soon(self._drain, link)

    def _lose(self, error: OSError | None) -> None:
        """Try again later, or tell that the answer ends here."""
        log.debug("%s is not connected: %s", self._upstream.profile_name, error or "no more comes")
        sent_at = self._sent_at
        self.drop()
        is_early = sent_at is None or self._loop.time() - sent_at < _EARLY_LOSS_S
        if self._request and is_early:
            delay = next(self._delays, None)
            if delay is None:
                self._give_up()
            else:
                self._timer = self._loop.call_later(delay, self._try_again)
            return
        try:
            self._answer.end()
        except Exception:  # boundary of a request: the client must get an answer
            log.exception("request failed")
            self._fail()

    def _try_again(self) -> None:
        if self._is_ready():
            log.debug("trying %s again", self._upstream.profile_name)
            self._try()
        else:
            self._give_up()

    def _give_up(self) -> None:
        name = self._upstream.profile_name
        error = server_failed(f"The server {name} cannot be reached.", ErrorKind.UNREACHABLE)
        self._client.send_error(error)

    def _fail(self) -> None:
        self.drop()
        self._client.send_error(RequestError(ErrorCode.INTERNAL, "The request failed."))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
