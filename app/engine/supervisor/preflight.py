"""What is checked and decided before a server process is started."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from app import paths
from app.engine.process import child_environment
from app.engine.runtimes.base import UPSTREAM_TOKEN, Runtime
from app.engine.supervisor.runfile import ID_FLAG, ID_VARIABLE
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Model, Profile
from app.wire.policy import LARGE_BYTES

GRACE_S = 10.0
"""How long a server may take to end by itself; clean stops were seen to take up to 3 s."""
LARGE_GRACE_S = 60.0
_BYTES_PER_S = 200e6
"""A slow disk's reading rate, for the deadline of a start."""


class Launch(msgspec.Struct, frozen=True):
    """Everything that a guard needs to start a server."""

    argv: list[str]
    env: dict[str, str]
    log: str
    grace_s: float
    cwd: str | None
    weights_bytes: int = 0
    server_id: str = ""
    run_id: str = ""


def grace_s(held_bytes: float) -> float:
    """Return how long a server that holds this much memory may take to end by itself."""
    return LARGE_GRACE_S if held_bytes > LARGE_BYTES else GRACE_S


def resolve_model(model: str, models: Mapping[str, Model], cache: Path) -> Path:
    """Return the folder of a profile's model. Raises AppError when no Python can serve it."""
    known = models.get(model)
    if known is not None:
        if known.problem is not None and not known.needs_python:
            text = f"{model} cannot be served: {known.problem}"
            raise AppError(text, code=ErrorCode.MODEL_BROKEN)
        return Path(known.path)
    if model == "demo":
        return paths.demo_model()
    if model.startswith(("/", "~")):
        # Not Path.expanduser, which raises for a user that does not exist.
        return _check_folder(Path(os.path.expanduser(model)))  # noqa: PTH111
    snapshot = _hub_snapshot(model, cache)
    if snapshot is None:
        raise AppError(
            f"{model} is not on this disk.",
            hint="Download the model first, or choose another one in the profile.",
            code=ErrorCode.MODEL_MISSING,
        )
    return _check_folder(snapshot)


def _check_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise AppError(
            f"The model folder {folder} does not exist.",
            hint="Choose another folder in the profile.",
            code=ErrorCode.MODEL_MISSING,
        )
    if not (folder / "config.json").is_file():
        raise AppError(
            f"{folder} is no model: it has no config.json.",
            hint="Choose the folder that holds config.json and the weights.",
            code=ErrorCode.MODEL_BROKEN,
        )
    if not any(folder.glob("*.safetensors")):
        raise AppError(
            f"{folder} has no weights (*.safetensors).",
            hint="Download the model again.",
            code=ErrorCode.MODEL_BROKEN,
        )
    return folder


def _hub_snapshot(model: str, cache: Path) -> Path | None:
    """Return the snapshot that `main` points to, by the layout of the Hugging Face cache."""
    if model.count("/") != 1 or ".." in model:
        return None
    repo = cache / ("models--" + model.replace("/", "--"))
    try:
        revision = (repo / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    snapshot = repo / "snapshots" / revision
    return snapshot if snapshot.is_dir() else None


def start_deadline_s(folder: Path) -> float:
    """Return how long a start may take in all, by the size of the weights."""
    return max(120.0, 60.0 + weights_bytes(folder) / _BYTES_PER_S)


def weights_bytes(folder: Path) -> int:
    """Return the size of a model's weights on disk, which is what they take in memory."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def make_launch(
    profile: Profile, runtime: Runtime, folder: Path, *, token: str, log: Path, run_id: str
) -> Launch:
    """Return the order that starts this profile's server."""
    weights = weights_bytes(folder)
    environment = child_environment(
        {
            **runtime.environment(profile),
            # A request can then never set off a download inside the server.
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            UPSTREAM_TOKEN: token,
            ID_VARIABLE: run_id,
        }
    )
    return Launch(
        argv=[*runtime.command(profile, str(folder)), f"{ID_FLAG}={run_id}"],
        env=environment,
        log=str(log),
        grace_s=grace_s(weights),
        cwd=paths.program_root(),
        weights_bytes=weights,
        server_id=profile.id,
        run_id=run_id,
    )
