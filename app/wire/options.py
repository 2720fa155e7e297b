"""How a runtime describes its options, so that form, check, flag and help come from one table."""

from enum import StrEnum

import msgspec

OptionValue = bool | int | float | str


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
