"""Makes models on disk as the hub library, other programs and bad luck leave them there."""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

from app.wire.nouns import Model
from app.wire.scan import ScanResult

Tensors = Mapping[str, tuple[str, tuple[int, ...]]]
"""Name to dtype and shape."""

_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "U32": 4, "I64": 8, "U8": 1, "I32": 4}
WEIGHTS: Tensors = {
    "model.embed_tokens.weight": ("BF16", (10, 4)),
    "model.norm.weight": ("BF16", (4,)),
}


def safetensors(tensors: Tensors = WEIGHTS) -> bytes:
    """Return a safetensors file with these tensors, all zero."""
    header: dict[str, object] = {"__metadata__": {"format": "mlx"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + math.prod(shape) * _WIDTHS[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def config(**changes: object) -> bytes:
    """Return a config.json of a small Qwen3."""
    fields: dict[str, object] = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "max_position_embeddings": 40960,
        "torch_dtype": "bfloat16",
    }
    return json.dumps(fields | changes).encode()


def model_files(**changes: object) -> dict[str, bytes]:
    """Return the files of a model that can be served; `changes` go into its config."""
    return {
        "config.json": config(**changes),
        "model.safetensors": safetensors(),
        "tokenizer.json": b"{}",
        "tokenizer_config.json": b"{}",
    }


def make_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write `files` into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def make_hub_repo(
    cache: Path,
    repo_id: str,
    files: Mapping[str, bytes],
    *,
    commit: str = "a" * 40,
    ref: str = "main",
    kind: str = "models",
) -> Path:
    """Add a revision of a repository to a hub cache as the hub's library does; return the repo."""
    repo = cache / f"{kind}--{repo_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / commit
    for folder in (repo / "blobs", repo / "refs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (repo / "refs" / ref).write_text(commit)
    for name, data in files.items():
        blob = repo / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (snapshot / name).symlink_to(Path("../../blobs") / blob.name)
    return repo


def by_id(result: ScanResult) -> dict[str, Model]:
    """Return id to model."""
    return {model.id: model for model in result.models}
