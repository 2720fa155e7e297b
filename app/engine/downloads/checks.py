"""Checks of models' files on demand, one at a time, each in a worker process."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from app import files, paths
from app.engine.process import Child
from app.wire.nouns import CheckState, Model, ModelCheck, ModelSource
from app.wire.reading import read_json
from app.wire.storage import CheckEnd, CheckProgress, decode_check_event

_log = logging.getLogger("download")
_CLOSE_S = 2.0
_NAMED = 3
"""How many damaged files are named."""
_IDLE = (".md", "LICENSE", "LICENSE.txt")
"""Files that no server reads."""

_Figures = tuple[tuple[str, ...], int, float]
"""Folders, bytes and time of a model; others mean other files."""


class _Known(msgspec.Struct, frozen=True):
    """A check, and of what."""

    figures: tuple[_Figures, ...]
    """As the engine knew the model before, and as the check has found it."""
    check: ModelCheck


class Checks:
    """Knows the check of each model. Belongs to the engine's loop."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._known: dict[str, _Known] = {}
        self._damaged: dict[str, _Known] = {}
        """The last checks that found damage; they count until the files are others."""
        self._problems: dict[str, str | None] = {}
        """What each model was given as a problem, which is none that the scan has found."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Take up the damage that an earlier engine has found."""
        self._damaged = await asyncio.to_thread(_load)

    def applied(self, model: Model) -> Model:
        """Return the model with its check, if that was of what is there now."""
        own = None if model.problem == self._problems.get(model.id) else model.problem
        damage = _of(self._damaged, model)
        problem = self._problems[model.id] = _problem(damage)
        return msgspec.structs.replace(
            model, check=_of(self._known, model) or damage, problem=own or problem
        )

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
            damage = None
        else:
            damage = self._damaged.pop(model_id, None)
        if self._known.pop(model_id, None) or damage:
            self._on_change(model_id)

    def note_intact(self, model: Model, files_total: int) -> None:
        """Take note that a download has checked every file of a model."""
        self._damaged.pop(model.id, None)
        self._known[model.id] = _Known(
            (_figures(model),), _ended(CheckEnd(model.size_bytes, files_total), model)
        )

    async def close(self) -> None:
        """End all checks."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(_save, self._damaged)

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
                check = _ended(end, model)
                _log.info("%s: %s", model.id, check.text)
                self._damaged.pop(model.id, None)
                found = (model.locations, end.size_bytes, end.modified_at)
                known = _Known((_figures(model), found), check)
                if check.state is CheckState.DAMAGED:
                    self._damaged[model.id] = known
                self._known[model.id] = known
                self._on_change(model.id)
                await asyncio.to_thread(_save, dict(self._damaged))

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
        self._known[model.id] = _Known((_figures(model),), check)
        self._on_change(model.id)


def _figures(model: Model) -> _Figures:
    return model.locations, model.size_bytes, model.modified_at


def _under_way(event: CheckProgress) -> ModelCheck:
    share = event.done_bytes / event.total_bytes if event.total_bytes else 0.0
    return ModelCheck(
        CheckState.RUNNING, f"Checking, {int(share * 100)}%", event.done_bytes, event.total_bytes,
        event.files_done, event.files_total,
    )  # fmt: skip


def _file() -> Path:
    return paths.home() / "damaged.json"


def _load() -> dict[str, _Known]:
    try:
        return read_json(_file().read_bytes(), dict[str, _Known])
    except (OSError, msgspec.DecodeError):
        # A check finds it again.
        return {}


def _save(damaged: dict[str, _Known]) -> None:
    try:
        if damaged or _file().exists():
            files.write_atomically(_file(), msgspec.json.encode(damaged).decode(), mode=0o600)
    except OSError as error:
        _log.warning("which models are damaged cannot be saved: %s", error)


def _of(checks: dict[str, _Known], model: Model) -> ModelCheck | None:
    known = checks.get(model.id)
    return known.check if known is not None and _figures(model) in known.figures else None


def _problem(check: ModelCheck | None) -> str | None:
    """Return why a model cannot be served after this check, None if it can."""
    if check is None or all(name.endswith(_IDLE) for name in check.damaged):
        return None
    return f"{check.text}."


def _ended(end: CheckEnd, model: Model) -> ModelCheck:
    wrong = (*end.damaged, *end.missing)
    if wrong:
        is_hub = model.source is ModelSource.HUB
        state, text = CheckState.DAMAGED, _damage(end, is_repairable=is_hub)
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


def _damage(end: CheckEnd, *, is_repairable: bool) -> str:
    wrong = (*end.damaged, *end.missing)
    remedy = "Repair the model" if is_repairable else "Replace what is wrong in its folder"
    if len(wrong) == 1:
        return f"{wrong[0]} is {'damaged' if end.damaged else 'missing'}. {remedy}"
    named = ", ".join(wrong[:_NAMED]) + (" and others" if len(wrong) > _NAMED else "")
    kind = "damaged" if not end.missing else "missing" if not end.damaged else "damaged or missing"
    return f"{len(wrong)} files are {kind} ({named}). {remedy}"
