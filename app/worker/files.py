"""Reads folders and JSON that anybody may have written, without ever hanging or growing."""

import json
import os
import stat
from pathlib import Path
from typing import cast

Table = dict[str, object]


class UnreadableError(Exception):
    """A file that cannot be used, with the reason as an end of a sentence."""


def list_files(folder: Path) -> dict[str, int]:
    """Return name and bytes of every regular file in `folder`, links followed.

    A file that cannot be looked at is left out. Raises OSError for the folder itself.
    """
    files: dict[str, int] = {}
    for name in os.listdir(folder):  # noqa: PTH208 - names are all that is needed
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            files[name] = status.st_size
    return files


def read_text(path: Path | str, *, limit_bytes: int) -> str:
    """Return the text of a regular file. Raises UnreadableError, also when it is over the limit."""
    try:
        # Opening a pipe would wait for ever without O_NONBLOCK.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError("is not a file")
            if status.st_size > limit_bytes:
                raise UnreadableError(f"is larger than {limit_bytes // 1_000_000} MB")
            return _whole(descriptor, status.st_size).decode()
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UnreadableError("is not text") from error


def _whole(descriptor: int, size_bytes: int) -> bytes:
    """Return what is in a file; what is added meanwhile is left out."""
    data = b""
    while len(data) < size_bytes and (piece := os.read(descriptor, size_bytes - len(data))):
        data += piece
    return data


def read_table(path: Path | str, *, limit_bytes: int) -> Table:
    """Return the JSON object in a file. Raises UnreadableError."""
    return parse_table(read_text(path, limit_bytes=limit_bytes))


def parse_table(text: str | bytes) -> Table:
    """Return the JSON object in `text`. Raises UnreadableError."""
    try:
        # The standard library's reader, as that of mlx-lm: configs of Mamba models hold Infinity.
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("is not valid JSON") from error
    if not isinstance(value, dict):
        raise UnreadableError("is not a JSON object")
    return cast("Table", value)


def table(value: object) -> Table:
    """Return `value` if it is a JSON object, else an empty one."""
    return cast("Table", value) if isinstance(value, dict) else {}


def texts(value: object) -> tuple[str, ...]:
    """Return the texts in a JSON list, or one text that stands alone."""
    if isinstance(value, str):
        return (value,)
    items = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, str))


def whole_number(value: object, *, maximum: int) -> int | None:
    """Return `value` if it is a whole number from 1 to `maximum`, else None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 1 <= value <= maximum else None


def clean(text: str) -> str:
    """Return `text` without what UTF-8 cannot carry (a JSON escape of half a character)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def is_sendable(path: Path | str) -> bool:
    """True if the path's name is valid text, so that JSON can carry it."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
