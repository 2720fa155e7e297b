"""The gateway's own error: an answer that is not a success."""

from typing import Self

from app.wire.errors import AppError, ErrorCode, error_answer
from app.wire.requests import ErrorKind

# A model loads in seconds to a minute; clients that retry by themselves should not hammer.
RETRY_AFTER_S = 5

_KINDS = {
    ErrorCode.BAD_REQUEST: ErrorKind.BAD_REQUEST,
    ErrorCode.TOO_LARGE: ErrorKind.BAD_REQUEST,
    ErrorCode.TOO_MANY_REQUESTS: ErrorKind.BUSY,
    ErrorCode.SERVER_NOT_READY: ErrorKind.BUSY,
    ErrorCode.UPSTREAM_FAILED: ErrorKind.SERVER_ERROR,
}


class RequestError(AppError):
    """A request that is answered with an error; `headers` go with the answer.

    `note` is what the log of requests keeps: the message, unless that quotes a server, whose words
    may quote the prompt.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        hint: str = "",
        http_status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        note: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.headers = headers
        self.param: str | None = None
        """The field of the request that is wrong."""
        self.kind = _KINDS.get(code, ErrorKind.OTHER)
        self.note = message if note is None else note
        self._http_status = http_status

    def counted_as(self, kind: ErrorKind) -> Self:
        """Return the same error, which counts as something finer than its code."""
        self.kind = kind
        return self

    @property
    def status(self) -> int:
        """HTTP status, which may be finer than that of the code."""
        return self._http_status or super().status

    @property
    def body(self) -> bytes:
        """The JSON body."""
        return error_answer(self.code, self.message, self.hint, param=self.param)


class CountedError(RequestError):
    """An error that the ledger has counted already."""


def malformed(message: str, *, http_status: int = 400, note: str | None = None) -> RequestError:
    """Return the refusal of a request that breaks HTTP or is not what the route takes."""
    return RequestError(ErrorCode.BAD_REQUEST, message, http_status=http_status, note=note)


def wrong_field(param: str, what: str) -> RequestError:
    """Return the refusal of a field of the body; `what` says what it must be."""
    error = malformed(f"The field '{param}' must be {what}.")
    error.param = param
    return error


def server_failed(
    message: str,
    kind: ErrorKind = ErrorKind.SERVER_ERROR,
    *,
    hint: str = "",
    note: str | None = None,
) -> RequestError:
    """Return the answer for a model server that gave none."""
    error = RequestError(ErrorCode.UPSTREAM_FAILED, message, hint=hint, note=note)
    return error.counted_as(kind)
