# ruff: noqa: S324 - the hub itself names files by sha-1
"""The models of the stand-in, and what the hub says about them."""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hub.blobs import Blob, MiB


@dataclass
class HubFile:
    path: str
    blob: Blob
    lfs: bool
    _oids: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.blob.size

    @property
    def sha256(self) -> str:
        if "sha256" not in self._oids:
            self._oids["sha256"] = self.blob.digest(hashlib.sha256)
        return self._oids["sha256"]

    @property
    def git_oid(self) -> str:
        """What git stores: the sha-1 of the content, or of the pointer file for an LFS file."""
        if "git" not in self._oids:
            if self.lfs:
                pointer = self.lfs_pointer()
                self._oids["git"] = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
            else:
                self._oids["git"] = self.blob.digest(lambda: hashlib.sha1(b"blob %d\0" % self.size))
        return self._oids["git"]

    def lfs_pointer(self) -> bytes:
        head = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\n"
        return f"{head}size {self.size}\n".encode()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_oid


@dataclass
class HubModel:
    repo_id: str
    files: dict[str, HubFile]
    info: dict[str, Any]
    private: bool = False
    gated: str | bool = False  # False, "auto" or "manual"
    disabled: bool = False
    granted: set[str] = field(
        default_factory=set
    )  # user names that may read a gated or private repo
    tags: list[str] = field(default_factory=list)  # revisions beside main; all are the same commit
    cache: dict[Any, dict[str, Any]] = field(default_factory=dict)  # computed API answers

    @cached_property
    def sha(self) -> str:
        listing = json.dumps([[f.path, f.git_oid] for f in self.files.values()])
        return hashlib.sha1(f"{self.repo_id}\n{listing}".encode()).hexdigest()

    @property
    def author(self) -> str:
        return self.repo_id.split("/")[0]


def _json_file(model: HubModel, name: str) -> dict[str, Any]:
    f = model.files.get(name)
    if f is None or f.size > MiB:
        return {}
    try:
        value = json.loads(f.blob.read(0, f.size))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _bits(config: Mapping[str, Any]) -> int | None:
    quantization = config.get("quantization") or config.get("quantization_config")
    return quantization.get("bits") if isinstance(quantization, dict) else None


def _parameter_counts(model: HubModel, bits: int | None) -> dict[str, int]:
    """Element counts by dtype from the safetensors headers, as the hub reports them.

    With `bits`, packed weights count as the parameters they hold, scales and biases not at all.
    """
    tensors: dict[str, Any] = {}
    for f in model.files.values():
        if not f.path.endswith(".safetensors") or f.size < 8:
            continue
        (length,) = struct.unpack("<Q", f.blob.read(0, 8))
        if length > min(f.size - 8, 25_000_000):
            continue
        try:
            tensors |= json.loads(f.blob.read(8, length))
        except ValueError:
            continue
    tensors.pop("__metadata__", None)
    counts: dict[str, int] = {}
    for name, tensor in tensors.items():
        n = 1
        for dim in tensor["shape"]:
            n *= dim
        base, _, leaf = name.rpartition(".")
        if bits and f"{base}.scales" in tensors:
            if leaf in ("scales", "biases"):
                continue
            if tensor["dtype"] == "U32":
                n = n * 32 // bits
        counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + n
    return counts


def model_info(model: HubModel, *, blobs: bool, packed_counts: bool) -> dict[str, Any]:
    config = _json_file(model, "config.json")
    parameters = _parameter_counts(model, None if packed_counts else _bits(config))
    used = sum(f.size for f in model.files.values())
    quantized = "quantization" in config or "quantization_config" in config
    tags = ["mlx", "safetensors", *([config["model_type"]] if "model_type" in config else [])]
    if quantized:
        tags.append(
            f"{(config.get('quantization') or config['quantization_config']).get('bits', 4)}-bit"
        )
    info: dict[str, Any] = {
        "_id": hashlib.md5(model.repo_id.encode()).hexdigest()[:24],
        "id": model.repo_id,
        "modelId": model.repo_id,
        "author": model.author,
        "sha": model.sha,
        "private": model.private,
        "gated": model.gated,
        "disabled": model.disabled,
        "downloads": 100,
        "downloadsAllTime": 1000,
        "likes": 1,
        "trendingScore": 0,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "lastModified": "2026-01-02T00:00:00.000Z",
        "library_name": "mlx",
        "pipeline_tag": "text-generation",
        "tags": tags,
        "cardData": {"license": "apache-2.0", "library_name": "mlx"},
        "config": {
            k: config[k]
            for k in ("architectures", "model_type", "quantization_config")
            if k in config
        },
        "usedStorage": used,
        "siblings": [_sibling(f, blobs=blobs) for f in model.files.values()],
        "spaces": [],
    }
    if parameters:
        info["safetensors"] = {"parameters": parameters, "total": sum(parameters.values())}
    info.update(model.info)
    return info


def _sibling(f: HubFile, *, blobs: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"rfilename": f.path}
    if blobs:
        out |= {"size": f.size, "blobId": f.git_oid}
        if f.lfs:
            out["lfs"] = {"sha256": f.sha256, "size": f.size, "pointerSize": len(f.lfs_pointer())}
    return out


def tree_entry(f: HubFile) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "file", "oid": f.git_oid, "size": f.size, "path": f.path}
    if f.lfs:
        out["lfs"] = {"oid": f.sha256, "size": f.size, "pointerSize": len(f.lfs_pointer())}
    return out
