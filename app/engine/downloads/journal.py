"""Keeps the list of downloads on disk in step with the one in memory."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from app.engine.downloads.store import DownloadStore
from app.wire.nouns import Download


class Journal:
    """Writes the list in the background, the newest only."""

    def __init__(self, path: Path, read: Callable[[], list[Download]]) -> None:
        self._store = DownloadStore(path)
        self._read = read
        self._saving: asyncio.Task[None] | None = None
        self._is_dirty = False

    @property
    def problem(self) -> str:
        """What was wrong with the file when it was loaded, in words."""
        return self._store.problem

    async def load(self) -> list[Download]:
        """Return the list as an earlier engine left it."""
        return await asyncio.to_thread(self._store.load)

    def save(self) -> None:
        """Write the list soon."""
        self._is_dirty = True
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._write(), name="list of downloads")

    async def saved(self) -> None:
        """Wait until the list as it is now is on disk."""
        self.save()
        if self._saving is not None:
            await asyncio.shield(self._saving)

    async def _write(self) -> None:
        while self._is_dirty:
            self._is_dirty = False
            await asyncio.to_thread(self._store.save, self._read())
