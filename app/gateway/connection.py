"""A client's connection: requests in, answers out, in order."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from app import gate
from app.gateway.completion import read_completion
from app.gateway.errors import RETRY_AFTER_S, CountedError, RequestError, malformed
from app.gateway.head import MAX_BODY_BYTES, MAX_HEAD_BYTES, RequestHead
from app.gateway.ledger import Caller
from app.gateway.reader import RequestReader
from app.gateway.recording import prompt_text
from app.gateway.relay import Relay
from app.gateway.routing import (
    CHAT_PATH,
    COMPLETION_PATHS,
    check_form,
    check_route,
    choose,
    choose_only,
    read_answer,
)
from app.gateway.shared import Shared
from app.gateway.writer import AnswerWriter
from app.wire.errors import ErrorCode
from app.wire.requests import ErrorKind

log = logging.getLogger("gateway")

_REFUSALS = {
    401: (ErrorKind.UNAUTHORIZED, "It came without a valid API key."),
    403: (ErrorKind.FORBIDDEN, "Its host or its origin is not allowed."),
    429: (ErrorKind.UNAUTHORIZED, "Too many invalid API keys came from this address."),
}

# What may wait for a slow client before its server is made to wait.
_HIGH_WATER_BYTES = 64 * 1024
# Requests sent ahead of an answer: at most one of full size. Reading never stops, or a hang-up
# would not be seen.
_MAX_AHEAD_BYTES = MAX_HEAD_BYTES + MAX_BODY_BYTES


class Connection(asyncio.Protocol):
    """One client; a member of `connections` while it is open."""

    _transport: asyncio.Transport

    def __init__(
        self, shared: Shared, connections: "set[Connection]", *, only: str | None = None
    ) -> None:
        self.only = only
        """The one profile that this connection leads to, None for all."""
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection is closed."""
        self._shared = shared
        self._limits = shared.limits
        self._address = ""
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._reader = RequestReader()
        self._request: RequestHead | None = None
        """What is read or answered now; None where its head could not be read."""
        self._writer: AnswerWriter | None = None
        """Set while a relay is under way."""
        self._relay: Relay | None = None
        self._is_paused = False
        self._is_closing = False

    def shut_down(self) -> None:
        """Cut the answer that is under way, with the reason, and close."""
        writer = self._writer
        error = RequestError(ErrorCode.ENGINE_GONE, "The engine is shutting down.")
        if self._drop_relay(error=error.message) and writer is not None:
            writer.give_up(error)
        else:
            self._is_closing = True
            self._transport.close()

    def retire(self) -> None:
        """Close as soon as no answer is under way."""
        if self._writer is None:
            self._is_closing = True
            self._transport.close()
        else:
            self._writer.keeps_alive = False

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        # A client that is gone already has no name.
        self._address = (self._transport.get_extra_info("peername") or ("",))[0]
        is_full = len(self._connections) >= self._limits.connections
        self._connections.add(self)
        if is_full:
            log.info("refused a connection: there are %d", self._limits.connections)
            self._refuse_stranger(_too_many_connections())
        else:
            self._arm(self._limits.head_s, self._on_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything that belongs to this client."""
        log.debug("a client's connection is closed: %s", exc or "in good order")
        self._is_closing = True
        self._connections.discard(self)
        self._disarm()
        self._drop_relay()
        self.lost.set_result(None)

    def eof_received(self) -> None:
        """Hang up on the server: who hangs up in the middle of an answer reads no more of it."""
        if self._drop_relay():
            self._transport.abort()

    def pause_writing(self) -> None:
        """Make the server wait for a client that reads slowly."""
        self._is_paused = True
        if self._relay is not None:
            self._relay.pause()

    def resume_writing(self) -> None:
        """Go on where the client's slowness stopped the work."""
        self._is_paused = False
        if self._relay is not None:
            self._relay.resume()
        else:
            self._advance()

    def data_received(self, data: bytes) -> None:
        """Read requests; those that are sent ahead of an answer wait."""
        if self._is_closing:
            return
        begins = self._reader.is_between and self._relay is None
        self._reader.feed(data)
        is_held = self._relay is not None or self._is_paused
        if is_held and self._reader.waiting > _MAX_AHEAD_BYTES:
            log.warning("a client sent too much ahead of its answer")
            self._transport.abort()
            return
        self._advance()
        # Most heads come whole; a timer for each of them would be for nothing.
        if begins and self._is_in_head:
            self._arm(self._limits.head_s, self._on_late)

    @property
    def _is_in_head(self) -> bool:
        """True when the rest of a head is waited for."""
        is_idle = self._relay is None and not self._is_closing
        return is_idle and not (self._reader.is_in_body or self._reader.is_between)

    def _advance(self) -> None:
        try:
            while not (self._is_closing or self._is_paused or self._relay) and self._step():
                pass
        except RequestError as error:
            self._refuse_stranger(error)

    def _refuse_stranger(self, error: RequestError) -> None:
        caller = Caller(self._address)
        self._shared.ledger.refuse(caller, error.kind, error.note, is_stranger=True)
        self._last_writer(None).send_error(error)

    def _step(self) -> bool:
        """Take one request and answer it; False when more of it must come first."""
        is_new = not self._reader.is_in_body
        request = self._next_request() if is_new else self._request
        body = None if request is None else self._reader.take_body()
        if request is None:
            return False
        if body is None:
            if is_new:
                self._await_body(request)
            return False
        self._disarm()
        self._handle(request, body)
        return True

    def _next_request(self) -> RequestHead | None:
        """Return the next request that passed the gate; its body is still to come."""
        request = self._request = self._reader.take_head()
        if request is None:
            return None
        refusal = gate.admit(
            self._shared.policy,
            self._shared.throttle,
            self._address,
            method=request.method,
            target=request.target,
            headers=request.headers,
        )
        if refusal is not None:
            if not refusal.is_wrong_key and refusal.status >= 400:
                log.info("refused a request with %d", refusal.status)
            if (told := _REFUSALS.get(refusal.status)) is not None:
                self._shared.ledger.refuse(Caller(self._address), *told, is_stranger=True)
            if request.has_body:
                self._last_writer(request).send_refusal(refusal)
            else:
                self._reader.take_body()
                self._writer_for(request).send_refusal(refusal)
            return None
        return request if self._is_taken(request) else None

    def _is_taken(self, request: RequestHead) -> bool:
        """Answer what its head already shows to be wrong, before its body is read."""
        try:
            check_route(request.method, request.path)
            if request.path in COMPLETION_PATHS:
                check_form(request.headers)
        except RequestError as error:
            if request.path in COMPLETION_PATHS:
                self._refuse(request, error)
            if request.has_body:
                self._last_writer(request).send_error(error)
            else:
                self._reader.take_body()
                self._writer_for(request).send_error(error)
            return False
        return True

    def _refuse(self, request: RequestHead, error: RequestError) -> None:
        caller = self._caller(request)
        self._shared.ledger.refuse(caller, error.kind, error.note, is_stranger=False)

    def _await_body(self, request: RequestHead) -> None:
        self._watch_body(self._reader.received)
        if request.expects_continue and not self._reader.waiting:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _handle(self, request: RequestHead, body: bytearray) -> None:
        writer = self._writer_for(request)
        try:
            if request.path in COMPLETION_PATHS:
                self._relay = self._relay_of(request, body, writer)
            else:
                writer.send_whole(read_answer(self._shared.directory, request.path, self.only))
        except RequestError as error:
            if request.path in COMPLETION_PATHS and not isinstance(error, CountedError):
                self._refuse(request, error)
            writer.send_error(error)
        except Exception:  # boundary of a request: the client must get an answer
            log.exception("request failed")
            writer.send_error(RequestError(ErrorCode.INTERNAL, "The request failed."))

    def _relay_of(self, request: RequestHead, body: bytearray, writer: AnswerWriter) -> Relay:
        directory = self._shared.directory
        completion, pieces = read_completion(body, is_chat=request.path == CHAT_PATH)
        prompt = None if self._shared.keep_texts() is None else prompt_text(body)
        asked = (completion, pieces, prompt)
        target = (
            choose(directory, completion.model)
            if self.only is None
            else choose_only(directory, self.only)
        )
        relay = Relay(self._shared, request, asked, writer, self._caller(request), target)
        self._writer = writer
        return relay

    def _caller(self, request: RequestHead) -> Caller:
        return Caller(self._address, gate.key_name(self._shared.policy, request.headers))

    def _drop_relay(self, *, error: str | None = None) -> bool:
        """Hang up on the server; False when there was nothing under way.

        `error`: why, when it was not the client who hung up.
        """
        relay, self._relay, self._writer = self._relay, None, None
        if relay is None:
            return False
        relay.drop(error=error)
        return True

    def _on_end(self, keeps_alive: bool) -> None:
        relay, self._relay, self._writer = self._relay, None, None
        if relay is not None:
            relay.finish()
        if not keeps_alive:
            self._is_closing = True
            self._disarm()
            self._transport.close()
            return
        is_between = self._reader.is_between
        self._arm(self._limits.idle_s if is_between else self._limits.head_s, self._on_late)
        if not is_between:
            self._loop.call_soon(self._advance)

    def _writer_for(self, request: RequestHead) -> AnswerWriter:
        return AnswerWriter(self._transport, request, self._on_end, headers=self._cors(request))

    def _cors(self, request: RequestHead | None) -> tuple[tuple[str, str], ...]:
        if request is None:
            return ()
        return gate.cors_headers(self._shared.policy, request.headers)

    def _last_writer(self, request: RequestHead | None) -> AnswerWriter:
        """Return the writer for a request whose rest is not read."""
        headers = self._cors(request)
        writer = AnswerWriter(self._transport, request, lambda _: self._linger(), headers=headers)
        writer.keeps_alive = False
        return writer

    def _linger(self) -> None:
        # Closing a socket with unread bytes resets it, and the client might never see the answer.
        self._is_closing = True
        try:
            self._transport.write_eof()
        except OSError as error:
            log.debug("a client left before its answer: %s", error)
            self._transport.abort()
            return
        self._arm(self._limits.linger_s, self._transport.abort)

    def _on_late(self) -> None:
        if self._reader.is_between:
            self._is_closing = True
            self._transport.close()
        else:
            error = malformed("The request did not come in time.", http_status=408)
            self._refuse_stranger(error.counted_as(ErrorKind.TIMEOUT))

    def _watch_body(self, received_before: int) -> None:
        def look() -> None:
            if self._reader.received - received_before < self._limits.body_bytes_per_window:
                self._on_late()
            else:
                self._watch_body(self._reader.received)

        self._arm(self._limits.body_window_s, look)

    def _arm(self, delay_s: float, action: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self._loop.call_later(delay_s, action)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _too_many_connections() -> RequestError:
    return RequestError(
        ErrorCode.SERVER_NOT_READY,
        "There are too many connections.",
        hint="Close some, or try again later.",
        headers=(("Retry-After", str(RETRY_AFTER_S)),),
    )
