"""Profiles."""

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers.common import json_answer, read_body, read_whole, state_of
from app.engine.http.state import State
from app.engine.profiles import portable
from app.engine.supervisor import logfiles, preflight
from app.wire.errors import AppError, ErrorCode
from app.wire.hub import MAX_CONTEXT
from app.wire.nouns import Profile, ProfileDraft
from app.wire.portable import ImportRequest


async def profiles(request: Request) -> Response:
    """Return all profiles."""
    return json_answer(list(state_of(request).bus.profiles.values()))


async def create_profile(request: Request) -> Response:
    """Create a profile."""
    state = state_of(request)
    return json_answer(await state.profiles.create(await read_body(request, ProfileDraft)), 201)


async def update_profile(request: Request) -> Response:
    """Change a profile."""
    state = state_of(request)
    draft = await read_body(request, ProfileDraft)
    return json_answer(await state.profiles.update(request.path_params["id"], draft))


async def delete_profile(request: Request) -> Response:
    """Move a profile to the trash, with the tile and the logs of its server."""
    state = state_of(request)
    profile = _profile(state, request.path_params["id"])
    if profile.id in state.bus.servers:
        await state.supervisor.remove(profile.id)
    await state.profiles.delete(profile)
    await asyncio.to_thread(logfiles.remove, logfiles.log_file(profile.id))
    return Response(status_code=204)


async def start_plan(request: Request) -> Response:
    """Return what a start of a profile would take of the memory now."""
    context = read_whole(request, "context", 0, MAX_CONTEXT) or None
    return json_answer(await state_of(request).supervisor.plan(request.path_params["id"], context))


async def restore_profile(request: Request) -> Response:
    """Bring a deleted profile back from the trash."""
    return json_answer(await state_of(request).profiles.restore(request.path_params["id"]))


async def export_profile(request: Request) -> Response:
    """Return a profile as the text of a file that other computers can import."""
    profile = _profile(state_of(request), request.path_params["id"])
    return Response(portable.export_text(profile), media_type="application/toml")


async def preview_profile(request: Request) -> Response:
    """Say what a draft would start, and what is wrong with it."""
    state = state_of(request)
    draft = await read_body(request, ProfileDraft)

    def find_model(model: str) -> Path:
        return preflight.resolve_model(model, state.bus.models, state.supervisor.cache)

    bounds = state.supervisor.bounds(draft.id)

    def bound(profile: Profile, folder: Path) -> Profile:
        return bounds(profile, preflight.weights_bytes(folder))

    return json_answer(await state.profiles.preview(draft, find_model, bound))


async def preview_import(request: Request) -> Response:
    """Say what an import would bring."""
    wanted = await read_body(request, ImportRequest)
    return json_answer(await state_of(request).profiles.preview_import(wanted))


async def import_profiles(request: Request) -> Response:
    """Import profiles."""
    wanted = await read_body(request, ImportRequest)
    return json_answer(await state_of(request).profiles.take_in(wanted), 201)


def _profile(state: State, profile_id: str) -> Profile:
    profile = state.bus.profiles.get(profile_id)
    if profile is None:
        raise AppError(f"There is no profile “{profile_id}”.", code=ErrorCode.NOT_FOUND)
    return profile
