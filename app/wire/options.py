"""Options as rows of a table: form, check, flag and help come from it."""

import json
import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from app.wire.errors import AppError, ErrorCode
from app.wire.reading import quoted

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
    MODEL = "model"
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
    why: str = ""
    """Why the default is what it is, a sentence for people."""


class RuntimeInfo(msgspec.Struct, frozen=True):
    """A kind of server software that the engine can run."""

    id: str
    name: str
    version: str
    options: tuple[Option, ...]
    text: str = ""
    """For people: the versions of what it consists of."""
    unsupported: dict[str, str] = {}
    """Options of the table that this version does not have, each with the reason for people."""
    python: str = ""
    """The Python that runs servers whose profiles name no other, for people."""


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
    checked = _checked(row, value)
    if checked is None:
        raise AppError(
            f"{row.label} ({row.name}): {quoted(value)} does not work; it must be {expected(row)}.",
            code=ErrorCode.BAD_REQUEST,
        )
    return checked


def expected(row: Option) -> str:
    """Return what works for an option, as the end of a sentence: `a number from 0 to 1`."""
    match row.kind:
        case OptionKind.FLAG:
            return "true or false"
        case OptionKind.INT | OptionKind.FLOAT if not row.choices:
            return _range_text(row)
        case OptionKind.INT | OptionKind.FLOAT | OptionKind.CHOICE:
            return "one of " + ", ".join(row.choices)
        case OptionKind.JSON:
            return 'a JSON object such as {"enable_thinking": false}'
        case OptionKind.SIZE:
            return "a size such as 4G, 500MB or a number of bytes"
        case OptionKind.TEXT | OptionKind.PATH | OptionKind.MODEL:
            return "plain text"


def value_text(row: Option, value: OptionValue | None) -> str:
    """Return a value for people, with its unit; None is what the runtime does by itself."""
    if value is None:
        value = row.default
    if value is None or value == "":
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int) and row.unit == "tokens" and value and value % 1024 == 0:
        return f"{value // 1024}k tokens"
    text = value if isinstance(value, str) else f"{value:,.10g}"
    return f"{text} {row.unit}".strip()


def change_text(row: Option, old: OptionValue | None, new: OptionValue | None) -> str:
    """Return a difference as one line: `Longest answer: 512 tokens → 2k tokens`."""
    return f"{row.label}: {value_text(row, old)} → {value_text(row, new)}"


def _checked(row: Option, value: object) -> OptionValue | None:
    """Return the value as it is stored, None when it does not work."""
    match row.kind:
        case OptionKind.FLAG:
            return value if isinstance(value, bool) else None
        case OptionKind.INT:
            return _checked_int(row, value)
        case OptionKind.FLOAT:
            if not isinstance(value, int | float) or isinstance(value, bool):
                return None
            return float(value) if _is_in_range(row, value) else None
        case OptionKind.CHOICE:
            return value if isinstance(value, str) and value in row.choices else None
        case (
            OptionKind.TEXT | OptionKind.PATH | OptionKind.MODEL | OptionKind.JSON | OptionKind.SIZE
        ):
            return value if isinstance(value, str) and _is_good_text(row, value) else None


def _checked_int(row: Option, value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or not _is_in_range(row, value):
        return None
    return value if not row.choices or str(value) in row.choices else None


def _is_good_text(row: Option, value: str) -> bool:
    match row.kind:
        case _ if "\0" in value:
            return False
        case OptionKind.JSON:
            return _is_json_object(value)
        case OptionKind.SIZE:
            return _SIZE.fullmatch(value) is not None
        case _:
            return True


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_in_range(row: Option, value: float) -> bool:
    low, high = row.minimum, row.maximum
    # Written so that NaN is out of every range.
    return (low is None or value >= low) and (high is None or value <= high)


def _range_text(row: Option) -> str:
    kind = "a whole number" if row.kind is OptionKind.INT else "a number"
    match row.minimum, row.maximum:
        case None, None:
            return kind
        case low, None:
            return f"{kind} of at least {_number(low)}"
        case None, high:
            return f"{kind} of at most {_number(high)}"
        case low, high:
            return f"{kind} from {_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:,.10g}"
