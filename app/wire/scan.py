"""What the worker's scan of this disk hands to the engine."""

import msgspec

from app.wire.nouns import Model


class ScanResult(msgspec.Struct, frozen=True):
    """The models that were found, and what could not be looked at, in words."""

    models: tuple[Model, ...]
    warnings: tuple[str, ...] = ()


_decoder: msgspec.json.Decoder[ScanResult] = msgspec.json.Decoder(ScanResult)


def decode_scan(data: bytes) -> ScanResult:
    """Return the result in one JSON document. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)
