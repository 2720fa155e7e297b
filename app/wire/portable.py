"""What travels when profiles are exported, imported or looked at before a start."""

from enum import StrEnum

import msgspec

from app import paths
from app.wire.nouns import Profile

SUFFIX = paths.PROFILE_SUFFIX
"""How the name of an exported file ends."""
FORMAT = "mlx-manager-profiles"
FORMAT_VERSION = 1


class Consent(StrEnum):
    """Why a value of somebody else's profile is not taken without asking."""

    PATHS = "paths"
    ENVIRONMENT = "environment"
    NETWORK = "network"
    CODE = "code"


CONSENT_TEXT: dict[Consent, str] = {
    Consent.PATHS: "Reads or runs files at this place on your computer.",
    Consent.ENVIRONMENT: "Sets environment variables of the server's process.",
    Consent.NETWORK: "Opens the server to other computers.",
    Consent.CODE: "Runs Python files of the model with all your rights.",
}


class ImportSource(StrEnum):
    """Where imported profiles come from."""

    FILE = "file"
    PREDECESSOR = "predecessor"


class ImportValue(msgspec.Struct, frozen=True):
    """One value of an imported profile that differs from the default."""

    key: str
    """Names it in `ImportRequest.allow`: the number of its profile and its name, `0.temp`."""
    label: str
    value: str
    """For people, with its unit."""
    default: str
    """What would count without it, for people."""
    consent: Consent | None = None
    """Set for a value that is left out unless it is allowed."""


class ImportEntry(msgspec.Struct, frozen=True):
    """One profile of an import."""

    number: int
    name: str
    """What it will be called here."""
    original_name: str
    model: str
    values: tuple[ImportValue, ...] = ()
    notes: tuple[str, ...] = ()
    """What cannot be taken over and why, a sentence each."""
    problem: str = ""
    """Why it cannot be imported at all; empty when it can."""


class ImportPreview(msgspec.Struct, frozen=True):
    """What an import would bring."""

    entries: tuple[ImportEntry, ...]


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends to preview or to do an import."""

    text: str = ""
    """The content of the file."""
    source: ImportSource = ImportSource.FILE
    chosen: tuple[int, ...] | None = None
    """Numbers of the profiles to import; None is all of them."""
    allow: tuple[str, ...] = ()
    """Keys of values, or whole kinds of consent."""


class ImportResult(msgspec.Struct, frozen=True):
    """What an import has brought."""

    profiles: tuple[Profile, ...]
    left_out: tuple[str, ...] = ()
    """What was not taken over, a line each."""


class PythonFacts(msgspec.Struct, frozen=True):
    """What is known of a Python that can run servers."""

    path: str
    """The program; empty for the one that is built in."""
    text: str
    """For people: `mlx-lm 0.31.2 · mlx 0.31.0 · Python 3.12`; empty when it cannot be used."""
    problem: str = ""
    """Why it cannot be used, as a sentence."""
    unsupported: dict[str, str] = {}
    """Names of options that it does not know, each with the reason for people."""


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field of a draft."""

    field: str
    """`name`, `model`, or the name of an option or policy."""
    message: str


class LaunchPreview(msgspec.Struct, frozen=True):
    """What a draft would start."""

    command: str
    """As it is typed in a terminal; empty while it cannot be told."""
    problems: tuple[FieldProblem, ...] = ()
    python: PythonFacts | None = None
