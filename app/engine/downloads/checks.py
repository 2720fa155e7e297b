"""Checks of models' files on demand, one at a time, each in a worker process."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import msgspec

from app import files, paths
from app.engine.process import Child
from app.wire.nouns import CheckState, Model, ModelCheck
from app.wire.storage import CheckEnd, CheckProgress, decode_check_event

_log = logging.getLogger("download")
_CLOSE_S = 2.0
_NAMED = 3
"""How many damaged files are named."""


class Checks:
    """Knows the check of each model. Belongs to the engine's loop."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._known: dict[str, tuple[Model, ModelCheck]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    def applied(self, model: Model) -> Model:
        """Return the model with its check, if that was of what is there now."""
        checked, check = self._known.get(model.id, (None, None))
        if checked is None or not _is_same(checked, model):
            check = None
        return msgspec.structs.replace(model, check=check)

    def start(self, model: Model) -> None:
        """Check a model; one that is under way goes on."""
        if model.id not in self._tasks:
            self._set(model, ModelCheck(CheckState.WAITING, "Waits for another check"))
            task = asyncio.create_task(self._check(model), name=f"check of {model.id}")
            self._tasks[model.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(model.id, None))

    def stop(self, model_id: str) -> None:
        """End a check, or forget what it has found."""
        if task := self._tasks.get(model_id):
            task.cancel()
        if self._known.pop(model_id, None) is not None:
            self._on_change(model_id)

    def note_intact(self, model: Model, files_total: int) -> None:
        """Take note that a download has checked every file of a model."""
        self._known[model.id] = (model, _ended(CheckEnd(model.size_bytes, files_total)))

    async def close(self) -> None:
        """End all checks."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _check(self, model: Model) -> None:
        async with self._turn:
            self._set(model, ModelCheck(CheckState.RUNNING, "Checking"))
            try:
                end = await self._run(model)
            except OSError as error:
                _log.error("the check of %s cannot be started: %s", model.id, error)
                end = None
            if end is None:
                text = "The check broke off. Try again; the log of downloads has details"
                self._set(model, ModelCheck(CheckState.FAILED, text, at=time.time()))
            else:
                check = _ended(end)
                _log.info("%s: %s", model.id, check.text)
                self._set(model, check)

    async def _run(self, model: Model) -> CheckEnd | None:
        files.make_folder(paths.logs())
        log = paths.logs() / "downloads.log"
        child = await Child.spawn("worker", "verify", *model.locations, stderr=log)
        try:
            async for line in child.lines():
                with contextlib.suppress(msgspec.DecodeError):
                    event = decode_check_event(line)
                    if isinstance(event, CheckEnd):
                        return event
                    self._set(model, _under_way(event))
        finally:
            await child.close(deadline_s=_CLOSE_S)
        return None

    def _set(self, model: Model, check: ModelCheck) -> None:
        self._known[model.id] = (model, check)
        self._on_change(model.id)


def _is_same(one: Model, other: Model) -> bool:
    figures = (one.locations, one.size_bytes, one.modified_at)
    return figures == (other.locations, other.size_bytes, other.modified_at)


def _under_way(event: CheckProgress) -> ModelCheck:
    share = event.done_bytes / event.total_bytes if event.total_bytes else 0.0
    return ModelCheck(
        CheckState.RUNNING, f"Checking, {int(share * 100)}%", event.done_bytes, event.total_bytes,
        event.files_done, event.files_total,
    )  # fmt: skip


def _ended(end: CheckEnd) -> ModelCheck:
    wrong = (*end.damaged, *end.missing)
    if wrong:
        state, text = CheckState.DAMAGED, _damage(end)
    elif end.unknown or not end.files_total:
        state = CheckState.FAILED
        text = "These files came without checksums, so only their lengths are known to be right"
    else:
        state = CheckState.INTACT
        text = f"All {end.files_total} files are intact"
    return ModelCheck(
        state, text, end.total_bytes, end.total_bytes, end.files_total - len(end.damaged),
        end.files_total, wrong, time.time(),
    )  # fmt: skip


def _damage(end: CheckEnd) -> str:
    wrong = (*end.damaged, *end.missing)
    if len(wrong) == 1:
        return f"{wrong[0]} is {'damaged' if end.damaged else 'missing'}. Download the model again"
    named = ", ".join(wrong[:_NAMED]) + (" and others" if len(wrong) > _NAMED else "")
    kind = "damaged" if not end.missing else "missing" if not end.damaged else "damaged or missing"
    return f"{len(wrong)} files are {kind} ({named}). Download the model again"
