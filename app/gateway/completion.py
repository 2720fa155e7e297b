"""The body of a completion request: what is read in it, what is changed in it."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from app.gateway.directory import Upstream
from app.gateway.errors import malformed, wrong_field
from app.gateway.head import RequestHead

# Everything else stays here: keys, cookies, origins, hop-by-hop headers.
_PASSED_HEADERS = frozenset({b"accept", b"user-agent", b"x-request-id"})

_MESSAGES = "a list of objects, each with a 'role' and a 'content' of text, parts or null"


class _Function(msgspec.Struct):
    arguments: str | dict[str, Any] | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    role: str
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: list[_ToolCall] | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None


_messages = msgspec.json.Decoder(list[_Message])
_parts = msgspec.json.Decoder(list[_Part])
_texts = msgspec.json.Decoder(list[msgspec.Raw])

_factor = (
    msgspec.json.Decoder(Annotated[float, msgspec.Meta(ge=0, le=1e6)]),
    "a number from 0 to 1,000,000",
)
_penalty = (
    msgspec.json.Decoder(Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]),
    "a number from -1,000,000 to 1,000,000",
)

# A value of another type or beyond ends the generation thread of mlx_lm.server, and so the server.
_SMALL_FIELDS: dict[str, tuple[msgspec.json.Decoder[Any], str]] = {
    "model": (msgspec.json.Decoder(str), "a string"),
    "stop": (msgspec.json.Decoder(str | list[str]), "text, or a list of texts"),
    "seed": (
        msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]),
        "a whole number from 0 to 2^63 - 1",
    ),
    "xtc_threshold": (
        msgspec.json.Decoder(Annotated[float, msgspec.Meta(ge=0, le=0.5)]),
        "a number from 0 to 0.5",
    ),
    "temperature": _factor,
    "repetition_penalty": _factor,
    "presence_penalty": _penalty,
    "frequency_penalty": _penalty,
}

Pieces = list[bytes | memoryview]
"""One text, to be sent in order."""

# A value from this size on is not copied into the server's body, but sent from where it is.
_LARGE_BYTES = 64 * 1024

# Values stay raw bytes: a prompt of 20 MB is checked in 5 ms, and comes out as it went in.
_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Completion:
    """What the gateway itself needs to know of a request for a completion."""

    model: str | None
    """The name that the client sent."""
    is_stream: bool
    wants_usage: bool
    """True when the client asked for the event with the token counts."""
    is_gathered: bool
    """True when an answer in one piece may be streamed by the server; then a hang-up stops it."""


def read_completion(body: bytearray, *, is_chat: bool) -> tuple[Completion, Pieces]:
    """Return the request in `body`, and the body for its server in pieces, which share its memory.

    Raises RequestError for anything but a JSON object with a prompt of the right shape.
    """
    try:
        fields = _decoder.decode(body)
        is_stream = _value(fields, "stream") is True
        is_gathered = _is_whole(fields) and not _wants_logprobs(fields)
        options = _stream_options(fields)
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed("The request's body is not a JSON object.") from error
    for name, (decoder, what) in _SMALL_FIELDS.items():
        value = fields.get(name, b"null")
        try:
            if _begin(value) != b"n":
                decoder.decode(value)
        except msgspec.DecodeError as error:
            raise wrong_field(name, what) from error
    model = _value(fields, "model")
    if is_chat:
        _check_messages(fields)
    else:
        _check_prompt(fields)
    wants_usage = options.get("include_usage") is True
    completion = Completion(model, is_stream, wants_usage, is_gathered)
    return completion, _upstream_body(fields, completion, options)


def upstream_request(head: RequestHead, body: Pieces, upstream: Upstream) -> Pieces:
    """Return the request for the server, built anew: head and body.

    HTTP/1.0, because the server answers so in any case: the answer ends with the connection.
    """
    lines = [
        f"POST {head.path} HTTP/1.0",
        f"Host: {upstream.host}:{upstream.port}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {sum(map(len, body))}",
    ]
    if upstream.token:
        lines.append(f"X-Upstream-Token: {upstream.token}")
    fields = [b"%b: %b" % field for field in head.headers if field[0] in _PASSED_HEADERS]
    return [b"\r\n".join(["\r\n".join(lines).encode(), *fields, b"", b""]), *body]


def _upstream_body(
    fields: dict[str, msgspec.Raw], completion: Completion, options: dict[str, Any]
) -> Pieces:
    # mlx_lm.server loads, or downloads, any other model that it is asked for; `default_model` is
    # the only name that keeps a profile's adapter and draft model.
    fields["model"] = msgspec.Raw(b'"default_model"')
    fields.pop("adapters", None)
    fields.pop("draft_model", None)
    if completion.is_gathered:
        fields["stream"] = msgspec.Raw(b"true")
        fields["stream_options"] = msgspec.Raw(b'{"include_usage":true}')
    elif completion.is_stream:
        # Without include_usage in stream_options the server drops the connection in mid-answer.
        fields["stream_options"] = msgspec.Raw(
            msgspec.json.encode({**options, "include_usage": True})
        )
    large = {
        name: view for name, raw in fields.items() if len(view := memoryview(raw)) >= _LARGE_BYTES
    }
    small = msgspec.json.encode({name: raw for name, raw in fields.items() if name not in large})
    if not large:
        return [small]
    # There is always a small one, the model.
    pieces: Pieces = [small[:-1]]
    for name, view in large.items():
        pieces += [b"," + msgspec.json.encode(name) + b":", view]
    return [*pieces, b"}"]


def _check_messages(fields: dict[str, msgspec.Raw]) -> None:
    """Refuse what mlx_lm.server would trip over, and tell in the words of Python."""
    try:
        messages = _messages.decode(fields.get("messages", b""))
        is_right = bool(messages) and all(_is_content(m.content) for m in messages)
    except (msgspec.DecodeError, RecursionError):
        is_right = False
    if not is_right:
        raise wrong_field("messages", _MESSAGES)


def _is_content(raw: msgspec.Raw) -> bool:
    if _begin(raw) == b"[":
        return all(part.text is not None or part.type != "text" for part in _parts.decode(raw))
    return _begin(raw) in (b'"', b"n")


def _check_prompt(fields: dict[str, msgspec.Raw]) -> None:
    """Leave one text. A list of texts ends the generation thread of mlx_lm.server."""
    prompt = fields.get("prompt", msgspec.Raw(b""))
    try:
        if _begin(prompt) == b"[":
            (prompt,) = _texts.decode(prompt)
    except (msgspec.DecodeError, ValueError):
        prompt = msgspec.Raw(b"")
    if _begin(prompt) != b'"':
        raise wrong_field("prompt", "one text, or a list with one text")
    fields["prompt"] = prompt


def _begin(raw: msgspec.Raw | bytes) -> bytes:
    """Return the first byte, which tells the type of a JSON value."""
    return bytes(memoryview(raw)[:1])


def _is_whole(fields: dict[str, msgspec.Raw]) -> bool:
    # Any other value is for the server to refuse.
    return "stream" not in fields or _value(fields, "stream") is False


def _wants_logprobs(fields: dict[str, msgspec.Raw]) -> bool:
    # mlx_lm.server has log probabilities only in answers of one piece.
    return any(_value(fields, name) for name in ("logprobs", "top_logprobs"))


def _value(fields: dict[str, msgspec.Raw], name: str) -> Any:
    raw = fields.get(name)
    return None if raw is None else msgspec.json.decode(raw)


def _stream_options(fields: dict[str, msgspec.Raw]) -> dict[str, Any]:
    try:
        return msgspec.json.decode(fields.get("stream_options", b"{}"), type=dict[str, Any])
    except msgspec.ValidationError:
        return {}
