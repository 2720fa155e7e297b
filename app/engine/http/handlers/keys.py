"""Named API keys."""

from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers.common import json_answer, read_body, state_of
from app.wire.keys import KeyDraft


async def named_keys(request: Request) -> Response:
    """Return all named keys."""
    return json_answer(state_of(request).access.keys)


async def create_key(request: Request) -> Response:
    """Make a named key; only this answer has its secret."""
    draft = await read_body(request, KeyDraft)
    answer = json_answer(await state_of(request).access.create(draft.name), 201)
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def revoke_key(request: Request) -> Response:
    """Forget a named key."""
    await state_of(request).access.revoke(request.path_params["id"])
    return Response(status_code=204)
