"""The handlers of the control API, one for each row of the routes table."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from app.engine.http.prometheus import METRICS_TYPE, metrics_text
from app.engine.http.state import State
from app.engine.supervisor import logfiles
from app.gateway.ledger import REMEMBERED
from app.wire.errors import AppError, ErrorCode
from app.wire.events import HEARTBEAT_S
from app.wire.hub import MAX_CONTEXT, PAGE_SIZE, HubQuery
from app.wire.nouns import DownloadRequest, Profile, ProfileDraft

_T = TypeVar("_T")
_MAX_BODY = 1024 * 1024
_MAX_WAIT_S = 30.0
_MAX_LOG = 2 * 1024 * 1024
_JSON = "application/json"


async def health(_request: Request) -> Response:
    """Say that the engine lives, and nothing else."""
    return Response(b'{"status":"ok"}', media_type=_JSON)


async def engine(request: Request) -> Response:
    """Return the engine's facts."""
    return _json(_state(request).bus.info)


async def profiles(request: Request) -> Response:
    """Return all profiles."""
    return _json(list(_state(request).bus.profiles.values()))


async def create_profile(request: Request) -> Response:
    """Create a profile."""
    state = _state(request)
    return _json(await state.profiles.create(await _body(request, ProfileDraft)), 201)


async def update_profile(request: Request) -> Response:
    """Change a profile."""
    state = _state(request)
    draft = await _body(request, ProfileDraft)
    return _json(await state.profiles.update(request.path_params["id"], draft))


async def delete_profile(request: Request) -> Response:
    """Move a profile to the trash, with the tile and the logs of its server."""
    state = _state(request)
    profile = _profile(state, request.path_params["id"])
    if profile.id in state.bus.servers:
        await state.supervisor.remove(profile.id)
    await state.profiles.delete(profile)
    await asyncio.to_thread(logfiles.remove, logfiles.log_file(profile.id))
    return Response(status_code=204)


async def servers(request: Request) -> Response:
    """Return all servers."""
    return _json(list(_state(request).bus.servers.values()))


async def server(request: Request) -> Response:
    """Return one server, on request only when it is ready, stopped or failed."""
    wait_s = _number(request, "wait_s", 0.0, _MAX_WAIT_S)
    return _json(await _state(request).supervisor.settled(request.path_params["id"], wait_s))


async def start_server(request: Request) -> Response:
    """Start a profile."""
    return _json(_state(request).supervisor.start(request.path_params["id"]), 202)


async def stop_server(request: Request) -> Response:
    """Stop a server."""
    force = _number(request, "force", 0, 1) == 1
    return _json(_state(request).supervisor.stop(request.path_params["id"], force=force), 202)


async def restart_server(request: Request) -> Response:
    """Restart a server."""
    return _json(_state(request).supervisor.restart(request.path_params["id"]), 202)


async def remove_server(request: Request) -> Response:
    """Forget a server that has no process."""
    await _state(request).supervisor.remove(request.path_params["id"])
    return Response(status_code=204)


async def server_log(request: Request) -> Response:
    """Return the end of a server's log."""
    max_bytes = int(_number(request, "max_bytes", 65_536, _MAX_LOG))
    path = _state(request).supervisor.log_file(request.path_params["id"])
    text = await asyncio.to_thread(logfiles.tail, path, max_bytes)
    return Response(text, media_type="text/plain; charset=utf-8")


async def models(request: Request) -> Response:
    """Return all models on this disk."""
    return _json(list(_state(request).bus.models.values()))


async def scan_models(request: Request) -> Response:
    """Look at the disk again."""
    _state(request).rescan()
    return Response(status_code=202)


async def foreign(request: Request) -> Response:
    """Return the model servers that this engine did not start."""
    return _json(list(_state(request).bus.foreign.values()))


async def stop_foreign(request: Request) -> Response:
    """Ask such a server to end, and wait for it."""
    await _state(request).foreign.stop(request.path_params["id"])
    return Response(status_code=204)


async def model_fit(request: Request) -> Response:
    """Return whether a model on this disk fits the memory."""
    state = _state(request)
    return _json(await state.hub.local_fit(request.path_params["id"], _context(request)))


async def search_hub(request: Request) -> Response:
    """Return a page of a search of the hub."""
    return _json(await _state(request).hub.search(_hub_query(request)))


async def hub_model(request: Request) -> Response:
    """Return one model of the hub."""
    state = _state(request)
    return _json(await state.hub.describe(request.path_params["id"], _context(request)))


async def downloads(request: Request) -> Response:
    """Return all downloads."""
    return _json(list(_state(request).bus.downloads.values()))


async def add_download(request: Request) -> Response:
    """Download a model, or go on with it."""
    wanted = await _body(request, DownloadRequest)
    return _json(await _state(request).downloads.add(wanted), 202)


async def pause_download(request: Request) -> Response:
    """Pause a download."""
    return _json(_state(request).downloads.pause(request.path_params["id"]), 202)


async def resume_download(request: Request) -> Response:
    """Go on with a download."""
    return _json(_state(request).downloads.resume(request.path_params["id"]), 202)


async def retry_download(request: Request) -> Response:
    """Try a download again now."""
    return _json(_state(request).downloads.resume(request.path_params["id"]), 202)


async def remove_download(request: Request) -> Response:
    """Cancel a download."""
    keep = request.query_params.get("keep", "false")
    if keep not in ("true", "false"):
        raise AppError("keep must be true or false.", code=ErrorCode.BAD_REQUEST)
    downloads = _state(request).downloads
    downloads.remove(request.path_params["id"], keep_partial=keep == "true")
    return Response(status_code=204)


async def remove_model(request: Request) -> Response:
    """Delete a model from the hub's cache."""
    freed = await _state(request).downloads.remove_model(request.path_params["id"])
    return _json({"freed_bytes": freed})


async def requests(request: Request) -> Response:
    """Return the last requests at the gateway."""
    last = int(_number(request, "last", 100, REMEMBERED))
    return _json(_state(request).ledger.last(last, request.query_params.get("server")))


async def metrics(request: Request) -> Response:
    """Return all metrics for Prometheus."""
    state = _state(request)
    return Response(metrics_text(state.bus, state.ledger), media_type=METRICS_TYPE)


async def settings(request: Request) -> Response:
    """Return the engine's settings."""
    return _json(_state(request).settings.states())


async def change_settings(request: Request) -> Response:
    """Change some of the engine's settings."""
    state = _state(request)
    changes = await _body(request, dict[str, Any])
    async with state.settings_lock:
        await asyncio.to_thread(state.settings.change, changes)
        await state.on_settings()
    return _json(state.settings.states())


async def events(request: Request) -> Response:
    """Stream the engine's events."""
    bus = _state(request).bus

    async def stream() -> AsyncIterator[bytes]:
        # Not before the first read: a generator that never starts never ends its subscription.
        subscription = bus.subscribe()
        try:
            while (event := await subscription.next(HEARTBEAT_S)) is not None:
                yield b"data: " + event + b"\n\n"
        finally:
            subscription.close()

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Response(headers=headers, media_type="text/event-stream")
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


def _state(request: Request) -> State:
    return request.app.state.engine


def _profile(state: State, profile_id: str) -> Profile:
    profile = state.bus.profiles.get(profile_id)
    if profile is None:
        raise AppError(f"There is no profile “{profile_id}”.", code=ErrorCode.NOT_FOUND)
    return profile


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_JSON)


async def _body(request: Request, kind: type[_T]) -> _T:
    data = b""
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > _MAX_BODY:
                raise AppError("The request is larger than 1 MB.", code=ErrorCode.TOO_LARGE)
    except ClientDisconnect:
        raise AppError("The client hung up.", code=ErrorCode.BAD_REQUEST) from None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = str(error)
    except RecursionError:
        reason = "it has too many levels of brackets"
    raise AppError(f"The request's body does not work: {reason}.", code=ErrorCode.BAD_REQUEST)


def _context(request: Request) -> int | None:
    return int(_number(request, "context", 0, MAX_CONTEXT)) or None


def _hub_query(request: Request) -> HubQuery:
    values: dict[str, object] = dict(request.query_params)
    values["details"] = int(_number(request, "details", 0, PAGE_SIZE))
    values["supported"] = _number(request, "supported", 0, 1) == 1
    try:
        return msgspec.convert(values, HubQuery)
    except msgspec.ValidationError as error:
        reason = str(error)
    raise AppError(f"The search does not work: {reason}.", code=ErrorCode.BAD_REQUEST)


def _number(request: Request, name: str, default: float, maximum: float) -> float:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= maximum:
        raise AppError(
            f"{name} must be a number from 0 to {maximum:g}, not “{text[:40]}”.",
            code=ErrorCode.BAD_REQUEST,
        )
    return number
