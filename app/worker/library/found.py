"""A model's folder as it was found, described or remembered."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from app.wire.nouns import Model, ModelSource
from app.worker.describe import describe, is_model, is_weights
from app.worker.files import is_sendable
from app.worker.library.listing import Listing
from app.worker.library.memory import Memory


class Found(msgspec.Struct, frozen=True):
    """A model and what its place says of it."""

    model: Model
    files: dict[str, int]
    """Name to bytes of its config and weights."""
    folder: str


class Seen(msgspec.Struct, frozen=True):
    """What was read in a model's files; it has no name yet."""

    model: Model
    files: dict[str, int]


class Names(msgspec.Struct, frozen=True):
    """What a model is called by its place."""

    id: str
    author: str
    name: str
    source: ModelSource


def find(
    folder: str, stamp: str, names: Names, memory: Memory, read: Callable[[], Seen | None]
) -> Found | None:
    """Return the model in a folder, None if there is none. Reads it only when the stamp is new."""
    known = memory.get(folder, stamp)
    if known is None:
        seen = read()
        if seen is None:
            return None
        model, files = seen.model, {n: s for n, s in seen.files.items() if _is_telling(n)}
    else:
        model, files = known
    model = msgspec.structs.replace(
        model, **msgspec.structs.asdict(names), path=folder, locations=(folder,)
    )
    memory.put(folder, stamp, model, files)
    return Found(model, files, folder)


def read_model(
    folder: str, listing: Listing, *, is_snapshot: bool = False, has_partial_files: bool = False
) -> Seen | None:
    """Return what the files in a folder say, None if they are no model."""
    if not is_model(listing.files, has_partial_files=has_partial_files) or not is_sendable(folder):
        return None
    described = describe(
        Path(folder), listing.files, is_snapshot=is_snapshot, has_partial_files=has_partial_files
    )
    model = Model(
        id="", name="", author="", source=ModelSource.FOLDER, path=folder,
        size_bytes=listing.size_bytes, modified_at=listing.modified_at,
        **msgspec.structs.asdict(described),
    )  # fmt: skip
    return Seen(model, listing.files)


def _is_telling(name: str) -> bool:
    return name == "config.json" or is_weights(name)
