"""An unfinished file and, beside it, how many bytes of each segment are there."""

import contextlib
import errno
import fcntl
import os
import struct
import sys
import threading
from pathlib import Path

from app.worker.download.cache import PARTIAL, STATE
from app.worker.download.plan import PlannedFile

SEGMENT = 32 << 20
"""Bytes that one request asks for: long enough for the speed, short enough to share a file."""
_HEADER = struct.Struct("<8sQQ")
_COUNT = struct.Struct("<Q")
_MAGIC = b"MMMPART1"
_F_PREALLOCATE = 42
"""Of macOS; the standard library does not name it."""


class DiskError(Exception):
    """The disk failed while a thread read from the network, whose errors are of the same class."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Partial:
    """The unfinished file of one content. Threads may write different segments at a time."""

    def __init__(self, blobs: Path, file: PlannedFile) -> None:
        self.file = file
        self.path = blobs / f"{file.etag}{PARTIAL}"
        self._state = blobs / f"{file.etag}{STATE}"
        self._lock = threading.Lock()
        self._done = [0] * -(-file.size // SEGMENT)

    @property
    def done_bytes(self) -> int:
        """Bytes that are on this disk."""
        return sum(self._done)

    @property
    def is_complete(self) -> bool:
        """True when every byte is there, checked or not."""
        return self.done_bytes == self.file.size

    @property
    def first_bytes(self) -> int:
        """How many bytes are there without a gap from the start on."""
        for segment, done in enumerate(self._done):
            if done < self._length(segment):
                return segment * SEGMENT + done
        return self.file.size

    def allocated_bytes(self) -> int:
        """Return what the file takes from the disk already."""
        try:
            return min(self.path.stat().st_blocks * 512, self.file.size)
        except OSError:
            return 0

    def open(self) -> None:
        """Take up what an earlier try left, or begin anew. Raises OSError."""
        counts = self._read_state()
        if counts is not None:
            self._done = counts
            return
        self.reset()

    def reset(self) -> None:
        """Begin anew: nothing is there. Raises OSError."""
        self._state.unlink(missing_ok=True)
        with self.path.open("wb") as data:
            data.truncate(self.file.size)
        with self._lock:
            self._done = [0] * len(self._done)
            head = _HEADER.pack(_MAGIC, self.file.size, SEGMENT)
            self._state.write_bytes(head + bytes(_COUNT.size * len(self._done)))

    def reserve(self) -> None:
        """Take the space from the disk. Raises OSError with ENOSPC when there is too little."""
        if not self.file.size:
            return
        with self.path.open("r+b") as data:
            try:
                _allocate(data.fileno(), self.file.size)
            except OSError as error:
                # Not every file system can; then the check of the free space must do.
                if error.errno == errno.ENOSPC:
                    raise

    def missing(self) -> list[int]:
        """Return the segments that are not complete."""
        return [i for i, done in enumerate(self._done) if done < self._length(i)]

    def span(self, segment: int) -> tuple[int, int]:
        """Return the first missing byte of a segment, and where the segment ends."""
        start = segment * SEGMENT
        return start + self._done[segment], start + self._length(segment)

    def writer(self) -> "Writer":
        """Return what writes to the file; close it when done. Raises DiskError."""
        return Writer(self)

    def state_path(self) -> Path:
        """Return the file with the counts."""
        return self._state

    def missing_within(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """Return (segment, start, end) of what is missing between two offsets."""
        found: list[tuple[int, int, int]] = []
        for segment in range(start // SEGMENT, -(-end // SEGMENT)):
            first, last = self.span(segment)
            if max(first, start) < min(last, end):
                found.append((segment, max(first, start), min(last, end)))
        return found

    def advance(self, segment: int, start: int, end: int) -> int | None:
        """Count the bytes from `start` to `end`; return the new count, None if none is new."""
        with self._lock:
            have = segment * SEGMENT + self._done[segment]
            if not start <= have < end:
                return None
            self._done[segment] = end - segment * SEGMENT
            return self._done[segment]

    def flush(self) -> None:
        """Bring what is written to the disk, so that there is little to bring at the end."""
        with self.path.open("r+b") as data:
            os.fsync(data.fileno())

    def publish(self, blob: Path) -> None:
        """Give the complete file its good name. Raises OSError."""
        with self.path.open("r+b") as data:
            # Before the name: after a power cut, what has a good name must be good.
            os.fsync(data.fileno())
        self.path.replace(blob)
        self._state.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file and its counts."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
            self._state.unlink(missing_ok=True)

    def _length(self, segment: int) -> int:
        return min(SEGMENT, self.file.size - segment * SEGMENT)

    def _read_state(self) -> list[int] | None:
        try:
            state = self._state.read_bytes()
            size = self.path.stat().st_size
        except OSError:
            return None
        expected = _HEADER.pack(_MAGIC, self.file.size, SEGMENT)
        if size != self.file.size or not state.startswith(expected):
            return None
        if len(state) != _HEADER.size + _COUNT.size * len(self._done):
            return None
        counts = [count for (count,) in _COUNT.iter_unpack(state[_HEADER.size :])]
        return [min(count, self._length(i)) for i, count in enumerate(counts)]


class Writer:
    """Two open descriptors of a partial file; each thread has its own.

    A thread that hangs in a system call may wake up late. Then its writes must not hit a file that
    got the same descriptor meanwhile.
    """

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        try:
            self._data = os.open(partial.path, os.O_WRONLY)
            try:
                self._state = os.open(partial.state_path(), os.O_WRONLY)
            except OSError:
                os.close(self._data)
                raise
        except OSError as error:
            raise DiskError(error) from error

    def write(self, offset: int, data: memoryview) -> int:
        """Write what is missing of `data`, then count it; return how many bytes were new.

        Raises DiskError.
        """
        try:
            return self._write(offset, data)
        except OSError as error:
            raise DiskError(error) from error

    def _write(self, offset: int, data: memoryview) -> int:
        new = 0
        for segment, start, end in self._partial.missing_within(offset, offset + len(data)):
            position = start
            while position < end:
                position += os.pwrite(self._data, data[position - offset : end - offset], position)
            count = self._partial.advance(segment, start, end)
            if count is not None:
                place = _HEADER.size + segment * _COUNT.size
                # After the data: a killed process leaves no byte counted that is not there.
                os.pwrite(self._state, _COUNT.pack(count), place)
                new += end - start
        return new

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._data)
        os.close(self._state)


def _allocate(descriptor: int, size: int) -> None:
    if sys.platform == "darwin":
        missing = size - os.fstat(descriptor).st_blocks * 512
        if missing > 0:
            # struct fstore of <sys/fcntl.h>: F_ALLOCATEALL from the file's physical end.
            order = struct.pack("Iiqqq", 4, 3, 0, missing, 0)
            fcntl.fcntl(descriptor, _F_PREALLOCATE, order)
    else:
        os.posix_fallocate(descriptor, 0, size)
