"""The checksum of a file, taken while the file grows."""

import hashlib
import threading
from pathlib import Path

from app.worker.download.plan import PlannedFile
from app.worker.download.trouble import Stopped

_PIECE = 1 << 20


class Digest:
    """Has read a file up to `position`. One thread at a time may use it."""

    def __init__(self, file: PlannedFile) -> None:
        self._file = file
        self.position = 0
        if len(file.etag) == 64:
            self._hash = hashlib.sha256()
        else:
            # How git names a file; no protection against an attacker, as the hub has none here.
            self._hash = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)

    def read_to(self, path: Path, end: int, stop: threading.Event) -> None:
        """Read on up to `end`, or to the end of the file. Raises OSError, or Stopped."""
        buffer = memoryview(bytearray(_PIECE))
        with path.open("rb", buffering=0) as data:
            data.seek(self.position)
            while self.position < end:
                count = data.readinto(buffer[: end - self.position])
                if not count:
                    return
                self._hash.update(buffer[:count])
                self.position += count
                if stop.is_set():
                    raise Stopped

    def is_right(self) -> bool:
        """Return whether what was read is the whole file that the hub lists."""
        return self.position == self._file.size and self._hash.hexdigest() == self._file.etag
