"""A server goes on though its log cannot be written: on a full disk, or on one that is gone.

http.server writes a line to standard error before each answer, so that otherwise every request to a
healthy server would end without one.
"""

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer


class _Log(io.RawIOBase):
    """Writes to a file descriptor; what cannot be written is lost, and nobody is told."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, data: "Buffer", /) -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError:
            return memoryview(data).nbytes


def outlive_the_disk() -> None:
    """Make standard output and standard error streams whose writes never raise."""
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(
            io.BufferedWriter(_Log(descriptor)), "utf-8", "backslashreplace", line_buffering=True
        )
        for descriptor in (1, 2)
    )
