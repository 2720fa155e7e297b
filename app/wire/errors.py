"""Every expected failure: its code, its HTTP status and its sentence for the user."""

from enum import StrEnum

import msgspec


class ErrorCode(StrEnum):
    """Stable names of failures, for programs."""

    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    TOO_MANY_REQUESTS = "too_many_requests"
    INTERNAL = "internal"
    NAME_TAKEN = "name_taken"
    STALE_REVISION = "stale_revision"
    PROFILE_BROKEN = "profile_broken"
    PROFILE_IN_USE = "profile_in_use"
    STORE_FAILED = "store_failed"
    OPTION_WRONG = "option_wrong"
    PORT_BUSY = "port_busy"
    PYTHON_UNUSABLE = "python_unusable"
    MODEL_MISSING = "model_missing"
    MODEL_BROKEN = "model_broken"
    MODEL_UNSUPPORTED = "model_unsupported"
    OUT_OF_MEMORY = "out_of_memory"
    NO_ROOM = "no_room"
    SERVER_CRASHED = "server_crashed"
    START_TIMEOUT = "start_timeout"
    SERVER_STALLED = "server_stalled"
    SERVER_NOT_READY = "server_not_ready"
    UPSTREAM_FAILED = "upstream_failed"
    DOWNLOAD_CONFLICT = "download_conflict"
    MODEL_IN_USE = "model_in_use"
    HUB_OFFLINE = "hub_offline"
    HUB_FAILED = "hub_failed"
    HUB_LIMITED = "hub_limited"
    REPO_NOT_FOUND = "repo_not_found"
    REVISION_NOT_FOUND = "revision_not_found"
    REPO_UNSAFE = "repo_unsafe"
    TOKEN_NEEDED = "token_needed"  # noqa: S105 - a code, no secret
    ACCESS_NEEDED = "access_needed"
    DISK_FULL = "disk_full"
    CHECKSUM_WRONG = "checksum_wrong"
    DOWNLOAD_FAILED = "download_failed"
    FOREIGN_REFUSED = "foreign_refused"
    ENGINE_RUNNING = "engine_running"
    KEY_NEEDED = "key_needed"
    ENGINE_GONE = "engine_gone"
    ENGINE_VERSION = "engine_version"


EXIT_ENGINE_RUNS = 6
"""What an engine's process returns when another one runs for the same home."""

HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.TOO_MANY_REQUESTS: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.NAME_TAKEN: 409,
    ErrorCode.STALE_REVISION: 409,
    ErrorCode.PROFILE_BROKEN: 409,
    ErrorCode.PROFILE_IN_USE: 409,
    ErrorCode.STORE_FAILED: 507,
    ErrorCode.OPTION_WRONG: 409,
    ErrorCode.PORT_BUSY: 409,
    ErrorCode.PYTHON_UNUSABLE: 409,
    ErrorCode.MODEL_MISSING: 409,
    ErrorCode.MODEL_BROKEN: 409,
    ErrorCode.MODEL_UNSUPPORTED: 409,
    ErrorCode.OUT_OF_MEMORY: 409,
    ErrorCode.NO_ROOM: 409,
    ErrorCode.SERVER_CRASHED: 409,
    ErrorCode.START_TIMEOUT: 409,
    ErrorCode.SERVER_STALLED: 409,
    ErrorCode.SERVER_NOT_READY: 503,
    ErrorCode.UPSTREAM_FAILED: 502,
    ErrorCode.DOWNLOAD_CONFLICT: 409,
    ErrorCode.MODEL_IN_USE: 409,
    ErrorCode.HUB_OFFLINE: 503,
    ErrorCode.HUB_FAILED: 502,
    ErrorCode.HUB_LIMITED: 503,
    ErrorCode.REPO_NOT_FOUND: 404,
    ErrorCode.REVISION_NOT_FOUND: 404,
    ErrorCode.REPO_UNSAFE: 409,
    ErrorCode.TOKEN_NEEDED: 409,
    ErrorCode.ACCESS_NEEDED: 409,
    ErrorCode.DISK_FULL: 507,
    ErrorCode.CHECKSUM_WRONG: 502,
    ErrorCode.DOWNLOAD_FAILED: 500,
    ErrorCode.FOREIGN_REFUSED: 409,
    ErrorCode.ENGINE_RUNNING: 409,
    ErrorCode.KEY_NEEDED: 409,
    ErrorCode.ENGINE_GONE: 503,
    ErrorCode.ENGINE_VERSION: 409,
}
"""Which status an HTTP answer with this code has."""

OPENAI_TYPE: dict[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
"""`type` of OpenAI's error object by status; anything else is `api_error`."""


class AppError(Exception):
    """Expected trouble: a code for programs, a sentence and a way on for the user."""

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "", code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    @property
    def status(self) -> int:
        """HTTP status of an answer that carries this error."""
        return HTTP_STATUS[self.code]


class ErrorBody(msgspec.Struct, frozen=True):
    """The error object of both APIs; a superset of OpenAI's."""

    message: str
    type: str
    code: str
    hint: str = ""
    param: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The JSON body of every answer that is not a success."""

    error: ErrorBody


def error_answer(
    code: ErrorCode, message: str, hint: str = "", *, param: str | None = None
) -> bytes:
    """Return the JSON body for an error; `param` names the field of a request that is wrong."""
    kind = OPENAI_TYPE.get(HTTP_STATUS[code], "api_error")
    return msgspec.json.encode(ErrorAnswer(ErrorBody(message, kind, code.value, hint, param)))
