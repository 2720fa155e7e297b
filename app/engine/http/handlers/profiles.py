"""Profiles."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers.common import json_answer, read_body, state_of
from app.engine.http.state import State
from app.engine.supervisor import logfiles
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, ProfileDraft


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


def _profile(state: State, profile_id: str) -> Profile:
    profile = state.bus.profiles.get(profile_id)
    if profile is None:
        raise AppError(f"There is no profile “{profile_id}”.", code=ErrorCode.NOT_FOUND)
    return profile
