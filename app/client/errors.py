"""What can go wrong between a front end and an engine."""

from app.wire.errors import AppError, ErrorCode


class EngineGone(AppError):
    """Nothing answers where the engine should be."""

    code = ErrorCode.ENGINE_GONE


class EngineSilent(EngineGone):
    """Something takes the connection and does not answer."""


class EngineRunning(AppError):
    """An engine has this home already."""

    code = ErrorCode.ENGINE_RUNNING


class NeedsKey(AppError):
    """The engine wants a key: none was sent, or a wrong one."""

    code = ErrorCode.UNAUTHORIZED


class WrongVersion(AppError):
    """The engine speaks another version of the API."""

    code = ErrorCode.ENGINE_VERSION
