"""The handlers of the control API, one for each row of the routes table."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from app.engine.http.handlers import downloads, general, keys, models, profiles, servers

Handler = Callable[[Request], Awaitable[Response]]
_MODULES = (general, profiles, servers, models, downloads, keys)


def handler(name: str) -> Handler:
    """Return the handler of the route with this name."""
    return next(getattr(module, name) for module in _MODULES if hasattr(module, name))
