"""Options as rows of a table: form, check, flag and help come from it."""

import json
import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from app.wire.errors import AppError, ErrorCode

OptionValue = bool | int | float | str
_SIZE = re.compile(r"[1-9][0-9]*(\.[0-9]+)?(MB?|GB?)?")
"""Sizes as mlx_lm.server reads them."""


class OptionKind(StrEnum):
    """What an option's value is."""

    FLAG = "flag"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    CHOICE = "choice"
    PATH = "path"
    JSON = "json"
    SIZE = "size"


class Option(msgspec.Struct, frozen=True):
    """One option of a runtime."""

    name: str
    """Key in the profile file."""
    flag: str
    """Argument of the server program."""
    kind: OptionKind
    label: str
    help: str
    """Plain words: what it changes for the person who uses the model."""
    default: OptionValue | None = None
    """What the runtime does when the option is not given; None means nothing is set."""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    group: str = "General"
    is_basic: bool = False


class RuntimeInfo(msgspec.Struct, frozen=True):
    """A kind of server software that the engine can run."""

    id: str
    name: str
    version: str
    options: tuple[Option, ...]


def check_options(
    options: Mapping[str, object], table: tuple[Option, ...]
) -> dict[str, OptionValue]:
    """Return the options checked against the runtime's table.

    Raises AppError with a sentence that names the option, its value and what would work.
    """
    rows = {row.name: row for row in table}
    checked: dict[str, OptionValue] = {}
    for name, value in options.items():
        row = rows.get(name)
        if row is None:
            raise AppError(
                f"There is no option “{name}”.",
                hint="Remove it, or look for its name under All options.",
                code=ErrorCode.BAD_REQUEST,
            )
        checked[name] = check_option(row, value)
    return checked


def check_option(row: Option, value: object) -> OptionValue:
    """Return one checked value. Raises AppError."""
    match row.kind:
        case OptionKind.FLAG:
            if isinstance(value, bool):
                return value
            raise _bad(row, value, "true or false")
        case OptionKind.INT:
            return _check_int(row, value)
        case OptionKind.FLOAT:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(_in_range(row, value))
            raise _bad(row, value, _range_text(row, "a number"))
        case OptionKind.CHOICE:
            if isinstance(value, str) and value in row.choices:
                return value
            raise _bad(row, value, "one of " + ", ".join(row.choices))
        case OptionKind.TEXT | OptionKind.PATH | OptionKind.JSON | OptionKind.SIZE:
            return _check_text(row, value)


def _check_int(row: Option, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad(row, value, _range_text(row, "a whole number"))
    if row.choices and str(value) not in row.choices:
        raise _bad(row, value, "one of " + ", ".join(row.choices))
    return int(_in_range(row, value))


def _check_text(row: Option, value: object) -> str:
    if not isinstance(value, str):
        raise _bad(row, value, "text")
    if "\0" in value:
        raise _bad(row, value, "text without null characters")
    if row.kind is OptionKind.JSON and not _is_json_object(value):
        raise _bad(row, value, 'a JSON object such as {"enable_thinking": false}')
    if row.kind is OptionKind.SIZE and not _SIZE.fullmatch(value):
        raise _bad(row, value, "a size such as 4G, 500MB or a number of bytes")
    return value


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _in_range(row: Option, value: float) -> float:
    low, high = row.minimum, row.maximum
    # The comparison is written so that NaN is out of every range.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        kind = "a whole number" if row.kind is OptionKind.INT else "a number"
        raise _bad(row, value, _range_text(row, kind))
    return value


def _range_text(row: Option, kind: str) -> str:
    match row.minimum, row.maximum:
        case None, None:
            return kind
        case low, None:
            return f"{kind} of at least {low:g}"
        case None, high:
            return f"{kind} of at most {high:g}"
        case low, high:
            return f"{kind} from {low:g} to {high:g}"


def _bad(row: Option, value: object, expected: str) -> AppError:
    return AppError(
        f"{row.label} ({row.name}): {value!r} does not work; it must be {expected}.",
        code=ErrorCode.BAD_REQUEST,
    )
