"""What is remembered of requests that went through the gateway: figures, and texts if wanted."""

from enum import StrEnum

import msgspec


class RequestState(StrEnum):
    """How far a request has come, or how it ended."""

    QUEUED = "queued"
    """It waits for its server's start, or in its queue."""
    WAITING = "waiting"
    """Its prompt is read; there is no token yet."""
    ANSWERING = "answering"
    DONE = "done"
    FAILED = "failed"
    """The server died, gave no usable answer or could not be started."""
    REFUSED = "refused"
    """The request itself does not work, or its server has too many."""
    HUNG_UP = "hung_up"
    """The client did not wait for the end of the answer."""

    @property
    def is_open(self) -> bool:
        """True while an answer is owed."""
        return self in (RequestState.QUEUED, RequestState.WAITING, RequestState.ANSWERING)


class ErrorKind(StrEnum):
    """Why a request failed or was refused."""

    DIED = "died"
    """The server stopped before or amid its answer."""
    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server_error"
    """The server answered with an error, or with what cannot be read."""
    START_FAILED = "start_failed"
    BUSY = "busy"
    """There are too many requests, or the model is not running: 429 or 503."""
    TIMEOUT = "timeout"
    """The client did not send its request in time."""
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    """Host or origin are not allowed."""
    UNKNOWN_MODEL = "unknown_model"
    OTHER = "other"


class RequestRecord(msgspec.Struct, frozen=True):
    """One request for a completion. A figure that is not known is None."""

    at: float
    """When it came, seconds since the epoch."""
    client: str
    """The client's address, without its port."""
    server: str
    """The profile's id; empty when the request was refused before there was one."""
    profile: str
    """The profile's name at that time."""
    model: str
    state: RequestState
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    ttft_s: float | None = None
    """From the request to the first token."""
    duration_s: float | None = None
    """From the request to the end of the answer; None while it is open."""
    tokens_per_s: float | None = None
    """Generated tokens after the first, by the time that they took; None for too short a time."""
    id: int = 0
    """Grows with every request, also over restarts of the engine."""
    is_stream: bool = False
    """True when the client asked for the answer piece by piece."""
    error: str | None = None
    """Why it failed or was refused, in a sentence of our own that quotes nothing of it."""
    prompt_read: float | None = None
    """How much of its prompt is read, 0 to 1; only while it waits for the first token."""
    kind: ErrorKind | None = None
    """The kind of `error`."""
    key: str = ""
    """The name of the client's key, empty for any key without one."""


class RequestTexts(msgspec.Struct, frozen=True):
    """What was asked and answered in one request; kept only while `record_texts` is on."""

    id: int
    prompt: str
    answer: str
    """As far as it came: the reasoning, the text, and calls of tools as JSON."""
    is_cut: bool = False
    """True when one of them was longer than MAX_TEXT."""


MAX_TEXT = 32_768
"""The most characters that are kept of a prompt, and of an answer."""
MAX_TEXTS_BYTES = 64_000_000
"""The most that is kept of all texts; the oldest go first."""
MAX_PAGE = 1000
"""The most records in one answer."""

# Several tokens come in one read: over less than this their arrival tells nothing of the server.
_MIN_SPAN_S = 0.1


def tokens_per_s(tokens: int | None, first_s: float | None, whole_s: float | None) -> float | None:
    """Return the rate of the tokens after the first; None if it is not known.

    `first_s` and `whole_s`: from the request to the first token and to the end of the answer.
    """
    if tokens is None or tokens < 2 or first_s is None or whole_s is None:
        return None
    span_s = whole_s - first_s
    return (tokens - 1) / span_s if span_s >= _MIN_SPAN_S else None
