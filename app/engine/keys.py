"""Named API keys on the disk: their digests, never the keys themselves."""

import hashlib
import logging
import secrets
import threading
import time
from pathlib import Path

import msgspec

from app import files
from app.wire.errors import AppError, ErrorCode
from app.wire.keys import MAX_NAME, NamedKey, NewKey
from app.wire.reading import read_json

_log = logging.getLogger("engine")
_PREFIX = "mlxm-"
"""Tells where a key belongs, when somebody finds one in a file."""
_MAX_KEYS = 100
_USE_STEP_S = 60.0


class _Record(msgspec.Struct, frozen=True):
    """One line of the file."""

    id: str
    name: str
    sha256: str
    created_at: float
    last_used_at: float | None = None


class NamedKeys:
    """The named keys of one engine. Methods that write raise AppError and then change nothing.

    They may be called in any thread.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[bytes, _Record] = {}
        self._uses: dict[bytes, float] = {}
        self._lock = threading.Lock()
        self.problem = ""
        """Why the file cannot be read, in words; it is not overwritten then."""
        self._load()

    @property
    def digests(self) -> tuple[bytes, ...]:
        """SHA-256 digests of all named keys."""
        return tuple(self._records)

    @property
    def names(self) -> dict[bytes, str]:
        """Names of the keys, by their digests."""
        return {digest: record.name for digest, record in self._records.items()}

    def list(self) -> list[NamedKey]:
        """Return all keys, the oldest first."""
        return [self._public(digest, record) for digest, record in self._records.items()]

    def create(self, name: str) -> NewKey:
        """Make a key of 256 random bits."""
        name = name.strip()
        if not name or len(name) > MAX_NAME:
            raise AppError(
                f"The name of a key must have 1 to {MAX_NAME} characters.",
                code=ErrorCode.BAD_REQUEST,
            )
        secret = _PREFIX + secrets.token_urlsafe(32)
        digest = hashlib.sha256(secret.encode()).digest()
        with self._lock:
            self._check_room(name)
            record = _Record(secrets.token_hex(4), name, digest.hex(), time.time())
            self._save({**self._records, digest: record})
        return NewKey(self._public(digest, record), secret)

    def revoke(self, key_id: str) -> None:
        """Forget a key: it opens nothing from now on."""
        with self._lock:
            left = {digest: r for digest, r in self._records.items() if r.id != key_id}
            if len(left) == len(self._records):
                raise AppError(f"There is no key “{key_id}”.", code=ErrorCode.NOT_FOUND)
            self._save(left)

    def note_use(self, digest: bytes) -> bool:
        """Remember in memory that a key was used; return True when that is worth a `flush`."""
        record = self._records.get(digest)
        now = time.time()
        if record is None:
            return False
        if now - self._uses.get(digest, record.last_used_at or 0.0) < _USE_STEP_S:
            return False
        self._uses[digest] = now
        return True

    def flush(self) -> None:
        """Write down when keys were used. Trouble is logged only: nothing of value is lost."""
        try:
            with self._lock:
                self._save(self._records)
        except AppError as error:
            _log.warning("%s", error.message)

    def _check_room(self, name: str) -> None:
        if any(record.name == name for record in self._records.values()):
            raise AppError(
                f"There is a key “{name}” already.",
                hint="Revoke it first, or choose another name.",
                code=ErrorCode.NAME_TAKEN,
            )
        if len(self._records) >= _MAX_KEYS:
            raise AppError(
                f"There are {_MAX_KEYS} keys, which is the most.",
                hint="Revoke keys that nobody uses.",
                code=ErrorCode.BAD_REQUEST,
            )

    def _load(self) -> None:
        try:
            records = read_json(self._path.read_bytes(), list[_Record])
            self._records = {bytes.fromhex(record.sha256): record for record in records}
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, ValueError) as error:
            self.problem = (
                f"{self._path.name} cannot be read ({error}), so no named key is accepted. Repair "
                f"or delete {self._path}, then start the engine again."
            )

    def _save(self, records: dict[bytes, _Record]) -> None:
        if self.problem:
            raise AppError(self.problem, code=ErrorCode.STORE_FAILED)
        records = {
            digest: msgspec.structs.replace(
                record, last_used_at=self._uses.get(digest, record.last_used_at)
            )
            for digest, record in records.items()
        }
        text = msgspec.json.format(msgspec.json.encode([*records.values()])).decode()
        try:
            files.write_atomically(self._path, text + "\n", mode=0o600)
        except OSError as error:
            raise AppError(
                f"The keys could not be saved: {error.strerror or error}.",
                hint="Free some space, then try again.",
                code=ErrorCode.STORE_FAILED,
            ) from error
        self._records = records

    def _public(self, digest: bytes, record: _Record) -> NamedKey:
        used_at = self._uses.get(digest, record.last_used_at)
        return NamedKey(record.id, record.name, record.created_at, used_at)
