"""Reads JSON and TOML that others wrote: whatever is wrong with it is one kind of error."""

import tomllib
from typing import Any, Generic, TypeVar, cast

import msgspec

_T = TypeVar("_T")
_LARGEST = 2**63
"""TOML asks for whole numbers of 64 bits; Python writes no number above 4300 digits as text."""
_SHOWN = 80


class JsonReader(Generic[_T]):
    """Reads JSON of one kind."""

    def __init__(self, kind: Any) -> None:
        # A union is no type, so the caller's annotation says what comes out.
        self._decoder: msgspec.json.Decoder[_T] = msgspec.json.Decoder(kind)

    def decode(self, data: bytes | bytearray | memoryview | str) -> _T:
        """Return what a document holds. Raises msgspec.DecodeError, and nothing else."""
        try:
            return self._decoder.decode(data)
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError("it is not UTF-8 text") from error
        except RecursionError as error:
            raise msgspec.DecodeError("it has too many levels of brackets") from error


def read_json(data: bytes | bytearray | memoryview | str, kind: type[_T]) -> _T:
    """Return what a document holds. Raises msgspec.DecodeError, and nothing else."""
    reader: JsonReader[_T] = JsonReader(kind)
    return reader.decode(data)


def read_toml(text: str) -> dict[str, Any]:
    """Return the tables of a document. Raises tomllib.TOMLDecodeError, and nothing else."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("The file has too many levels of brackets") from error
    except ValueError as error:
        # The one thing that its parser leaves to Python: a number that is too long to be read.
        raise tomllib.TOMLDecodeError(_TOO_LARGE) from error
    _check_numbers(document)
    return document


_TOO_LARGE = "A whole number is too large"


def _check_numbers(document: dict[str, Any]) -> None:
    waiting: list[object] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += cast("dict[str, object]", value).values()
        elif isinstance(value, list):
            waiting += cast("list[object]", value)
        elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
            raise tomllib.TOMLDecodeError(_TOO_LARGE)


def quoted(value: object) -> str:
    """Return a value as a sentence about it shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
