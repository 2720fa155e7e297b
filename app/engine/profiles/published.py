"""The published profiles: every change goes to the disk first."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from app.engine.bus import Bus
from app.engine.profiles import portable, predecessor, preview
from app.engine.profiles.store import ProfileStore
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, ProfileDraft
from app.wire.portable import (
    ImportPreview,
    ImportRequest,
    ImportResult,
    ImportSource,
    LaunchPreview,
)

_log = logging.getLogger("store")
_LOOK_S = 2.0
"""How often the folder is looked at for changes by other programs; a look takes under 1 ms."""


class Profiles:
    """The published profiles: every change goes to the disk first. Belongs to the engine's loop."""

    def __init__(self, store: ProfileStore, bus: Bus, shows_demo: Callable[[], bool]) -> None:
        self._store = store
        self._bus = bus
        self._shows_demo = shows_demo
        # One reader or writer at a time: two drafts of one name must not both find it free, and a
        # list that was read before a change must not be published after it.
        self._lock = asyncio.Lock()
        self._fingerprint: tuple[tuple[str, int, int], ...] | None = None

    async def create(self, draft: ProfileDraft) -> Profile:
        """Make a new profile. Raises AppError; then nothing changed."""
        async with self._lock:
            known = dict(self._bus.profiles)
            profile = await asyncio.to_thread(self._store.create, draft, existing=known)
            await self._load()
        return profile

    async def update(self, profile_id: str, draft: ProfileDraft) -> Profile:
        """Change a profile. Raises AppError; then its file is as it was."""
        async with self._lock:
            # First, so that whoever is told of another change can see it.
            await self._load()
            known = dict(self._bus.profiles)
            profile = await asyncio.to_thread(self._store.update, profile_id, draft, existing=known)
            await self._load()
        return profile

    async def delete(self, profile: Profile) -> None:
        """Move a profile to the trash. Raises AppError; then it is still there."""
        async with self._lock:
            # Before the wait, so that no server is started for it meanwhile.
            self._bus.remove(profile)
            try:
                await asyncio.to_thread(self._store.delete, profile.id)
            finally:
                await self._load()

    async def restore(self, profile_id: str) -> Profile:
        """Bring a profile back from the trash. Raises AppError; then nothing changed."""
        async with self._lock:
            known = dict(self._bus.profiles)
            profile = await asyncio.to_thread(self._store.restore, profile_id, existing=known)
            await self._load()
        return self._bus.profiles.get(profile_id, profile)

    async def preview(
        self,
        draft: ProfileDraft,
        find_model: Callable[[str], Path],
        bound: Callable[[Profile, Path], Profile],
    ) -> LaunchPreview:
        """Return what a draft would start, and what is wrong with it."""
        known, runtimes = dict(self._bus.profiles), self._store.runtimes
        return await asyncio.to_thread(preview.preview, draft, runtimes, known, find_model, bound)

    async def preview_import(self, wanted: ImportRequest) -> ImportPreview:
        """Return what an import would bring. Raises AppError for what cannot be read."""
        known = dict(self._bus.profiles)
        return portable.preview(await asyncio.to_thread(self._judge, wanted, known))

    async def take_in(self, wanted: ImportRequest) -> ImportResult:
        """Import profiles. Raises AppError for what cannot be read or saved."""
        made: list[Profile] = []
        left_out: list[str] = []
        async with self._lock:
            known = dict(self._bus.profiles)
            for one in await asyncio.to_thread(self._judge, wanted, known):
                if wanted.chosen is not None and one.entry.number not in wanted.chosen:
                    continue
                draft, lines = portable.allowed_draft(one, wanted.allow)
                left_out += lines
                if draft is not None:
                    profile = await asyncio.to_thread(self._store.create, draft, existing=known)
                    known[profile.id] = profile
                    made.append(profile)
            await self._load()
        return ImportResult(tuple(made), tuple(left_out))

    def _judge(self, wanted: ImportRequest, known: Mapping[str, Profile]) -> list[portable.Found]:
        notes: dict[int, list[str]] = {}
        if wanted.source is ImportSource.PREDECESSOR:
            path = predecessor.database()
            if path is None:
                raise AppError(
                    "There are no profiles of an earlier MLX Manager here.",
                    code=ErrorCode.NOT_FOUND,
                )
            tables, notes = predecessor.read(path)
        else:
            tables = portable.read_text(wanted.text)
        return portable.judge(tables, self._store.runtimes, known, notes)

    async def load(self) -> None:
        """Publish what is on the disk. Raises OSError when the folder cannot be made."""
        async with self._lock:
            await asyncio.to_thread(self._store.prepare)
            await self._load()

    async def follow(self) -> None:
        """Publish what people change in the files, for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if await asyncio.to_thread(self._store.fingerprint) != self._fingerprint:
                async with self._lock:
                    await self._load()

    async def _load(self) -> None:
        try:
            await asyncio.to_thread(self._store.prepare)
        except OSError as error:
            # What is known stays: profiles whose disk is gone were not deleted.
            _log.debug("the profiles cannot be read: %s", error)
            return
        shows_demo = self._shows_demo()
        if shows_demo:
            try:
                await asyncio.to_thread(self._store.ensure_demo)
            except AppError as error:
                _log.warning("the demo profile could not be made: %s", error.message)
        self._fingerprint = await asyncio.to_thread(self._store.fingerprint)
        loaded = await asyncio.to_thread(self._store.load_all)
        profiles = {p.id: p for p in loaded if shows_demo or not p.is_demo}
        for gone in [p for p in self._bus.profiles.values() if p.id not in profiles]:
            self._bus.remove(gone)
        for profile in profiles.values():
            before = self._bus.profiles.get(profile.id)
            if profile.fault is not None and (before is None or before.fault != profile.fault):
                _log.warning("profile %s: %s", profile.id, profile.fault.message)
            self._bus.put(profile)
