"""Servers, their logs and requests, and servers of others."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers.common import json_answer, read_number, read_whole, state_of
from app.engine.supervisor import logfiles, logpieces
from app.wire.errors import AppError, ErrorCode
from app.wire.history import SPANS_S
from app.wire.requests import MAX_PAGE
from app.wire.server_log import MAX_PIECE, OFFSET_HEADER, PRESENT, SIZE_HEADER, VERSION_HEADER

_MAX_WAIT_S = 30.0
_MAX_ID = 2**53


async def servers(request: Request) -> Response:
    """Return all servers."""
    return json_answer(list(state_of(request).bus.servers.values()))


async def server(request: Request) -> Response:
    """Return one server, on request only when it is ready, stopped or failed."""
    wait_s = read_number(request, "wait_s", 0.0, _MAX_WAIT_S)
    return json_answer(
        await state_of(request).supervisor.settled(request.path_params["id"], wait_s)
    )


async def start_server(request: Request) -> Response:
    """Start a profile."""
    return json_answer(state_of(request).supervisor.start(request.path_params["id"]), 202)


async def stop_server(request: Request) -> Response:
    """Stop a server."""
    force = read_whole(request, "force", 0, 1) == 1
    return json_answer(
        state_of(request).supervisor.stop(request.path_params["id"], force=force), 202
    )


async def restart_server(request: Request) -> Response:
    """Restart a server."""
    return json_answer(state_of(request).supervisor.restart(request.path_params["id"]), 202)


async def remove_server(request: Request) -> Response:
    """Forget a server that has no process."""
    await state_of(request).supervisor.remove(request.path_params["id"])
    return Response(status_code=204)


async def server_log(request: Request) -> Response:
    """Return the end of a server's log."""
    max_bytes = read_whole(request, "max_bytes", 65_536, MAX_PIECE)
    path = state_of(request).supervisor.log_file(request.path_params["id"])
    query = request.query_params
    if "offset" not in query and "run" not in query:
        text = await asyncio.to_thread(logfiles.tail, path, max_bytes)
        return Response(text, media_type="text/plain; charset=utf-8")
    offset = read_whole(request, "offset", 0, _MAX_ID) if "offset" in query else None
    run = query.get("run", PRESENT)
    piece = await asyncio.to_thread(logpieces.piece, path, run, offset, max_bytes)
    headers = {
        SIZE_HEADER: str(piece.size),
        OFFSET_HEADER: str(piece.offset),
        VERSION_HEADER: piece.version,
    }
    return Response(piece.data, headers=headers, media_type="text/plain; charset=utf-8")


async def server_log_runs(request: Request) -> Response:
    """Return the runs of a server whose logs are kept."""
    path = state_of(request).supervisor.log_file(request.path_params["id"])
    return json_answer(await asyncio.to_thread(logpieces.runs, path))


async def requests(request: Request) -> Response:
    """Return the last requests at the gateway."""
    state, server_id = state_of(request), request.query_params.get("server")
    count = read_whole(request, "last", 100, MAX_PAGE)
    before = read_whole(request, "before", 0, _MAX_ID) or None
    recent = state.ledger.last(count, server_id, before)
    return json_answer(
        await state.history.requests(recent, count=count, server=server_id, before=before)
    )


async def request_texts(request: Request) -> Response:
    """Return prompt and answer of a request."""
    text = request.path_params["id"]
    number = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(_MAX_ID)) else 0
    return json_answer(await state_of(request).history.texts(number))


async def delete_texts(request: Request) -> Response:
    """Remove all prompts and answers."""
    await state_of(request).history.delete_texts()
    return Response(status_code=204)


async def server_history(request: Request) -> Response:
    """Return a server's figures over a span."""
    state, server_id = state_of(request), request.path_params["id"]
    span_s = read_whole(request, "span_s", SPANS_S[0], max(SPANS_S))
    if server_id not in state.bus.servers and server_id not in state.bus.profiles:
        raise AppError(f"There is no server “{server_id}”.", code=ErrorCode.NOT_FOUND)
    return json_answer(await state.history.server_history(server_id, span_s))


async def foreign(request: Request) -> Response:
    """Return the model servers that this engine did not start."""
    return json_answer(list(state_of(request).bus.foreign.values()))


async def stop_foreign(request: Request) -> Response:
    """Ask such a server to end, and wait for it."""
    await state_of(request).foreign.stop(request.path_params["id"])
    return Response(status_code=204)
