"""What the worker's scan of this disk hands to the engine."""

import msgspec

from app.wire.nouns import Model
from app.wire.reading import JsonReader


class Place(msgspec.Struct, frozen=True):
    """A folder that models are looked for in."""

    path: str
    name: str
    """Whose it is, for people: Hugging Face, LM Studio, oMLX; empty for a folder of the user's."""
    models: int = 0
    """How many were found there, those that are elsewhere too included."""
    problem: str = ""
    """Why it could not be searched; empty when it could."""


class ScanResult(msgspec.Struct, frozen=True):
    """The models that were found, and what could not be looked at, in words."""

    models: tuple[Model, ...]
    warnings: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    hints: tuple[str, ...] = ()
    """Paths that decide where else to look, by their content or once they are there."""


_decoder: JsonReader[ScanResult] = JsonReader(ScanResult)


def decode_scan(data: bytes) -> ScanResult:
    """Return the result in one JSON document. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)
