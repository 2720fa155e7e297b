"""The engine itself: facts, figures, settings and events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.engine.http.handlers.common import JSON, json_answer, read_body, read_whole, state_of
from app.engine.http.prometheus import METRICS_TYPE, metrics_text
from app.wire.events import HEARTBEAT_S, MOST_EVERY_S


async def health(_request: Request) -> Response:
    """Say that the engine lives, and nothing else."""
    return Response(b'{"status":"ok"}', media_type=JSON)


async def engine(request: Request) -> Response:
    """Return the engine's facts."""
    return json_answer(state_of(request).bus.info)


async def metrics(request: Request) -> Response:
    """Return all metrics for Prometheus."""
    state = state_of(request)
    state.bus.look()
    return Response(metrics_text(state.bus, state.ledger), media_type=METRICS_TYPE)


async def settings(request: Request) -> Response:
    """Return the engine's settings."""
    return json_answer(state_of(request).settings.states())


async def change_settings(request: Request) -> Response:
    """Change some of the engine's settings."""
    state = state_of(request)
    changes = await read_body(request, dict[str, Any])
    async with state.settings_lock:
        state.access.check(changes)
        await asyncio.to_thread(state.settings.change, changes)
        await state.on_settings()
    return json_answer(state.settings.states())


async def events(request: Request) -> Response:
    """Stream the engine's events."""
    bus = state_of(request).bus
    every_s = read_whole(request, "every", 1, MOST_EVERY_S)

    async def stream() -> AsyncIterator[bytes]:
        # Not before the first read: a generator that never starts never ends its subscription.
        subscription = bus.subscribe(every_s)
        try:
            while (event := await subscription.next(HEARTBEAT_S)) is not None:
                yield b"data: " + event + b"\n\n"
        finally:
            subscription.close()

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Response(headers=headers, media_type="text/event-stream")
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)
