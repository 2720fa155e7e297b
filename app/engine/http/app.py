"""The control API as an ASGI application: the gate, the routes, and errors in words."""

import logging
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app import gate
from app.engine.http.handlers import Handler, handler
from app.engine.http.warm import warm
from app.wire.errors import AppError, ErrorCode, error_answer
from app.wire.routes import ROUTES

if TYPE_CHECKING:
    from app.engine.http.state import State

_log = logging.getLogger("http")
_CODES = {
    400: ErrorCode.BAD_REQUEST,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.TOO_LARGE,
}


def make_app(state: "State") -> "Gate":
    """Return the application for one engine."""
    by_path: dict[str, dict[str, Handler]] = {}
    for row in ROUTES:
        by_path.setdefault(row.path, {})[row.method] = handler(row.name)
    # One route for each path, so that a 405 names all of its methods; those that end with an id
    # come last, because an id may look like any path.
    tables = sorted(by_path.items(), key=lambda item: item[0].endswith("}"))
    routes = [Route(path, _by_method(table), methods=[*table]) for path, table in tables]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _on_http_error})
    app.router.redirect_slashes = False
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    app.state.engine = state
    return Gate(app, state)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out the trace of an answer that is sent after nonsense followed its request.

    uvicorn has refused the nonsense, warned of it and closed the connection by then, so that the
    answer cannot be sent. By name, since h11 is uvicorn's affair.
    """
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "LocalProtocolError"


class Gate:
    """Lets a request pass to the application only when the gate agrees."""

    def __init__(self, app: ASGIApp, state: "State") -> None:
        self._app = app
        self._state = state

    async def warm(self) -> None:
        """Run every route once, past the gate."""
        await warm(self._app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request or refuse it."""
        if scope["type"] != "http":
            return
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        client = scope["client"]
        refusal = gate.admit(
            self._state.access.control,
            self._state.throttle,
            client[0] if client else "",
            method=scope["method"],
            target=target,
            headers=scope["headers"],
        )
        if refusal is None:
            await self._app(scope, receive, send)
            return
        response = Response(refusal.body, refusal.status, media_type="application/json")
        for name, value in refusal.headers:
            response.headers[name] = value
        await response(scope, receive, send)


def _by_method(table: dict[str, Handler]) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            return await table["GET" if request.method == "HEAD" else request.method](request)
        except AppError as error:
            return _error(error.status, error.code, error.message, error.hint)
        except HTTPException:
            raise
        except Exception:  # noqa: BLE001 - HTTP handler
            _log.exception("%s %s failed", request.method, request.url.path)
            return _error(500, ErrorCode.INTERNAL, "The engine made an error; its log has more.")

    return answer


async def _on_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = _CODES.get(status, ErrorCode.BAD_REQUEST)
    path = request.url.path[:200]
    sentences = {
        404: f"There is nothing at {path}.",
        405: f"{request.method} does not work at {path}.",
    }
    response = _error(status, code, sentences.get(status, "The request was not understood."))
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


def _error(status: int, code: ErrorCode, message: str, hint: str = "") -> Response:
    return Response(error_answer(code, message, hint), status, media_type="application/json")
