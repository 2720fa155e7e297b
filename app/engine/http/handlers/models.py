"""Models on this disk and on the hub."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers.common import json_answer, read_number, state_of
from app.wire.errors import AppError, ErrorCode
from app.wire.hub import MAX_CONTEXT, PAGE_SIZE, HubQuery


async def models(request: Request) -> Response:
    """Return all models on this disk."""
    return json_answer(list(state_of(request).bus.models.values()))


async def scan_models(request: Request) -> Response:
    """Look at the disk again."""
    state_of(request).rescan()
    return Response(status_code=202)


async def remove_model(request: Request) -> Response:
    """Delete a model from the hub's cache."""
    freed = await state_of(request).downloads.remove_model(request.path_params["id"])
    return json_answer({"freed_bytes": freed})


async def model_fit(request: Request) -> Response:
    """Return whether a model on this disk fits the memory."""
    state = state_of(request)
    return json_answer(await state.hub.local_fit(request.path_params["id"], _context(request)))


async def search_hub(request: Request) -> Response:
    """Return a page of a search of the hub."""
    return json_answer(await state_of(request).hub.search(_hub_query(request)))


async def hub_model(request: Request) -> Response:
    """Return one model of the hub."""
    state = state_of(request)
    return json_answer(await state.hub.describe(request.path_params["id"], _context(request)))


def _context(request: Request) -> int | None:
    return int(read_number(request, "context", 0, MAX_CONTEXT)) or None


def _hub_query(request: Request) -> HubQuery:
    values: dict[str, object] = dict(request.query_params)
    values["details"] = int(read_number(request, "details", 0, PAGE_SIZE))
    values["supported"] = read_number(request, "supported", 0, 1) == 1
    try:
        return msgspec.convert(values, HubQuery)
    except msgspec.ValidationError as error:
        reason = str(error)
    raise AppError(f"The search does not work: {reason}.", code=ErrorCode.BAD_REQUEST)
