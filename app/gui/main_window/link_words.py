"""What the window says of a connection that is slow, lost or does not come about."""

from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from app.gui.mirror import Trouble
from app.gui.workers.connection import EngineSilent
from app.wire.errors import AppError, ErrorCode


class Said(NamedTuple):
    """A sentence for the user, the next one, and what can be done about it."""

    text: str
    detail: str = ""
    trouble: Trouble = Trouble.NONE


def long(*, is_here: bool, waits: bool) -> Said:
    """Say why a connection takes long; `waits`: another engine of this home is awaited."""
    if is_here and waits:
        detail = _tr("It runs on this computer, but it is busy or hangs.")
        return Said(_tr("The engine does not answer."), detail, Trouble.SILENT)
    here, there = _tr("The engine takes long to start."), _tr("The engine takes long to answer.")
    return Said(here if is_here else there, _tr("The window goes on as soon as it is there."))


def lost(error: AppError, status: int | None, *, is_here: bool) -> Said:
    """Say how a connection was lost; `status`: what this app's own engine has ended with."""
    if status is not None:
        return Said(_end(status), trouble=Trouble.ENDED)
    if not is_here:
        return Said(error.message)
    if isinstance(error, EngineSilent):
        return Said(_tr("The engine does not answer."), trouble=Trouble.SILENT)
    return Said(_tr("The connection to the engine is lost."))


def failed(error: AppError, *, is_here: bool) -> Said:
    """Say why there is no connection."""
    if is_here and error.code is ErrorCode.ENGINE_VERSION:
        text = _tr("The engine here is of another version.")
        return Said(text, error.message, Trouble.OTHER_VERSION)
    is_silent = is_here and isinstance(error, EngineSilent)
    return Said(error.message, error.hint, Trouble.SILENT if is_silent else Trouble.NONE)


def _end(status: int) -> str:
    match status:
        case 0 | -15:
            return _tr("The engine has ended.")
        case -9:
            return _tr("The engine was killed.")
        case _:
            return _tr("The engine crashed.")


def _tr(text: str) -> str:
    return QCoreApplication.translate("link", text)
