"""What is done with models that are on the disk: deleting, checking, and clearing leftovers."""

import os
from pathlib import Path

import msgspec

from app.engine.bus import Bus
from app.engine.downloads import removal
from app.engine.downloads.changes import ModelChanges
from app.engine.downloads.checks import Checks
from app.engine.downloads.errand import ErrandError, run_errand
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Model
from app.wire.scan import Place, ScanResult
from app.wire.storage import Leftover, Removal, Removed, decode_leftovers
from app.wire.transfer import Fetched


class Disk:
    """The models on the disk. All methods belong to the engine's loop."""

    def __init__(self, bus: Bus, cache: Path) -> None:
        self._bus = bus
        self._cache = cache
        self._changes = ModelChanges()
        self._checks = Checks(self._on_check)
        self.places: tuple[Place, ...] = ()
        """Where the last scan looked."""

    async def open(self, models: list[Model]) -> list[Model]:
        """Return models of an earlier scan with what is known of them."""
        await self._checks.open()
        return [self._checks.applied(model) for model in models]

    async def close(self) -> None:
        """End what is under way."""
        await self._checks.close()

    def merge(self, found: ScanResult, *, since: float) -> list[Model]:
        """Return the models of a scan that started at `since`, with the changes that came later."""
        self.places = found.places
        return [self._checks.applied(m) for m in self._changes.merge(found.models, since=since)]

    def fetched(self, event: Fetched, model: Model, *, was_checked: bool) -> Model:
        """Take note of a model that a download has brought, and return it as it is to be shown."""
        known = self._bus.models.get(model.id)
        if known is not None and known.path == model.path:
            # The next scan looks whether the other copies are still the same.
            model = msgspec.structs.replace(model, locations=known.locations)
        self._changes.note(model.id, model)
        if was_checked:
            self._checks.note_intact(model, event.files_total)
        return self._checks.applied(model)

    async def preview_removal(self, model_id: str) -> Removal:
        """Return what deleting a model would do. Raises AppError when there is none."""
        return await removal.preview(self._known(model_id), self._bus)

    async def remove(self, model_id: str, *, place: str, is_forced: bool) -> Removed:
        """Delete a model, or the one copy of it in `place`. Raises AppError."""
        model = self._known(model_id)
        removal.check_removable(model, self._bus, is_forced=is_forced)
        place = place.rstrip("/") or model.path
        if place not in model.locations:
            raise AppError(f"{model.name} is not in {place[:400]}.", code=ErrorCode.BAD_REQUEST)
        self._checks.stop(model_id)
        done = await removal.remove(model, place, self._cache)
        if place == model.path:
            # Another copy comes back under an id of its own by the next scan.
            self._changes.note(model_id, None)
            self._bus.remove(model)
        return done

    def check(self, model_id: str) -> Model:
        """Begin to compare a model's files with their checksums. Raises AppError."""
        model = self._known(model_id)
        if model_id in self._bus.downloads:
            raise AppError(
                f"{model_id} is being downloaded, which checks it too.",
                code=ErrorCode.DOWNLOAD_CONFLICT,
            )
        self._checks.start(model)
        return self._bus.models[model_id]

    def stop_check(self, model_id: str) -> None:
        """End a check, or forget what it has found. Raises AppError when there is no model."""
        self._checks.stop(self._known(model_id).id)

    async def leftovers(self, *, remove: bool) -> list[Leftover]:
        """Return unfinished files that no download owns, and remove them if so wished.

        Raises AppError.
        """
        words = ["leftovers", "--cache", str(self._cache)]
        for download_id in self._bus.downloads:
            words += ["--keep", download_id]
        try:
            return decode_leftovers(await run_errand(*words, *(["--remove"] if remove else [])))
        except (ErrandError, msgspec.DecodeError) as error:
            raise AppError(
                f"The unfinished files could not be looked at: {error}.",
                hint="Check that the model folder can be written. The engine's log has details.",
                code=ErrorCode.STORE_FAILED,
            ) from error

    def _on_check(self, model_id: str) -> None:
        if model := self._bus.models.get(model_id):
            self._bus.put(self._checks.applied(model))

    def _known(self, model_id: str) -> Model:
        model = self._bus.models.get(model_id)
        if model is None:
            # A folder that a shell has ended with a slash, or the second home of a model.
            text = os.path.normpath(model_id)
            model = next((m for m in self._bus.models.values() if m.is_named(text)), None)
        if model is None:
            raise AppError(
                f"There is no model “{model_id[:120]}” on this disk.", code=ErrorCode.NOT_FOUND
            )
        return model
