"""Which server answers a request, and what the list of models says."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import chain
from urllib.parse import unquote

import msgspec

from app.gateway.directory import Directory, Served, Upstream
from app.gateway.errors import RETRY_AFTER_S, RequestError, malformed
from app.wire.errors import ErrorCode
from app.wire.requests import ErrorKind

CHAT_PATH = "/v1/chat/completions"
COMPLETION_PATHS = frozenset({CHAT_PATH, "/v1/completions"})

_MODELS = "/v1/models"
# curl and urllib name a form when they are told nothing, and examples everywhere rely on that. A
# page cannot use it: what browsers send without asking is refused before.
_LENIENT = (b"application/json", b"application/x-www-form-urlencoded")
_READ_METHODS = ("GET", "HEAD")
_RETRY = (("Retry-After", str(RETRY_AFTER_S)),)


class _Entry(msgspec.Struct, frozen=True):
    """A model as OpenAI lists it; `root` is the model behind the profile."""

    id: str
    created: int
    root: str
    object: str = "model"
    owned_by: str = "mlx-model-manager"


class _Listing(msgspec.Struct, frozen=True):
    data: list[_Entry]
    object: str = "list"


def check_form(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raise RequestError (415) for a body that says that it is not JSON."""
    for name, value in headers:
        kind = value.split(b";", 1)[0].strip().lower() if name == b"content-type" else b""
        if kind and kind not in _LENIENT:
            raise malformed(
                f"A body of the type {_quoted(kind.decode('latin-1'))} is not understood; send "
                "JSON with 'Content-Type: application/json'.",
                http_status=415,
                note="Its body is not JSON by its own word.",
            )


def check_route(method: str, path: str) -> None:
    """Raise RequestError for an unknown path (404) or a method that it does not take (405)."""
    if path in COMPLETION_PATHS:
        allowed = ("POST",)
    elif path in ("/health", _MODELS) or path.startswith(f"{_MODELS}/"):
        allowed = _READ_METHODS
    else:
        raise RequestError(ErrorCode.NOT_FOUND, "There is nothing at this path.")
    if method not in allowed:
        allow = ", ".join(allowed)
        raise RequestError(
            ErrorCode.METHOD_NOT_ALLOWED,
            f"This path takes {allow} only.",
            headers=(("Allow", allow),),
        )


def read_answer(directory: Directory, path: str, only: str | None = None) -> bytes:
    """Return the JSON for a path that is read: health, the list of models, one model.

    `only`: the one profile that is asked about, None for all.
    """
    if path == "/health":
        return b'{"status":"ok"}'
    known = (s for s in directory.known() if only in (None, s.profile_id))
    usable = [s for s in known if s.ready or s.starts_on_request]
    if path == _MODELS:
        return msgspec.json.encode(_Listing([_entry(served) for served in usable]))
    wanted = unquote(path.removeprefix(f"{_MODELS}/"))
    for served in sorted(usable, key=lambda s: (s.name != wanted, not s.ready)):
        if wanted in (served.name, served.model):
            return msgspec.json.encode(_entry(served))
    raise RequestError(ErrorCode.NOT_FOUND, f"The model {_quoted(wanted)} is not running.")


def choose(directory: Directory, wanted: str | None) -> Upstream | Served:
    """Return the server for the name in a request; None means that the request names none.

    A profile's name goes before a model's id; of several servers of one model the most recently
    started is taken. A profile that is returned is to be started first. Raises RequestError.
    """
    ready = directory.ready()
    if wanted is not None:
        for upstream in ready:
            if upstream.profile_name == wanted:
                return upstream
        # All profiles are looked at only where no server has the name itself.
        startable = [s for s in directory.known() if s.starts_on_request and not s.ready]
        named: Iterator[Upstream | Served] = chain(
            (served for served in startable if served.name == wanted),
            (upstream for upstream in ready if upstream.model == wanted),
            (served for served in startable if served.model == wanted),
        )
        found = next(named, None)
        if found is not None:
            return found
    if wanted in (None, "default_model"):
        return _only(ready)
    raise _not_ready(directory, wanted)


def choose_only(directory: Directory, profile_id: str) -> Upstream | Served:
    """Return the server of a profile, or the profile that is to be started first.

    Raises RequestError.
    """
    for upstream in directory.ready():
        if upstream.profile_id == profile_id:
            return upstream
    for served in directory.known():
        if served.profile_id == profile_id:
            if served.starts_on_request:
                return served
            raise _not_running(served)
    raise RequestError(
        ErrorCode.NOT_FOUND,
        "The profile of this port is not there any more.",
    ).counted_as(ErrorKind.UNKNOWN_MODEL)


def _entry(served: Served) -> _Entry:
    return _Entry(id=served.name, created=int(served.created), root=served.model)


def _only(ready: Sequence[Upstream]) -> Upstream:
    if len(ready) == 1:
        return ready[0]
    if not ready:
        raise RequestError(
            ErrorCode.SERVER_NOT_READY,
            "No model is running; start one in the app or with mlxm start.",
            headers=_RETRY,
        )
    names = ", ".join(sorted(upstream.profile_name for upstream in ready))
    raise RequestError(
        ErrorCode.BAD_REQUEST,
        f"Several models are running; name one of them in the field 'model': {names}.",
    )


def _not_ready(directory: Directory, wanted: str) -> RequestError:
    known = directory.known()
    for served in sorted(known, key=lambda served: served.name != wanted):
        if wanted in (served.name, served.model):
            return _not_running(served)
    return RequestError(
        ErrorCode.NOT_FOUND,
        f"There is no model {_quoted(wanted)} here.",
        hint="GET /v1/models lists the models that are running.",
        note="There is no model of that name here.",
    ).counted_as(ErrorKind.UNKNOWN_MODEL)


def _not_running(served: Served) -> RequestError:
    return RequestError(
        ErrorCode.SERVER_NOT_READY,
        f"{served.name} is not running; start it in the app or with "
        f"mlxm start {shlex.quote(served.name)}.",
        headers=_RETRY,
    )


def _quoted(name: str) -> str:
    return f"'{name[:200]}'"
