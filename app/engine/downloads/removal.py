"""Takes models from the disk: who uses them, what goes, and how."""

import asyncio
import os
from pathlib import Path

from app.engine.bus import Bus
from app.engine.downloads.errand import ErrandError, run_errand
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Model, ModelSource
from app.wire.storage import Removal, RemovalPart, Removed

_HUB_PREFIX = "models--"


async def preview(model: Model, bus: Bus) -> Removal:
    """Return what deleting a model would do."""
    sizes = await asyncio.gather(
        *(asyncio.to_thread(_taken_bytes, _whole(place)) for place in model.locations)
    )
    parts = [
        RemovalPart(place, size, to_trash=not _is_in_cache(model, place))
        for place, size in zip(model.locations, sizes, strict=True)
    ]
    servers, profiles = users(model, bus)
    return Removal(model.id, model.name, tuple(parts), servers, profiles, _obstacle(model, bus))


def users(model: Model, bus: Bus) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the servers and of the profiles that use a model."""
    servers = [s for s in bus.servers.values() if s.state.is_active and _is(model, s.model)]
    profiles = [p for p in bus.profiles.values() if _is(model, p.model)]
    return tuple(s.name for s in servers), tuple(p.name for p in profiles)


def check_removable(model: Model, bus: Bus, *, is_forced: bool) -> None:
    """Raise AppError when a model is not ours to delete, or in use.

    is_forced: profiles that use it, but do not run, are no reason.
    """
    if obstacle := _obstacle(model, bus):
        is_loading = model.id in bus.downloads
        raise AppError(
            obstacle,
            hint="Cancel the download first." if is_loading else "",
            code=ErrorCode.MODEL_IN_USE if is_loading else ErrorCode.BAD_REQUEST,
        )
    servers, profiles = users(model, bus)
    if servers:
        raise AppError(
            f"{model.name} is used by {_named('server', servers)}.",
            hint="Stop it first." if len(servers) == 1 else "Stop them first.",
            code=ErrorCode.MODEL_IN_USE,
        )
    if profiles and not is_forced:
        raise AppError(
            f"{model.name} is used by {_named('profile', profiles)}.",
            hint="Choose another model there or delete the profile first; or delete by force.",
            code=ErrorCode.MODEL_IN_USE,
        )


async def remove(model: Model, place: str, cache: Path) -> Removed:
    """Delete one of a model's folders. Raises AppError."""
    to_trash = not _is_in_cache(model, place)
    whole = _whole(place)
    words = ("trash", str(whole)) if to_trash else ("remove", "--cache", str(cache), model.id)
    freed = await asyncio.to_thread(_taken_bytes, whole)
    try:
        await run_errand(*words)
    except ErrandError as error:
        raise AppError(
            f"{model.name} could not be deleted: {error}.",
            hint="Check that the model folder can be written. The engine's log has details.",
            code=ErrorCode.STORE_FAILED,
        ) from error
    return Removed(freed, to_trash, tuple(p for p in model.locations if p != place))


def _obstacle(model: Model, bus: Bus) -> str:
    if model.source is ModelSource.DEMO:
        return "The demo model is part of the app."
    if model.id in bus.downloads:
        return f"{model.id} is being downloaded."
    return ""


def _is(model: Model, text: str) -> bool:
    # Not Path.expanduser, which raises for a user that does not exist.
    return model.is_named(os.path.expanduser(text))  # noqa: PTH111


def _is_in_cache(model: Model, place: str) -> bool:
    return model.source is ModelSource.HUB and place == model.path


def _named(kind: str, names: tuple[str, ...]) -> str:
    quoted = [f"“{name}”" for name in names]
    if len(quoted) == 1:
        return f"the {kind} {quoted[0]}"
    return f"the {kind}s {', '.join(quoted[:-1])} and {quoted[-1]}"


def _whole(place: str) -> Path:
    """Return what is deleted with a model's folder: of a hub's cache all revisions."""
    folder = Path(place)
    repo = folder.parent.parent
    is_hubs = repo.name.startswith(_HUB_PREFIX) and folder.parent.name == "snapshots"
    return repo if is_hubs else folder


def _taken_bytes(folder: Path) -> int:
    """Return what the files at and below a folder take; links and second names count nothing."""
    sizes: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))  # noqa: PTH118 - many files
            except OSError:
                continue
            sizes[status.st_dev, status.st_ino] = min(status.st_size, status.st_blocks * 512)
    return sum(sizes.values())
