"""The first request must not be slower than the second: what a request runs has run before it."""

import logging
import re

from starlette.types import ASGIApp, Message, Scope

from app.wire.openapi import SHAPES
from app.wire.routes import ROUTES, Route

log = logging.getLogger("http")

_NOT_WARMED = frozenset({
    "events", "metrics", "search_hub", "hub_model", "places", "leftovers",
    "models", "model_fit", "verify_model", "preview_removal", "remove_model",
})  # fmt: skip
"""What does not end, counts as a look, asks the hub, starts a worker, or waits for the disk."""


async def warm(app: ASGIApp) -> None:
    """Have `app` answer each route once in a way that changes nothing, to nobody.

    What has an id is asked for one that does not exist, what takes a body gets one that it refuses.
    """
    for route in filter(_is_harmless, ROUTES):
        await app(_scope(route), _receive, _drop)
    log.debug("the API ran its routes once before it is served")


def _is_harmless(route: Route) -> bool:
    if route.name in _NOT_WARMED:
        return False
    return route.method == "GET" or "{" in route.path or SHAPES[route.name].body is not None


def _scope(route: Route) -> Scope:
    path = re.sub(r"{[^}]*}", "-", route.path)
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
        "method": route.method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": [], "client": None, "server": None,
    }  # fmt: skip


async def _receive() -> Message:
    return {"type": "http.request", "body": b"-", "more_body": False}


async def _drop(_message: Message) -> None:
    """Take an answer to nobody."""
