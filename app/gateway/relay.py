"""One request for a completion, from the choice of its server to the end of its answer."""

import asyncio
import logging

from app.gateway.answer import Answer, ClientSide
from app.gateway.completion import Completion, Pieces, upstream_request
from app.gateway.directory import Served, Upstream
from app.gateway.errors import RETRY_AFTER_S, CountedError, RequestError
from app.gateway.exchange import Exchange
from app.gateway.gathering import Gathering
from app.gateway.head import RequestHead
from app.gateway.ledger import Caller
from app.gateway.recording import Recording
from app.gateway.routing import CHAT_PATH
from app.gateway.shared import Shared
from app.gateway.writer import AnswerWriter
from app.wire.errors import AppError, ErrorCode
from app.wire.requests import ErrorKind, RequestState

log = logging.getLogger("gateway")

# How often an answer is looked at within `ping_s`; after so many silent looks a stream is pinged.
_LOOKS = 4
_REFUSALS = (ErrorCode.BAD_REQUEST, ErrorCode.TOO_MANY_REQUESTS)


class Relay:
    """Has the request answered by `target` through `writer`. Raises RequestError if it is full."""

    def __init__(
        self,
        shared: Shared,
        request: RequestHead,
        asked: tuple[Completion, Pieces, str | None],
        writer: AnswerWriter,
        caller: Caller,
        target: Upstream | Served,
    ) -> None:
        self._shared = shared
        self._request = request
        self._completion, self._body, self._prompt = asked
        self._recording: Recording | None = None
        self._writer = writer
        self._exchange: Exchange | None = None
        self._starting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._silent_looks = 0
        self._is_paused = False
        name = target.name if isinstance(target, Served) else target.profile_name
        is_full = shared.ledger.open_requests(target.profile_id) >= shared.requests_per_server()
        self._meter = shared.ledger.begin(
            caller, server_id=target.profile_id, profile=name, model=target.model,
            is_stream=self._completion.is_stream,
        )  # fmt: skip
        log.debug("%s goes to %s", request.path, name)
        if is_full:
            error = _too_many(name)
            self._meter.end(RequestState.REFUSED, error.note, error.kind)
            raise error
        if isinstance(target, Served):
            self._starting = asyncio.create_task(self._start(target), name=f"start of {name}")
        else:
            self._send(target)

    def drop(self, *, error: str | None = None) -> None:
        """Hang up at once, in whatever phase; the writer hears nothing more.

        `error`: why, when it was not the client who hung up.
        """
        if error is None:
            self._end(RequestState.HUNG_UP)
        else:
            self._end(RequestState.FAILED, error, ErrorKind.OTHER)
        self._disarm()
        if self._starting is not None:
            self._starting.cancel()
        if self._exchange is not None:
            self._exchange.drop()

    def finish(self) -> None:
        """Take notice that the writer has sent the last byte."""
        self._disarm()
        error = self._writer.error
        if error is None:
            self._end(RequestState.DONE)
        else:
            is_refused = error.code in _REFUSALS
            state = RequestState.REFUSED if is_refused else RequestState.FAILED
            self._end(state, error.note, error.kind)

    def pause(self) -> None:
        """Take nothing more from the server until `resume`."""
        self._is_paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        """Take what the server sends again."""
        self._is_paused = False
        if self._exchange is not None:
            self._exchange.resume()

    def _end(
        self, state: RequestState, error: str | None = None, kind: ErrorKind | None = None
    ) -> None:
        self._meter.end(state, error, kind)
        # Asked anew: it may have been switched off in the meantime.
        keep = self._shared.keep_texts()
        if self._recording is not None and keep is not None:
            keep(self._recording.texts(self._meter.id))
            self._recording = None

    def _send(self, upstream: Upstream) -> None:
        completion, directory = self._completion, self._shared.directory
        is_chat = self._request.path == CHAT_PATH
        gathers = completion.is_gathered
        client: ClientSide = self._writer
        if self._prompt is not None:
            client = self._recording = Recording(client, self._prompt)
        if gathers:
            client = Gathering(client, is_chat=is_chat)
        answer = Answer(
            client,
            server=upstream.profile_name,
            model=completion.model or upstream.profile_name,
            hides_usage=completion.is_stream and not completion.wants_usage,
            meter=self._meter,
        )
        # A prompt may have 20 MB: only the exchange keeps it, until the answer begins.
        body, self._body = self._body, []
        self._exchange = Exchange(
            client,
            upstream,
            upstream_request(self._request, body, upstream),
            answer,
            lambda: upstream in directory.ready(),
        )
        if not (completion.is_stream or gathers):
            # Nothing comes of such an answer before its end.
            self._meter.taken()
        self._arm()

    async def _start(self, served: Served) -> None:
        try:
            self._send(await self._started(served))
        except AppError as error:
            self._writer.send_error(_not_started(error))
        except Exception:  # boundary of a request: the client must get an answer
            log.exception("request failed")
            self._writer.send_error(RequestError(ErrorCode.INTERNAL, "The request failed."))

    async def _started(self, served: Served) -> Upstream:
        """Wait for the server; a client of a stream hears of it, so that it does not give up."""
        work = asyncio.ensure_future(self._shared.directory.ensure(served.profile_id))
        try:
            while True:
                await asyncio.wait((work,), timeout=self._shared.limits.starting_s)
                if work.done():
                    return work.result()
                if self._completion.is_stream:
                    # Not earlier: until here a failure still gets a status of its own.
                    self._writer.start_events()
                    self._writer.send_events(b": starting\n\n")
        finally:
            work.cancel()

    def _look(self) -> None:
        """Look for what no event tells: a lost server, and silence, in which a client is pinged."""
        writer = self._writer
        if self._exchange is not None:
            self._exchange.look()
        if not writer.has_events or self._is_paused or not writer.is_silent:
            self._silent_looks = 0
        else:
            self._silent_looks += 1
            if self._silent_looks == _LOOKS:
                # The events of a writer are complete, so this never falls into one.
                writer.send_events(b": ping\n\n")
                self._silent_looks = 0
        writer.is_silent = True
        self._arm()

    def _arm(self) -> None:
        delay_s = self._shared.limits.ping_s / _LOOKS
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _too_many(name: str) -> RequestError:
    return CountedError(
        ErrorCode.TOO_MANY_REQUESTS,
        f"{name} has too many open requests.",
        hint="Try again later, or raise the limit in the settings.",
        headers=(("Retry-After", str(RETRY_AFTER_S)),),
    )


def _not_started(error: AppError) -> RequestError:
    return RequestError(
        ErrorCode.SERVER_NOT_READY,
        error.message,
        hint=error.hint,
        headers=(("Retry-After", str(RETRY_AFTER_S)),),
    ).counted_as(ErrorKind.START_FAILED)
