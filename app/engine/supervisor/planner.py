"""What a profile's server will need of the memory, and what a start of it would mean."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from app.engine.bus import Bus
from app.engine.hub import Hub
from app.engine.memory import Memory
from app.engine.supervisor import preflight
from app.engine.supervisor.victims import fewest
from app.wire.errors import AppError, ErrorCode
from app.wire.fit import FITS_PERCENT, fit, needed_bytes, runtime_bytes
from app.wire.hub import Fit, Verdict
from app.wire.nouns import Profile
from app.wire.plan import StartPlan
from app.wire.shape import CacheShape, ModelShape

_log = logging.getLogger("server")
_MEASURE_S = 5.0
"""A start waits no longer for the shape of a model's cache; the size of its files is enough."""


class Planner:
    """Knows the shapes of models. Belongs to the engine's loop.

    `hub` measures models; without one only the size of their files counts.
    """

    def __init__(self, bus: Bus, memory: Memory, cache: Path, hub: Hub | None = None) -> None:
        self.memory = memory
        self._bus = bus
        self._cache = cache
        self._hub = hub
        self._shapes: dict[tuple[Path, float], ModelShape] = {}

    async def shape(self, profile: Profile, *, others_bytes: int | None = None) -> ModelShape:
        """Return the shape of the profile's model with its draft model. Raises AppError.

        With `others_bytes`, which other servers hold, the cache is measured only where it could
        matter: that takes a process of its own and up to some seconds.
        """
        return await self._shape(profile, lambda size: self._is_ample(size, others_bytes))

    async def _shape(self, profile: Profile, is_enough: Callable[[int], bool]) -> ModelShape:
        """Measure the cache unless the size of the weights alone is enough to know."""
        shape = await self._shape_of(profile.model, is_enough)
        draft = str(profile.options.get("draft_model", ""))
        if not draft:
            return shape
        try:
            return _both(shape, await self._shape_of(draft, is_enough))
        except AppError:
            # The start will say what is wrong with it.
            return shape

    def fit(self, shape: ModelShape, others_bytes: int, context: int | None = None) -> Fit:
        """Return whether a model fits beside servers that hold so much."""
        limit = self.memory.limit_bytes()
        return fit(shape, limit_bytes=limit, others_bytes=others_bytes, context=context)

    async def plan(
        self, profile: Profile, context: int | None, idle: Callable[[], tuple[str, ...]]
    ) -> StartPlan:
        """Return what a start would mean now.

        `idle` returns the servers that may be stopped for it, the least recently used first.
        Answers at once where the weights alone are too much.
        """
        held = {name: size for name, size in self.memory.held().items() if name != profile.id}
        foreign = self.memory.foreign_bytes()

        def is_hopeless(weights: int) -> bool:
            alone = ModelShape(weights)
            return self.fit(alone, sum(held.values()) + foreign).verdict is Verdict.TOO_BIG

        try:
            shape = await self._shape(profile, is_hopeless)
        except AppError as error:
            is_unsupported = error.code is ErrorCode.MODEL_UNSUPPORTED
            verdict = Verdict.UNSUPPORTED if is_unsupported else Verdict.UNKNOWN
            return StartPlan(profile.id, verdict, error.message, context or 0)
        found = self.fit(shape, sum(held.values()) + foreign, context)

        def fits(freed: int) -> bool:
            rest = sum(held.values()) + foreign - freed
            return self.fit(shape, rest, context).verdict is not Verdict.TOO_BIG

        stop_first: tuple[str, ...] = ()
        if found.verdict is Verdict.TOO_BIG:
            ordered = _ordered(held, idle())
            stop_first = fewest(ordered[0], fits) or fewest(ordered[1], fits)
        return StartPlan(
            profile.id,
            found.verdict,
            found.sentence,
            found.context,
            weights_bytes=found.weights_bytes,
            cache_bytes=found.cache_bytes,
            runtime_bytes=found.runtime_bytes,
            needed_bytes=needed_bytes(shape, context),
            others_bytes=held,
            foreign_bytes=foreign,
            limit_bytes=found.limit_bytes,
            stop_first=stop_first,
        )

    async def _shape_of(self, model: str, is_enough: Callable[[int], bool]) -> ModelShape:
        models = self._bus.models
        folder = await asyncio.to_thread(preflight.resolve_model, model, models, self._cache)
        key = folder, await asyncio.to_thread(_changed_at, folder)
        known = self._shapes.get(key)
        if known is not None:
            return known
        weights = await asyncio.to_thread(preflight.weights_bytes, folder)
        if self._hub is None or is_enough(weights):
            return ModelShape(weights)
        try:
            async with asyncio.timeout(_MEASURE_S):
                measured = await self._hub.shape(folder)
        except (AppError, TimeoutError) as error:
            _log.info("the memory of %s is told by its files alone: %s", model, error)
            return ModelShape(weights)
        if measured.weights_bytes is None:
            measured = msgspec.structs.replace(measured, weights_bytes=weights)
        self._shapes[key] = measured
        return measured

    def _is_ample(self, weights: int, others_bytes: int | None) -> bool:
        """Return True when so much stays free that no usual cache would fill it."""
        if others_bytes is None:
            return False
        taken = weights + runtime_bytes(weights) + others_bytes
        return taken * 100 <= self.memory.limit_bytes() * FITS_PERCENT


def _ordered(
    held: Mapping[str, int], idle: tuple[str, ...]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return what the idle servers hold, and what these and then all others hold."""
    first = {name: held[name] for name in idle if name in held}
    return first, {**first, **held}


def _both(one: ModelShape, other: ModelShape) -> ModelShape:
    weights = (one.weights_bytes or 0) + (other.weights_bytes or 0)
    if one.cache is None or other.cache is None:
        return ModelShape(weights, None, one.context_length)
    fixed = one.cache.fixed_bytes + other.cache.fixed_bytes
    parts = (*one.cache.parts, *other.cache.parts)
    return ModelShape(weights, CacheShape(parts, fixed), one.context_length)


def _changed_at(folder: Path) -> float:
    return folder.stat().st_mtime if folder.is_dir() else 0.0
