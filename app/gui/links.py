"""`mlxmanager:` links and profile files: what a click on one asks for, read strictly."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from app.paths import PROFILE_SUFFIX

if TYPE_CHECKING:
    # Imported by the function that needs it: the window would wait for its first frame.
    from app.wire.errors import AppError

SCHEME = "mlxmanager"

_LONGEST = 400
_SHOWN = 60
"""Of a link that is not understood, so much is quoted."""
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_]|[.-](?![.-])){0,94}(?<![.-])"
# As the hub names models: two dots or two hyphens in a row are not allowed.
_MODEL = re.compile(f"{_PART}/{_PART}")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Verb(Enum):
    """What a link may ask for."""

    DOWNLOAD = "download"
    START = "start"
    OPEN = "open"


@dataclass(frozen=True)
class Link:
    """What a link asks for; nothing of it happens before the user has agreed."""

    verb: Verb
    target: str = ""
    """The model of a download, the id of a profile to start; else empty."""


_PARAMETERS: dict[Verb, tuple[str, re.Pattern[str]] | None] = {
    Verb.DOWNLOAD: ("model", _MODEL),
    Verb.START: ("profile", _PROFILE),
    Verb.OPEN: None,
}
"""The one parameter of each verb and what it may be."""


def is_link(text: str) -> bool:
    """Return True for the text of a link to this app, well formed or not."""
    return text[: len(SCHEME) + 1].casefold() == f"{SCHEME}:"


def is_profile_file(text: str) -> bool:
    """Return True for the path of a profile file."""
    return not is_link(text) and text.casefold().endswith(PROFILE_SUFFIX)


def absolute(text: str) -> str:
    """Return a link as it is and the path of a file from the root, for a program elsewhere.

    Desktops of Linux hand files over as `file:` addresses.
    """
    if is_link(text):
        return text
    if text.startswith("file:///"):
        text = unquote(text.removeprefix("file://"))
    return str(Path(text).expanduser().absolute())


def parse_link(text: str) -> Link:
    """Return what a link asks for. Raises AppError for anything but the documented forms.

    These are `mlxmanager:download?model=author/name`, `mlxmanager:start?profile=id` and
    `mlxmanager:open`. Nothing may be added to them.
    """
    if not is_link(text) or len(text) > _LONGEST or not text.isascii() or not text.isprintable():
        raise _not_understood(text)
    verb_text, mark, query = text[len(SCHEME) + 1 :].partition("?")
    verb = next((verb for verb in Verb if verb.value == verb_text), None)
    if verb is None:
        raise _not_understood(text)
    parameter = _PARAMETERS[verb]
    if parameter is None:
        if mark:
            raise _not_understood(text)
        return Link(verb)
    name, pattern = parameter
    found, equals, encoded = query.partition("=")
    # Decoded once, so that what is checked is what is used.
    value = unquote(encoded)
    if found != name or not equals or pattern.fullmatch(value) is None:
        raise _not_understood(text)
    return Link(verb, value)


def _not_understood(text: str) -> "AppError":
    from app.wire.errors import AppError, ErrorCode

    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return AppError(
        f"The link “{clean}” was not followed: this version does not know what it asks for.",
        code=ErrorCode.BAD_REQUEST,
    )
