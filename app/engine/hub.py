"""The engine's view of the hub: a worker process that asks it, and fits for what it finds."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from app import files, paths
from app.engine.bus import Bus
from app.engine.memory import Memory
from app.engine.process import Child
from app.wire.errors import AppError, ErrorCode
from app.wire.fit import fit
from app.wire.hub import (
    Describe,
    Described,
    Fit,
    Found,
    HubAnswer,
    HubDetails,
    HubModel,
    HubOrder,
    HubPage,
    HubQuery,
    Measure,
    Measured,
    Refused,
    Search,
    decode_hub_answer,
)
from app.wire.shape import ModelShape

_log = logging.getLogger("hub")
DEADLINE_S = 15.0
"""Every question has an answer or a reason within this time."""
_CLOSE_S = 2.0
_TRIES = 2
"""A worker that ends idle may miss an order that is on its way; the next worker gets it."""
_ENVIRONMENT = {"HF_HUB_DISABLE_TELEMETRY": "1"}


class Hub:
    """Searches the hub and says what fits. Belongs to the engine's loop."""

    def __init__(self, bus: Bus, memory: Memory, *, deadline_s: float = DEADLINE_S) -> None:
        self._bus = bus
        self._memory = memory
        self._deadline_s = deadline_s
        self._numbers = itertools.count(1)
        self._child: Child | None = None
        self._reader: asyncio.Task[None] | None = None
        self._spawning = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[HubAnswer | None]] = {}
        self._flights: dict[bytes, asyncio.Task[HubAnswer]] = {}

    async def search(self, query: HubQuery) -> HubPage:
        """Return a page of a search. Waits up to 15 s. Raises AppError."""
        answer = await self._ask(lambda number: Search(number, query))
        if not isinstance(answer, Found):
            raise _nonsense()
        page = answer.page
        models = tuple(self._with_fit(model, None) for model in page.models)
        return msgspec.structs.replace(page, models=models)

    async def describe(self, repo_id: str, context: int | None) -> HubDetails:
        """Return everything about one model. Waits up to 15 s. Raises AppError."""
        if repo_id.count("/") != 1:
            raise AppError(
                f"“{repo_id[:80]}” is no id of a model.",
                hint="Write it like author/name.",
                code=ErrorCode.BAD_REQUEST,
            )
        answer = await self._ask(lambda number: Describe(number, repo_id))
        if not isinstance(answer, Described):
            raise _nonsense()
        details = answer.details
        return msgspec.structs.replace(details, model=self._with_fit(details.model, context))

    async def local_fit(self, model_id: str, context: int | None) -> Fit:
        """Return whether a model on this disk fits. Waits up to 15 s. Raises AppError."""
        model = self._bus.models.get(model_id)
        if model is None:
            raise AppError(f"There is no model “{model_id}”.", code=ErrorCode.NOT_FOUND)
        if model.problem is not None and not model.needs_python:
            # What is damaged, or on no disk now, may well be supported: only its size is not known.
            return self._fit(None, context, reason=model.problem)
        shape = await self.shape(Path(model.path))
        supported = False if model.needs_python else None
        found = self._fit(shape, context, supported=supported, reason=model.problem or "")
        return msgspec.structs.replace(found, shape=shape)

    async def shape(self, folder: Path) -> ModelShape:
        """Return what the memory of a model on this disk depends on. Raises AppError."""
        answer = await self._ask(lambda number: Measure(number, str(folder)))
        if not isinstance(answer, Measured):
            raise _nonsense()
        return answer.shape

    async def close(self) -> None:
        """End the worker; whoever waits for it is told."""
        for flight in tuple(self._flights.values()):
            flight.cancel()
        child, self._child = self._child, None
        if child is not None:
            await child.close(deadline_s=_CLOSE_S)
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    def _with_fit(self, model: HubModel, context: int | None) -> HubModel:
        if model.shape is None and model.supported is not False:
            return model
        found = self._fit(model.shape, context, supported=model.supported, reason=model.reason)
        return msgspec.structs.replace(model, fit=found)

    def _fit(
        self,
        shape: ModelShape | None,
        context: int | None,
        *,
        supported: bool | None = None,
        reason: str = "",
    ) -> Fit:
        return fit(
            shape,
            limit_bytes=self._memory.limit_bytes(),
            others_bytes=sum(self._memory.held().values()) + self._memory.foreign_bytes(),
            context=context,
            supported=supported,
            reason=reason,
        )

    async def _ask(self, order: Callable[[int], HubOrder]) -> HubAnswer:
        """Return the worker's answer; questions that are the same share one."""
        key = msgspec.json.encode(order(0))
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fly(order), name="hub question")
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        try:
            answer = await asyncio.shield(flight)
        except asyncio.CancelledError:
            if flight.cancelled():
                raise AppError("The engine stops.", code=ErrorCode.HUB_FAILED) from None
            raise
        if isinstance(answer, Refused):
            failure = answer.failure
            raise AppError(failure.message, hint=failure.hint, code=failure.code)
        return answer

    def _land(self, key: bytes, flight: "asyncio.Task[HubAnswer]") -> None:
        self._flights.pop(key, None)
        # Looked at here too: everybody who asked may have gone.
        if not flight.cancelled() and (error := flight.exception()) is not None:
            _log.info("a question to the hub failed: %s", error)

    async def _fly(self, order: Callable[[int], HubOrder]) -> HubAnswer:
        try:
            async with asyncio.timeout(self._deadline_s):
                for _ in range(_TRIES):
                    answer = await self._exchange(order)
                    if answer is not None:
                        return answer
        except TimeoutError:
            raise AppError(
                "The hub does not answer in time.",
                hint="Check the network, then try again.",
                code=ErrorCode.HUB_OFFLINE,
            ) from None
        raise AppError(
            "The hub could not be looked at: the worker ended.",
            hint="Try again; hub.log has the details.",
            code=ErrorCode.INTERNAL,
        )

    async def _exchange(self, order: Callable[[int], HubOrder]) -> HubAnswer | None:
        """Send one order; None when the worker ended without an answer."""
        child = await self._worker()
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            child.send(order(number))
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _worker(self) -> Child:
        async with self._spawning:
            if self._child is None:
                try:
                    files.make_folder(paths.logs())
                    child = await Child.spawn(
                        "worker", "hub", stderr=paths.logs() / "hub.log", env=_ENVIRONMENT
                    )
                except OSError as error:
                    raise AppError(
                        f"The hub worker cannot be started: {error.strerror or error}.",
                        code=ErrorCode.INTERNAL,
                    ) from error
                self._child = child
                self._reader = asyncio.create_task(self._read(child), name="hub worker")
            return self._child

    async def _read(self, child: Child) -> None:
        mine: Sequence[int] = ()
        try:
            async for line in child.lines():
                try:
                    answer = decode_hub_answer(line)
                except msgspec.DecodeError:
                    _log.warning("the hub worker wrote nonsense: %r", line[:200])
                    continue
                waiting = self._waiting.get(answer.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        finally:
            if self._child is child:
                self._child = None
                mine = tuple(self._waiting)
            for number in mine:
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(None)
        await child.close(deadline_s=_CLOSE_S)


def _nonsense() -> AppError:
    return AppError("The hub worker answered something else.", code=ErrorCode.INTERNAL)
