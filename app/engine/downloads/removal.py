"""Deletes a model from the hub's cache, by the hub library's own means, in a worker process."""

import asyncio
import logging
from pathlib import Path

import msgspec

from app import paths
from app.engine.bus import Bus
from app.engine.process import child_environment
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Model, ModelSource

_log = logging.getLogger("download")
_DEADLINE_S = 100.0
"""A slow external disk takes its time to delete many gigabytes."""


def check_removable(model_id: str, bus: Bus) -> Model:
    """Return the model. Raises AppError when it is not ours to delete, or is in use."""
    model = bus.models.get(model_id)
    if model is None:
        raise AppError(
            f"There is no model “{model_id[:120]}” on this disk.", code=ErrorCode.NOT_FOUND
        )
    if model.source is not ModelSource.HUB:
        raise AppError(
            f"{model.name} is not in the hub's cache and is not deleted from here.",
            hint=f"It is in {model.path}.",
            code=ErrorCode.BAD_REQUEST,
        )
    if model_id in bus.downloads:
        raise AppError(
            f"{model_id} is being downloaded.",
            hint="Cancel the download first.",
            code=ErrorCode.MODEL_IN_USE,
        )
    users = [s.name for s in bus.servers.values() if s.model == model_id and s.state.has_process]
    if users:
        raise AppError(
            f"{model_id} is used by the server “{users[0]}”.",
            hint="Stop the server first.",
            code=ErrorCode.MODEL_IN_USE,
        )
    return model


async def remove_from_cache(cache: Path, model_id: str) -> int:
    """Delete all revisions of a model and return the bytes that this freed. Raises AppError."""
    process = await asyncio.create_subprocess_exec(
        *paths.program("worker"), "remove", "--cache", str(cache), model_id,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, cwd=paths.program_root(),
        env=child_environment({"HF_HUB_OFFLINE": "1"}),
    )  # fmt: skip
    try:
        async with asyncio.timeout(_DEADLINE_S):
            output, errors = await process.communicate()
    except TimeoutError:
        raise _failure(model_id, "it takes too long") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        text = errors[-4000:].decode(errors="replace").strip()
        _log.error("the model %s could not be deleted: %s", model_id, text)
        raise _failure(model_id, text.splitlines()[-1] if text else "the worker ended")
    return msgspec.json.decode(output, type=int)


def _failure(model_id: str, reason: str) -> AppError:
    return AppError(
        f"{model_id} could not be deleted: {reason}.",
        hint="Check that the model folder can be written. The engine's log has details.",
        code=ErrorCode.STORE_FAILED,
    )
