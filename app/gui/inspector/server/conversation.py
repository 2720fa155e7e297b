"""A conversation of the Try page on this disk, for those who asked for it; bounded in size."""

import contextlib
import hashlib
import threading
from collections.abc import Sequence
from typing import Final

import msgspec

from app import files, paths
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import EngineInfo

MOST_TURNS: Final = 50
MOST_BYTES: Final = 1_000_000


class Past(msgspec.Struct, frozen=True):
    """One question with its answer, as they were."""

    question: str
    text: str
    reasoning: str = ""
    figures: str = ""
    """What was said below it: how long it took, or why it broke off."""


class Conversation:
    """The file of one profile's conversation; it is there only while it is to be remembered.

    `store` belongs to workers, all else to the window's thread.
    """

    def __init__(self, engine: EngineInfo, profile_id: str) -> None:
        # Profiles of other computers may have the same id.
        place = hashlib.sha256(f"{engine.machine.name}\n{engine.home}\n{profile_id}".encode())
        self._path = paths.home() / "conversations" / f"{place.hexdigest()[:24]}.json"
        self._lock = threading.Lock()
        self._wanted: Sequence[Past] | None = None

    def read(self) -> list[Past] | None:
        """Return what is remembered, oldest first; None when nothing is to be remembered."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[Past])
        except (OSError, msgspec.DecodeError):
            return None

    def want(self, turns: Sequence[Past] | None) -> None:
        """Say what `store` is to keep; None for nothing at all."""
        self._wanted = turns

    def store(self) -> None:
        """Write what is wanted now, or delete the file. Raises AppError."""
        with self._lock:
            wanted = self._wanted
            try:
                if wanted is None:
                    with contextlib.suppress(FileNotFoundError):
                        self._path.unlink()
                    return
                files.make_folder(self._path.parent)
                files.write_atomically(self._path, _bounded(wanted), mode=0o600)
            except OSError as error:
                raise AppError(
                    f"The conversation cannot be remembered: {error.strerror or error}.",
                    code=ErrorCode.STORE_FAILED,
                ) from error


def _bounded(turns: Sequence[Past]) -> str:
    """Return the newest turns as JSON, as many as the bounds allow."""
    kept = list(turns[-MOST_TURNS:])
    while len(text := msgspec.json.encode(kept)) > MOST_BYTES and kept:
        del kept[0]
    return text.decode()
