"""What the handlers share: the engine, the body, numbers and answers."""

from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.engine.http.state import State
from app.wire.errors import AppError, ErrorCode
from app.wire.reading import read_json

_T = TypeVar("_T")
_MAX_BODY = 1024 * 1024
JSON = "application/json"
_MAX_DIGITS = 20


def state_of(request: Request) -> State:
    """Return the engine that answers this request."""
    return request.app.state.engine


def json_answer(value: object, status: int = 200) -> Response:
    """Return an answer with a value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type=JSON)


async def read_body(request: Request, kind: type[_T]) -> _T:
    """Return the body as `kind`. Raises AppError for another shape and beyond 1 MB."""
    data = b""
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > _MAX_BODY:
                raise AppError("The request is larger than 1 MB.", code=ErrorCode.TOO_LARGE)
    except ClientDisconnect:
        raise AppError("The client hung up.", code=ErrorCode.BAD_REQUEST) from None
    try:
        return read_json(data, kind)
    except msgspec.DecodeError as error:
        raise AppError(
            f"The request's body does not work: {error}.", code=ErrorCode.BAD_REQUEST
        ) from error


def read_number(request: Request, name: str, default: float, maximum: float) -> float:
    """Return a number from 0 to `maximum` of the query. Raises AppError for anything else."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= maximum:
        raise AppError(
            f"{name} must be a number from 0 to {maximum:g}, not “{text[:40]}”.",
            code=ErrorCode.BAD_REQUEST,
        )
    return number


def read_whole(request: Request, name: str, default: int, maximum: int) -> int:
    """Return a whole number from 0 to `maximum` of the query. Raises AppError otherwise."""
    text = request.query_params.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1
    if not 0 <= number <= maximum:
        raise AppError(
            f"{name} must be a whole number from 0 to {maximum}, not “{text[:40]}”.",
            code=ErrorCode.BAD_REQUEST,
        )
    return number
