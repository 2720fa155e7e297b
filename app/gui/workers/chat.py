"""Asks a model through the gateway on a QThread and hands the answer over piece by piece."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from PySide6.QtCore import Signal

from app.client.stream import LineTooLongError, data_of
from app.gui.workers.thread import Worker
from app.wire.errors import AppError, ErrorAnswer, ErrorCode
from app.wire.reading import JsonReader, read_json
from app.wire.requests import tokens_per_s

_CONNECT_S = 5.0
_FIRST_S = 600.0
"""A long prompt, or a model that is loaded first, takes minutes; Cancel works all the time."""


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_reader: JsonReader[_Event] = JsonReader(_Event)


@dataclass(frozen=True)
class ChatRequest:
    """One question with what was said before."""

    url: str
    """Of the gateway, without `/v1`."""
    key: str | None
    model: str
    messages: tuple[tuple[str, str], ...]
    """Role and text, oldest first."""
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class ChatPiece:
    """Some more of the answer."""

    text: str
    reasoning: str


@dataclass(frozen=True)
class ChatEnd:
    """How an answer ended. A figure that is not known is None."""

    reason: str | None
    """`stop`, `length` and so on; None when it was cancelled."""
    ttft_s: float | None
    duration_s: float
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens after the first, by the time that they took."""
        return tokens_per_s(self.completion_tokens, self.ttft_s, self.duration_s)


class ChatWorker(Worker):
    """Streams one answer. `succeeded` carries a ChatEnd, also after `cancel`; `failed` an AppError.

    A failure after the first piece leaves what has come.
    """

    received = Signal(object)  # ChatPiece

    def __init__(self, request: ChatRequest) -> None:
        super().__init__("chat", self._ask)
        self._request = request
        self._cancelled = threading.Event()
        self._stream: Any = None
        self._first_at: float | None = None
        self._usage = _Usage()
        self._reason: str | None = None

    def cancel(self) -> None:
        """Hang up now; the server stops to generate. Called from the GUI thread."""
        self._cancelled.set()
        stream = self._stream
        if stream is not None and (connection := stream.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _ask(self) -> ChatEnd:
        import httpx2 as httpx

        begin = time.monotonic()
        try:
            self._read()
        except (httpx.HTTPError, OSError) as error:
            if not self._cancelled.is_set():
                raise _broken(error) from error
        end = time.monotonic()
        first = None if self._first_at is None else self._first_at - begin
        return ChatEnd(
            None if self._cancelled.is_set() else self._reason,
            first,
            end - begin,
            self._usage.prompt_tokens,
            self._usage.completion_tokens,
        )

    def _read(self) -> None:
        import httpx2 as httpx

        request = self._request
        headers = {"Authorization": f"Bearer {request.key}"} if request.key else {}
        timeout = httpx.Timeout(_FIRST_S, connect=_CONNECT_S)
        url = f"{request.url}/v1/chat/completions"
        # An engine on this computer must be reached whatever proxy the environment names.
        with (
            httpx.Client(headers=headers, timeout=timeout, trust_env=False) as client,
            client.stream("POST", url, json=_body(request)) as response,
        ):
            self._stream = response.extensions.get("network_stream")
            if self._cancelled.is_set():
                return
            if response.status_code != 200:
                response.read()
                raise _told(response.content)
            try:
                for data in data_of(response.iter_bytes()):
                    if self._cancelled.is_set():
                        return
                    self._take(data)
            except LineTooLongError as error:
                raise _unusable() from error

    def _take(self, data: bytes) -> None:
        """Take one event; what is none is left out, as is the word at the end."""
        try:
            event = _reader.decode(data)
        except msgspec.DecodeError:
            return
        if event.error is not msgspec.UNSET:
            raise _told(data)
        self._usage = event.usage or self._usage
        for choice in event.choices or ():
            delta = choice.delta or _Delta()
            self._reason = choice.finish_reason or self._reason
            piece = ChatPiece(delta.content or "", delta.reasoning or delta.reasoning_content or "")
            if piece.text or piece.reasoning:
                self._first_at = self._first_at or time.monotonic()
                self.received.emit(piece)


def _body(request: ChatRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": role, "content": text} for role, text in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    return body


def _told(data: bytes) -> AppError:
    """Return the error in an answer of the gateway."""
    try:
        error = read_json(data, ErrorAnswer).error
        return AppError(error.message, hint=error.hint)
    except msgspec.DecodeError:
        return _unusable()


def _unusable() -> AppError:
    return AppError("The gateway gave no usable answer.", code=ErrorCode.INTERNAL)


def _broken(error: Exception) -> AppError:
    import httpx2 as httpx

    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return AppError("Nothing answers at the gateway's address.", code=ErrorCode.ENGINE_GONE)
    if isinstance(error, httpx.ReadTimeout):
        return AppError("The server did not answer within 10 minutes.")
    return AppError("The connection broke before the answer was complete.", hint="Try it again.")
