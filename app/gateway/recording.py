"""The texts of one request, kept only while the user wants that: its prompt and its answer."""

from typing import Any

import msgspec

from app.gateway.answer import ClientSide
from app.gateway.errors import RequestError
from app.wire.reading import JsonReader
from app.wire.requests import MAX_TEXT, RequestTexts


class _Message(msgspec.Struct):
    role: str = ""
    content: Any = None


class _Asked(msgspec.Struct):
    messages: list[_Message] = []
    prompt: Any = ""


class _Said(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    tool_calls: Any = None


class _Choice(msgspec.Struct):
    delta: _Said | None = None
    message: _Said | None = None
    text: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []


_asked_reader: JsonReader[_Asked] = JsonReader(_Asked)
_answer_reader: JsonReader[_Answer] = JsonReader(_Answer)


def prompt_text(body: bytes | bytearray) -> str:
    """Return the prompt in a request's body as text; pictures are left out."""
    try:
        asked = _asked_reader.decode(body)
    except msgspec.DecodeError:
        return ""
    parts = [f"{message.role}: {_content_text(message.content)}" for message in asked.messages]
    if asked.prompt:
        parts.append(_content_text(asked.prompt))
    # One more than is kept tells that it was cut; a prompt of 20 MB is not held.
    return "\n\n".join(parts)[: MAX_TEXT + 1]


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(map(_part_text, content))  # pyright: ignore[reportUnknownArgumentType] - JSON


def _part_text(part: Any) -> str:
    if isinstance(part, dict):
        return str(part.get("text") or f"[{part.get('type')}]")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - JSON
    return str(part)


class Recording:
    """Stands between an answer and the client, and keeps what the answer says."""

    def __init__(self, client: ClientSide, prompt: str) -> None:
        self._client = client
        self._prompt = prompt
        self._said: list[str] = []
        self._room = MAX_TEXT

    def texts(self, request_id: int) -> RequestTexts:
        """Return what has come until now, each text cut at its bound."""
        answer = "".join(self._said)
        is_cut = len(self._prompt) > MAX_TEXT or self._room < 0
        return RequestTexts(request_id, self._prompt[:MAX_TEXT], answer[:MAX_TEXT], is_cut)

    def send_whole(self, body: bytes) -> None:
        """Keep the text of a whole answer, and pass it on."""
        self._take(body)
        self._client.send_whole(body)

    def send_error(self, error: RequestError) -> None:
        """Pass on an error."""
        self._client.send_error(error)

    def start_events(self) -> None:
        """Pass on the beginning."""
        self._client.start_events()

    def flush(self) -> None:
        """Pass it on."""
        self._client.flush()

    def send_events(self, events: bytes) -> None:
        """Keep what the events say, and pass them on."""
        self._take_events(events)
        self._client.send_events(events)

    def end_events(self, events: bytes) -> None:
        """Keep what the last events say, and pass them on."""
        self._take_events(events)
        self._client.end_events(events)

    def cut_events(self, error: RequestError) -> None:
        """Pass on the error."""
        self._client.cut_events(error)

    def _take_events(self, events: bytes) -> None:
        for line in events.splitlines():
            if line.startswith(b"data:") and self._room >= 0:
                self._take(line[5:])

    def _take(self, data: bytes) -> None:
        try:
            choices = _answer_reader.decode(data).choices
        except msgspec.DecodeError:
            return
        for choice in choices:
            said = choice.delta or choice.message or _Said(content=choice.text)
            calls = msgspec.json.encode(said.tool_calls).decode() if said.tool_calls else ""
            for text in filter(None, (said.reasoning, said.content, calls)):
                self._said.append(text)
                self._room -= len(text)
