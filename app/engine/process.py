"""Child processes of the engine: orders go down standard input, JSON lines come back."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from app import files, paths

_log = logging.getLogger("engine")
_KILL_S = 2.0
"""How long a killed process may take to be gone."""
_SECRETS = ("MLX_MANAGER_API_KEY", "MLX_MANAGER_UPSTREAM_TOKEN")


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child: the engine's own without its secrets, plus `extra`."""
    environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    environment["PYTHONUNBUFFERED"] = "1"
    environment.update(extra or {})
    return environment


class Child:
    """A running child that this process owns: closing its standard input ends it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def spawn(
        cls, mode: str, *arguments: str, stderr: Path, env: Mapping[str, str] | None = None
    ) -> "Child":
        """Start this program in `mode` with its standard error appended to a file.

        Raises OSError when the file or the process cannot be made.
        """
        if stderr in paths.worker_logs():
            files.trim(stderr)
        with stderr.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *paths.program(mode),
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=child_environment(env),
                cwd=paths.program_root(),
                start_new_session=True,
                limit=2**20,
            )
        return cls(process)

    @property
    def pid(self) -> int:
        """Process id of the child itself."""
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        """True when the child itself has ended, whoever still holds its pipes."""
        return self._process.returncode is not None

    def send(self, order: object) -> None:
        """Write one order; a child that is already gone takes none."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield each line until every holder of the pipe is gone."""
        stream = self._process.stdout
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:
                # Longer than any line of ours; the reader has dropped it.
                _log.warning("a line of process %d was too long and is ignored", self.pid)
                continue
            if not line:
                return
            yield line

    async def close(self, *, deadline_s: float) -> None:
        """Close standard input and wait for the end; kill the child after `deadline_s`.

        When this is cancelled, a child that still lives is killed at once.
        """
        try:
            if await self._ends_within(deadline_s):
                return
            # A child that is gone may come here too when a stranger holds its output open: the loop
            # of asyncio itself waits for the stranger.
            if not self.is_gone:
                _log.warning("process %d did not end in time and is killed", self.pid)
                self._process.kill()
                await self._ends_within(_KILL_S)
        except asyncio.CancelledError:
            # Nobody waits any more, and nobody else would end it.
            if not self.is_gone:
                self._process.kill()
            raise
        finally:
            # The stranger may live for ever, and our end of the pipe with it.
            transport = getattr(self._process, "_transport", None)
            if self.is_gone and transport is not None:
                transport.close()

    async def _ends_within(self, deadline_s: float) -> bool:
        try:
            async with asyncio.timeout(deadline_s):
                if self._process.stdin is not None:
                    # Not awaited: a time-out would cancel a future that asyncio still sets.
                    self._process.stdin.close()
                await self._process.wait()
        except TimeoutError:
            return False
        return True
