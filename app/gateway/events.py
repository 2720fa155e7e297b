"""The event stream of an answer, cut at event boundaries."""

import re

import msgspec

from app.wire.reading import JsonReader

_EVENT = re.compile(rb".*?\n\r?\n", re.DOTALL)
_DONE = b"data: [DONE]"

# An event is about 350 bytes; a tool call comes whole and may be large.
MAX_EVENT_BYTES = 4 * 1024 * 1024


class Usage(msgspec.Struct, frozen=True):
    """Token counts of an answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw]
    usage: Usage | None = None


_chunk_reader: JsonReader[_Chunk] = JsonReader(_Chunk)


class EventTooLargeError(Exception):
    """The server sends an event without an end."""


class UnreadableEventError(Exception):
    """The server sends an event that is not what its API says."""


def renamings(model: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return what to replace by what, so that an answer has `model` for `default_model`."""
    # Quotes within a value are escaped, so these never match inside an answer's text.
    name = msgspec.json.encode(model)
    fields = (b'"model": ', b'"model":')
    return tuple((field + b'"default_model"', field + name) for field in fields)


class EventStream:
    """Passes on complete events only, with the client's name for the model.

    `model`: the name to show instead of `default_model`, None to leave it.
    `hides_usage`: takes out the event with the token counts, which the client did not ask for.
    """

    # Without a dictionary: it is touched for every event of a stream.
    __slots__ = (
        "_held", "_hides_usage", "_renaming", "_renamings", "is_done", "usage",
    )  # fmt: skip

    def __init__(self, *, model: str | None, hides_usage: bool) -> None:
        self.is_done = False
        """True after the event that ends a complete answer."""
        self.usage: Usage | None = None
        """The token counts, once they have come."""
        self._renamings = () if model is None else renamings(model)
        self._renaming: tuple[bytes, bytes] | None = None
        """The one of them that this server needs, which writes all its events in one way."""
        self._hides_usage = hides_usage
        self._held: bytes = b""

    def feed(self, data: bytes) -> bytes:
        """Return the events that are complete now; may be empty. Raises EventTooLargeError."""
        # Mostly it ends so, for a server writes event by event.
        if self._held or data[-3:] != b"}\n\n":
            data = self._take_complete(data)
        renaming = self._renaming or self._choose_renaming(data)
        if renaming is not None:
            data = data.replace(renaming[0], renaming[1])
        # Not `in`, which for bytes costs twice as much.
        return data if data.find(b'"usage"') < 0 else self._without_usage(data)

    def _choose_renaming(self, data: bytes) -> tuple[bytes, bytes] | None:
        self._renaming = next((pair for pair in self._renamings if pair[0] in data), None)
        return self._renaming

    def finish(self) -> bytes:
        """Return what is left at the end of the stream: its last event may lack the empty line."""
        held, self._held = self._held, b""
        return self.feed(_DONE + b"\n\n") if held.rstrip() == _DONE else b""

    def _take_complete(self, data: bytes) -> bytes:
        """Return the events that end in `data`, and hold the rest."""
        data = self._held + data
        end = _last_boundary(data)
        self._held = data[end:]
        if len(self._held) > MAX_EVENT_BYTES:
            raise EventTooLargeError
        data = data[:end]
        if b"[DONE]" in data[-32:] and data.rstrip().rpartition(b"\n")[2] == _DONE:
            self.is_done = True
        return data

    def _without_usage(self, events: bytes) -> bytes:
        kept: list[bytes] = []
        for event in _EVENT.findall(events):
            usage = _usage(event)
            self.usage = usage or self.usage
            if usage is None or not self._hides_usage:
                kept.append(event)
        return b"".join(kept)


def _last_boundary(data: bytes) -> int:
    # An empty line always ends an event: line ends within a value are escaped in JSON.
    plain = data.rfind(b"\n\n")
    with_cr = data.rfind(b"\n\r\n")
    return max(plain + 2 if plain >= 0 else 0, with_cr + 3 if with_cr >= 0 else 0)


def _usage(event: bytes) -> Usage | None:
    """Return the counts in the event that has nothing but them, None for any other event."""
    if not event.startswith(b"data:"):
        return None
    try:
        chunk = _chunk_reader.decode(event[5:])
    except msgspec.DecodeError:
        return None
    return None if chunk.choices else chunk.usage
