"""Room in memory for a server that starts: who must go for it, and who waits for it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.engine.supervisor.planner import Planner
from app.engine.supervisor.victims import least_recent
from app.wire.errors import AppError, ErrorCode
from app.wire.fit import needed_bytes
from app.wire.hub import Verdict
from app.wire.nouns import Profile
from app.wire.shape import ModelShape

_log = logging.getLogger("server")
WAIT_S = 60.0
"""How long a request waits for memory; clients rarely wait longer for a first byte."""
MOST_WAITING = 32
"""Requests that wait for memory at a time; further ones are refused at once."""


class Servers(Protocol):
    """What is known of running servers, and how one is stopped."""

    def evictable(self) -> Sequence[str]:
        """Return who may be stopped to free memory, the least recently used first."""
        ...

    def evict(self, server_id: str, reason: str) -> None:
        """Stop a server; the reason is shown on its tile."""
        ...

    def ending(self) -> Sequence[str]:
        """Return the servers whose memory is about to come free."""
        ...


@dataclass(eq=False)
class _Waiter:
    """A start that waits for memory."""

    profile: Profile
    shape: ModelShape
    """What it must have."""
    wished: ModelShape
    """With the cache of its usual context, which may be more."""
    has_claim: bool = False
    """True once others end for it: what comes free is not for the next in line."""


class Room:
    """Lets starts begin only when they fit. Belongs to the engine's loop."""

    def __init__(self, planner: Planner, servers: Servers) -> None:
        self._planner = planner
        self._memory = planner.memory
        self._servers = servers
        self._waiting: list[_Waiter] = []
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Have all who wait look again: a server ended or became idle, or a second went by."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, profile: Profile, is_wanted: Callable[[], bool]) -> None:
        """Return when the profile's server fits, or is not wanted any more.

        Raises AppError with the arithmetic when there is no room in time.
        """
        if not self._others(profile.id) and not self._waiting:
            # Alone, the start itself says what is wrong, and no request waits for a measurement.
            return
        others = sum(self._others(profile.id).values()) + self._memory.foreign_bytes()
        try:
            shape = wished = await self._planner.shape(profile, others_bytes=others)
        except AppError:
            # The start says what is wrong with the model, and shows it on the tile.
            return
        if not self._fits(wished, 0):
            # Even alone its usual context is too long; then it gets what there is.
            shape = ModelShape(wished.weights_bytes)
        waiter = _Waiter(profile, shape, wished)
        is_full = len(self._waiting) >= MOST_WAITING
        if (is_full and not self._is_free_for(waiter)) or not self._fits(shape, 0):
            raise self._refusal(waiter)
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(WAIT_S):
                while is_wanted() and not self._is_free_for(waiter):
                    await self._changed.wait()
        except TimeoutError:
            raise self._refusal(waiter) from None
        finally:
            self._waiting.remove(waiter)
        self._memory.expect(profile.id, needed_bytes(shape))

    async def shortage(self, profile: Profile) -> str:
        """Return the arithmetic when the profile's server does not fit now, empty when it does."""
        others = sum(self._others(profile.id).values()) + self._memory.foreign_bytes()
        try:
            shape = await self._planner.shape(profile, others_bytes=others)
        except AppError:
            # The start says what is wrong with the model, and shows it on the tile.
            return ""
        if not self._fits(shape, 0):
            # Even alone its usual context is too long; then it gets what there is.
            shape = ModelShape(shape.weights_bytes)
        return "" if self._fits(shape, others) else self._planner.fit(shape, others).sentence

    async def make(
        self, profile: Profile, weights_bytes: int, is_wanted: Callable[[], bool]
    ) -> None:
        """Make what room there is to make for a start that goes on in any case.

        Returns when those who go for it are gone, or it is not wanted any more.
        """
        self._memory.expect(profile.id, needed_bytes(ModelShape(weights_bytes)))
        if not self._servers.evictable() and not self._servers.ending():
            return
        others = sum(self._others(profile.id).values()) + self._memory.foreign_bytes()
        try:
            shape = await self._planner.shape(profile, others_bytes=others)
        except AppError:
            return
        waiter = _Waiter(profile, shape, shape)
        self._memory.expect(profile.id, needed_bytes(shape))
        try:
            async with asyncio.timeout(WAIT_S):
                while is_wanted() and not self._is_free_for(waiter) and waiter.has_claim:
                    await self._changed.wait()
        except TimeoutError:
            _log.info("server %s starts before all of its memory is free", profile.id)

    def _is_free_for(self, waiter: _Waiter) -> bool:
        """Return True when it fits now; else stop whom it takes, if that is enough."""
        others = self._others(waiter.profile.id)
        claims = {
            other.profile.id: needed_bytes(other.shape)
            for other in self._waiting
            if other.has_claim and other.profile.id != waiter.profile.id
        }
        taken = sum(others.values()) + sum(claims.values()) + self._memory.foreign_bytes()
        if self._fits(waiter.shape, taken):
            return True
        ending = sum(others.get(name, 0) for name in self._servers.ending())
        staying = taken - ending
        if self._fits(waiter.shape, staying):
            waiter.has_claim = True
            return False
        held = {name: others[name] for name in self._servers.evictable() if name in others}
        victims = least_recent(held, lambda freed: self._fits(waiter.shape, staying - freed))
        waiter.has_claim = bool(victims)
        sentence = self._planner.fit(waiter.shape, taken).sentence
        for name in victims:
            _log.info("server %s makes room for %s: %s", name, waiter.profile.id, sentence)
            self._servers.evict(name, f"Stopped to make room for “{waiter.profile.name}”.")
        return False

    def _others(self, profile_id: str) -> dict[str, int]:
        return {name: size for name, size in self._memory.held().items() if name != profile_id}

    def _fits(self, shape: ModelShape, others_bytes: int) -> bool:
        return self._planner.fit(shape, others_bytes).verdict is not Verdict.TOO_BIG

    def _refusal(self, waiter: _Waiter) -> AppError:
        others = sum(self._others(waiter.profile.id).values()) + self._memory.foreign_bytes()
        sentence = self._planner.fit(waiter.wished, others).sentence
        return AppError(
            f"There is no memory for “{waiter.profile.name}” now: {sentence}.",
            hint="Try again when another server is idle, or stop one.",
            code=ErrorCode.SERVER_NOT_READY,
        )
