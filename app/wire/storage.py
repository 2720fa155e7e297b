"""What a model takes on disk: what deleting it means, unfinished leftovers, and checks of files."""

from enum import StrEnum

import msgspec

from app.wire.reading import JsonReader


class RemovalPart(msgspec.Struct, frozen=True):
    """One folder of a model that can be deleted."""

    path: str
    size_bytes: int
    """What the disk gets back."""
    to_trash: bool
    """True when it goes to the trash, False when it is deleted from the hub's cache at once."""


class Removal(msgspec.Struct, frozen=True):
    """What deleting a model would do, to show before it is done."""

    id: str
    name: str
    parts: tuple[RemovalPart, ...]
    """One for each of its locations, in the same order."""
    servers: tuple[str, ...] = ()
    """Names of servers that use it now; while there is one, it is not deleted."""
    profiles: tuple[str, ...] = ()
    """Names of profiles that use it; while there is one, it is deleted by force only."""
    obstacle: str = ""
    """Why it cannot be deleted whatever is done, in words; empty when it can."""


class Removed(msgspec.Struct, frozen=True):
    """What deleting a model has done."""

    freed_bytes: int
    to_trash: bool = False
    left: tuple[str, ...] = ()
    """Other folders with the same weights, which are still there."""


class Leftover(msgspec.Struct, frozen=True):
    """Unfinished files of one model that no download owns."""

    id: str
    size_bytes: int
    """What the disk gets back."""
    files: int
    modified_at: float
    """Of the newest, seconds since the epoch."""


class MoveTo(StrEnum):
    """Where a queued download is moved in the queue."""

    TOP = "top"
    UP = "up"
    DOWN = "down"
    BOTTOM = "bottom"


class MoveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends to move a queued download."""

    to: MoveTo


class CheckProgress(msgspec.Struct, frozen=True, tag="progress", tag_field="event"):
    """How far a check of files is; at most four times a second."""

    done_bytes: int
    total_bytes: int
    files_done: int
    files_total: int


class CheckEnd(msgspec.Struct, frozen=True, tag="end", tag_field="event"):
    """What a check of files has found."""

    total_bytes: int
    files_total: int
    """Files that have a checksum."""
    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """Weights without a checksum to compare them with."""
    size_bytes: int = 0
    """Of all files, and the newest time of one, as they were when the check began."""
    modified_at: float = 0.0


CheckEvent = CheckProgress | CheckEnd

_leftovers: JsonReader[list[Leftover]] = JsonReader(list[Leftover])
_checks: JsonReader[CheckEvent] = JsonReader(CheckEvent)


def decode_leftovers(data: bytes) -> list[Leftover]:
    """Return the leftovers in one JSON document. Raises msgspec.DecodeError for anything else."""
    return _leftovers.decode(data)


def decode_check_event(line: bytes) -> CheckEvent:
    """Return the event in one line. Raises msgspec.DecodeError for anything else."""
    return _checks.decode(line)
