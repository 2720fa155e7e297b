"""Servers, their logs and requests, and servers of others."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers.common import json_answer, read_number, state_of
from app.engine.supervisor import logfiles
from app.gateway.ledger import REMEMBERED

_MAX_WAIT_S = 30.0
_MAX_LOG = 2 * 1024 * 1024


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
    force = read_number(request, "force", 0, 1) == 1
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
    max_bytes = int(read_number(request, "max_bytes", 65_536, _MAX_LOG))
    path = state_of(request).supervisor.log_file(request.path_params["id"])
    text = await asyncio.to_thread(logfiles.tail, path, max_bytes)
    return Response(text, media_type="text/plain; charset=utf-8")


async def requests(request: Request) -> Response:
    """Return the last requests at the gateway."""
    last = int(read_number(request, "last", 100, REMEMBERED))
    return json_answer(state_of(request).ledger.last(last, request.query_params.get("server")))


async def foreign(request: Request) -> Response:
    """Return the model servers that this engine did not start."""
    return json_answer(list(state_of(request).bus.foreign.values()))


async def stop_foreign(request: Request) -> Response:
    """Ask such a server to end, and wait for it."""
    await state_of(request).foreign.stop(request.path_params["id"])
    return Response(status_code=204)
