"""Who is let in at both ports: keys of the environment, named keys, hosts and origins."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from app.engine.keys import NamedKeys
from app.engine.settings import EngineSettings
from app.gate import Policy
from app.wire.errors import AppError, ErrorCode
from app.wire.keys import NamedKey, NewKey


class Access:
    """Makes the policies of the gate from everything that they depend on.

    `key_text` has the keys of the environment, `owner_key` the one of the app that started this
    engine; that app is let in whatever keys come and go.
    """

    def __init__(
        self,
        keys: NamedKeys,
        settings: EngineSettings,
        *,
        key_text: str | None,
        owner_key: str | None,
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._fixed = Policy.from_key_text(key_text).keys
        self._owner = (hashlib.sha256(owner_key.encode()).digest(),) if owner_key else ()
        self._flushes: set[asyncio.Task[None]] = set()
        self.on_change: Callable[[], None] = _nothing
        """Called after each change of the policies."""
        self.control = Policy()
        """For the control API. Web pages are never let in there."""
        self.public = Policy()
        """For the gateway."""
        self.refresh()

    @property
    def needs_key(self) -> bool:
        """True when every request must have a key."""
        return bool(self.control.keys)

    @property
    def problem(self) -> str:
        """Why the named keys cannot be used, in words; empty when they can."""
        return self._keys.problem

    @property
    def keys(self) -> list[NamedKey]:
        """All named keys."""
        return self._keys.list()

    def refresh(self) -> None:
        """Make the policies again, from the settings and the keys as they are now."""
        is_required = bool(self._fixed) or (self._wants_keys() and self._has_keys())
        keys = (*self._fixed, *self._keys.digests, *self._owner) if is_required else ()
        if is_required and not keys:
            # Damaged files shut the door: what was locked must not open because a disk failed.
            keys = (secrets.token_bytes(32),)
        hosts = frozenset(name.lower() for name in _words(self._settings.text("allowed_hosts")))
        names = self._keys.names
        self.control = Policy(keys=keys, hosts=hosts, names=names, on_key=self._on_key)
        origins = frozenset(word.rstrip("/") for word in _words(self._settings.text("origins")))
        self.public = replace(self.control, origins=origins)
        self.on_change()

    async def create(self, name: str) -> NewKey:
        """Make a named key. Raises AppError."""
        made = await asyncio.to_thread(self._keys.create, name)
        self.refresh()
        return made

    async def revoke(self, key_id: str) -> None:
        """Forget a named key. Raises AppError, also for the last one while keys are required."""
        is_last = [key.id for key in self._keys.list()] == [key_id]
        if is_last and self._settings.flag("require_key") and not self._fixed:
            raise AppError(
                "This is the last key, and keys are required.",
                hint="Make another key first, or switch “Require a key” off.",
                code=ErrorCode.KEY_NEEDED,
            )
        await asyncio.to_thread(self._keys.revoke, key_id)
        self.refresh()

    def check(self, changes: Mapping[str, object]) -> None:
        """Refuse a change of settings that would lock everybody out. Raises AppError."""
        wants_keys = str(changes.get("require_key", "")).lower() in ("true", "1", "yes")
        if wants_keys and not (self._fixed or self._keys.digests):
            raise AppError(
                "There is no key yet that could be required.",
                hint="Make one first.",
                code=ErrorCode.KEY_NEEDED,
            )

    def _wants_keys(self) -> bool:
        # Settings that cannot be read may have wanted them.
        return self._settings.flag("require_key") or self._settings.is_damaged

    def _has_keys(self) -> bool:
        return bool(self._keys.digests) or bool(self._keys.problem)

    def _on_key(self, digest: bytes) -> None:
        if self._keys.note_use(digest):
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._keys.flush))
            self._flushes.add(task)
            task.add_done_callback(self._flushes.discard)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _nothing() -> None:
    """Stand in until somebody wants to know."""
