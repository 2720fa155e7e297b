"""An answer in one piece, put together from the events that its server streams.

mlx_lm.server notices a hang-up only when it writes: without a stream it would generate an answer
to its end for nobody. Fields as in its handler `generate_response`, version 0.32.2.
"""

from typing import Any

import msgspec

from app.gateway.answer import ClientSide
from app.gateway.errors import RequestError
from app.gateway.events import EventTooLargeError, UnreadableEventError
from app.wire.reading import JsonReader

_MAX_TEXT = 64 * 1024 * 1024


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    tool_calls: list[dict[str, Any]] = msgspec.field(default_factory=list[dict[str, Any]])


class _Choice(msgspec.Struct):
    index: int = 0
    finish_reason: str | None = None
    delta: _Delta | None = None
    text: str | None = None


class _Event(msgspec.Struct):
    id: msgspec.Raw
    model: msgspec.Raw
    created: msgspec.Raw
    choices: list[_Choice]
    system_fingerprint: msgspec.Raw = msgspec.Raw(b"null")
    usage: msgspec.Raw = msgspec.Raw(b"null")


_Usage = dict[str, Any] | None
_reader: JsonReader[_Event] = JsonReader(_Event)
_usage_reader: JsonReader[_Usage] = JsonReader(_Usage)


class Gathering:
    """Takes events in place of the client, who then gets one document."""

    def __init__(self, client: ClientSide, *, is_chat: bool) -> None:
        self._client = client
        self._is_chat = is_chat
        self._first: _Event | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tool_calls: list[dict[str, Any]] = []
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._size = 0

    def send_whole(self, body: bytes) -> None:
        """Pass on the answer of a server that does not stream."""
        self._client.send_whole(body)

    def send_error(self, error: RequestError) -> None:
        """Pass on an error."""
        self._client.send_error(error)

    def start_events(self) -> None:
        """Nothing is sent before the end."""

    def flush(self) -> None:
        """Nothing is sent before the end."""

    def send_events(self, events: bytes) -> None:
        """Keep what the events say. Raises EventTooLargeError and UnreadableEventError."""
        self._size += len(events)
        if self._size > _MAX_TEXT:
            raise EventTooLargeError
        for line in events.splitlines():
            data = line[5:].strip() if line.startswith(b"data:") else b""
            if data and data != b"[DONE]":
                self._take(data)

    def end_events(self, events: bytes) -> None:
        """Send the whole answer."""
        if events:
            self.send_events(events)
        self._client.send_whole(msgspec.json.encode(self._document()))

    def cut_events(self, error: RequestError) -> None:
        """Send the error: half an answer is none."""
        self._client.send_error(error)

    def _take(self, data: bytes) -> None:
        try:
            event = _reader.decode(data)
            self._usage = _usage_reader.decode(event.usage) or self._usage
        except msgspec.DecodeError as error:
            raise UnreadableEventError from error
        self._first = self._first or event
        for choice in event.choices:
            delta = choice.delta or _Delta(content=choice.text)
            self._text.append(delta.content or "")
            self._reasoning.append(delta.reasoning or "")
            self._tool_calls += delta.tool_calls
            self._finish_reason = choice.finish_reason or self._finish_reason

    def _document(self) -> dict[str, Any]:
        first = self._first
        if first is None:
            raise UnreadableEventError
        choice: dict[str, Any] = {"index": 0, "finish_reason": self._finish_reason}
        text = "".join(self._text)
        if self._is_chat:
            choice["message"] = self._message(text)
        else:
            choice["text"] = text
        document: dict[str, Any] = {
            "id": first.id,
            "system_fingerprint": first.system_fingerprint,
            "object": "chat.completion" if self._is_chat else "text_completion",
            "model": first.model,
            "created": first.created,
            "choices": [choice],
        }
        if self._usage is not None:
            document["usage"] = self._usage
        return document

    def _message(self, text: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if reasoning := "".join(self._reasoning):
            message["reasoning"] = reasoning
        # Only pieces of a stream are numbered.
        calls = [{k: v for k, v in call.items() if k != "index"} for call in self._tool_calls]
        if calls:
            message["tool_calls"] = calls
        return message
