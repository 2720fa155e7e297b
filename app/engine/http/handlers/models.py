"""Models on this disk and on the hub."""

import asyncio
import contextlib

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers.common import json_answer, read_whole, state_of
from app.engine.http.state import State
from app.wire.errors import AppError, ErrorCode
from app.wire.hub import MAX_CONTEXT, PAGE_SIZE, HubQuery

_FIRST_LOOK_S = 20.0
"""For how long the first answer may wait: a sleeping external disk needs 10 s to spin up."""


async def models(request: Request) -> Response:
    """Return all models on this disk."""
    state = await _after_first_look(request)
    return json_answer(list(state.bus.models.values()))


async def scan_models(request: Request) -> Response:
    """Look at the disk again."""
    state_of(request).rescan()
    return Response(status_code=202)


async def verify_model(request: Request) -> Response:
    """Begin to check a model's files."""
    state = await _after_first_look(request)
    return json_answer(state.downloads.disk.check(request.path_params["id"]), 202)


async def stop_verify(request: Request) -> Response:
    """End the check of a model's files."""
    state_of(request).downloads.disk.stop_check(request.path_params["id"])
    return Response(status_code=204)


async def preview_removal(request: Request) -> Response:
    """Return what deleting a model would do."""
    state = await _after_first_look(request)
    return json_answer(await state.downloads.disk.preview_removal(request.path_params["id"]))


async def remove_model(request: Request) -> Response:
    """Delete a model from the disk."""
    state = await _after_first_look(request)
    done = await state.downloads.disk.remove(
        request.path_params["id"],
        place=request.query_params.get("location", ""),
        is_forced=read_whole(request, "force", 0, 1) == 1,
    )
    state.rescan()
    return json_answer(done)


async def places(request: Request) -> Response:
    """Return the folders that models are looked for in."""
    return json_answer(state_of(request).downloads.disk.places)


async def leftovers(request: Request) -> Response:
    """Return unfinished files that no download owns."""
    return json_answer(await state_of(request).downloads.disk.leftovers(remove=False))


async def remove_leftovers(request: Request) -> Response:
    """Remove unfinished files that no download owns."""
    return json_answer(await state_of(request).downloads.disk.leftovers(remove=True))


async def model_fit(request: Request) -> Response:
    """Return whether a model on this disk fits the memory."""
    state = await _after_first_look(request)
    return json_answer(await state.hub.local_fit(request.path_params["id"], _context(request)))


async def search_hub(request: Request) -> Response:
    """Return a page of a search of the hub."""
    return json_answer(await state_of(request).hub.search(_hub_query(request)))


async def hub_model(request: Request) -> Response:
    """Return one model of the hub."""
    state = state_of(request)
    return json_answer(await state.hub.describe(request.path_params["id"], _context(request)))


async def _after_first_look(request: Request) -> State:
    """Return the state when models can be told from those that are not there.

    An engine that has just started knows them from its last run, or not yet at all.
    """
    state = state_of(request)
    if request.path_params.get("id") not in state.bus.models:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_LOOK_S):
                await state.models_known.wait()
    return state


def _context(request: Request) -> int | None:
    return read_whole(request, "context", 0, MAX_CONTEXT) or None


def _hub_query(request: Request) -> HubQuery:
    values: dict[str, object] = dict(request.query_params)
    values["details"] = read_whole(request, "details", 0, PAGE_SIZE)
    values["supported"] = read_whole(request, "supported", 0, 1) == 1
    try:
        return msgspec.convert(values, HubQuery)
    except msgspec.ValidationError as error:
        reason = str(error)
    raise AppError(f"The search does not work: {reason}.", code=ErrorCode.BAD_REQUEST)
