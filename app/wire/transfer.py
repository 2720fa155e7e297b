"""Orders to the download worker, and the JSON lines that it writes back."""

import msgspec

from app.wire.nouns import Failure, Model
from app.wire.reading import JsonReader


class Start(msgspec.Struct, frozen=True, tag="start", tag_field="order"):
    """Download a model, from wherever an earlier try left it."""

    id: str
    revision: str = "main"
    commit: str | None = None
    """The commit that an earlier try was pinned to."""
    verify: bool = False
    """Also check the files that are there already, and replace the damaged ones."""


class Pause(msgspec.Struct, frozen=True, tag="pause", tag_field="order"):
    """Stop a download and keep every byte of it."""

    id: str


class Discard(msgspec.Struct, frozen=True, tag="discard", tag_field="order"):
    """Stop a download, if it runs, and remove its unfinished files unless they are to be kept."""

    id: str
    keep_partial: bool = False


class Hurry(msgspec.Struct, frozen=True, tag="hurry", tag_field="order"):
    """Try again now instead of waiting on."""

    id: str


class Limit(msgspec.Struct, frozen=True, tag="limit", tag_field="order"):
    """Hold all downloads together below a speed."""

    bytes_per_s: float
    """0 is no limit."""


Order = Start | Pause | Discard | Hurry | Limit


class Planned(msgspec.Struct, frozen=True, tag="planned", tag_field="event"):
    """The list of files is known, and there is space for them."""

    id: str
    commit: str
    total_bytes: int
    done_bytes: int
    files_total: int


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="event"):
    """How far a download is; at most four times a second."""

    id: str
    done_bytes: int
    files_done: int
    is_verifying: bool = False
    """True when everything is fetched and only checks are left."""
    waiting: str = ""
    """Why nothing moves, in words; empty while something does."""
    retry_at: float | None = None
    """When the next try comes, seconds since the epoch."""


class Noted(msgspec.Struct, frozen=True, tag="noted", tag_field="event"):
    """Something that the user should know about a download that goes on."""

    id: str
    text: str


class Stopped(msgspec.Struct, frozen=True, tag="stopped", tag_field="event"):
    """A download was paused or discarded; nothing more comes from it."""

    id: str


class Fetched(msgspec.Struct, frozen=True, tag="fetched", tag_field="event"):
    """Every file is in the cache and checked."""

    id: str
    total_bytes: int
    model: Model | None
    """The model as the scan of the disk sees it; None when it does not."""
    files_total: int = 0


class GaveUp(msgspec.Struct, frozen=True, tag="gave_up", tag_field="event"):
    """A download cannot go on without the user."""

    id: str
    failure: Failure
    needs_user: bool = False
    """True when retrying alone cannot help: a token, access or space is missing."""


TransferEvent = Planned | Progress | Noted | Stopped | Fetched | GaveUp

_orders: JsonReader[Order] = JsonReader(Order)
_events: JsonReader[TransferEvent] = JsonReader(TransferEvent)


def decode_order(line: bytes) -> Order:
    """Return the order in one line. Raises msgspec.DecodeError for anything else."""
    return _orders.decode(line)


def decode_transfer_event(line: bytes) -> TransferEvent:
    """Return the event in one line. Raises msgspec.DecodeError for anything else."""
    return _events.decode(line)
