"""Downloads."""

from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers.common import json_answer, read_body, state_of
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import DownloadRequest
from app.wire.storage import MoveRequest


async def downloads(request: Request) -> Response:
    """Return all downloads."""
    return json_answer(list(state_of(request).bus.downloads.values()))


async def add_download(request: Request) -> Response:
    """Download a model, or go on with it."""
    wanted = await read_body(request, DownloadRequest)
    return json_answer(await state_of(request).downloads.add(wanted), 202)


async def pause_download(request: Request) -> Response:
    """Pause a download."""
    downloads = state_of(request).downloads
    paused = downloads.pause(request.path_params["id"])
    await downloads.saved()
    return json_answer(paused, 202)


async def pause_downloads(request: Request) -> Response:
    """Pause all downloads."""
    downloads = state_of(request).downloads
    downloads.pause_all()
    await downloads.saved()
    return Response(status_code=202)


async def resume_downloads(request: Request) -> Response:
    """Go on with all downloads that are paused."""
    state_of(request).downloads.resume_all()
    return Response(status_code=202)


async def move_download(request: Request) -> Response:
    """Move a queued download in the queue."""
    wanted = await read_body(request, MoveRequest)
    downloads = state_of(request).downloads
    moved = downloads.move(request.path_params["id"], wanted.to)
    await downloads.saved()
    return json_answer(moved)


async def resume_download(request: Request) -> Response:
    """Go on with a download."""
    return json_answer(state_of(request).downloads.resume(request.path_params["id"]), 202)


async def retry_download(request: Request) -> Response:
    """Try a download again now."""
    return json_answer(state_of(request).downloads.resume(request.path_params["id"]), 202)


async def remove_download(request: Request) -> Response:
    """Cancel a download."""
    keep = request.query_params.get("keep", "false")
    if keep not in ("true", "false"):
        raise AppError("keep must be true or false.", code=ErrorCode.BAD_REQUEST)
    downloads = state_of(request).downloads
    downloads.remove(request.path_params["id"], keep_partial=keep == "true")
    await downloads.saved()
    return Response(status_code=204)
