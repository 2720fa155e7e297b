"""What a download consists of, from the hub's list of files, with nothing in it trusted."""

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from app.wire.errors import ErrorCode
from app.worker.download.trouble import Trouble
from app.worker.files import clean

# As in mlx_lm/utils.py 0.32, plus what people and other tools want beside the weights.
_PATTERNS = (
    "*.json", "model*.safetensors", "*.py", "tokenizer.model", "*.tiktoken", "tiktoken.model",
    "*.txt", "*.jsonl", "*.jinja", "README.md", "LICENSE*",
)  # fmt: skip
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_MAX_FILES = 10_000
_MAX_SIZE = 1 << 42


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One content to fetch, under all of its names."""

    names: tuple[str, ...]
    size: int
    etag: str
    """The sha256 of a large file, the git blob sha1 of a small one."""

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """All files of one commit that a download fetches."""

    repo_id: str
    commit: str
    files: tuple[PlannedFile, ...]

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def make_plan(repo_id: str, commit: object, siblings: list[Any]) -> Plan:
    """Return the plan for the hub's answer. Raises Trouble when it is unsafe or no model."""
    if not isinstance(commit, str) or not _SHA1.fullmatch(commit):
        raise _unsafe(repo_id, "the hub names no commit")
    if len(siblings) > _MAX_FILES:
        raise _unsafe(repo_id, f"it has more than {_MAX_FILES} files")
    by_etag: dict[str, PlannedFile] = {}
    for sibling in siblings:
        name = _checked_name(repo_id, sibling.rfilename)
        if not any(fnmatch(name, pattern) for pattern in _PATTERNS):
            continue
        file = _planned(repo_id, name, sibling)
        known = by_etag.get(file.etag)
        if known is not None:
            file = PlannedFile((*known.names, name), file.size, file.etag)
        by_etag[file.etag] = file
    # The small ones first: when they fail, no gigabyte was fetched in vain.
    plan = Plan(repo_id, commit, tuple(sorted(by_etag.values(), key=lambda f: (f.size, f.name))))
    _check_names(plan)
    return plan


def _planned(repo_id: str, name: str, sibling: Any) -> PlannedFile:
    lfs = sibling.lfs
    etag, size = (lfs.sha256, lfs.size) if lfs else (sibling.blob_id, sibling.size)
    pattern = _SHA256 if lfs else _SHA1
    if not isinstance(etag, str) or not pattern.fullmatch(etag):
        raise _unsafe(repo_id, f"the hub gives no checksum for {name}")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= _MAX_SIZE:
        raise _unsafe(repo_id, f"the hub gives no size for {name}")
    return PlannedFile((name,), size, etag)


def _checked_name(repo_id: str, name: object) -> str:
    if not isinstance(name, str) or not name or len(name) > 500:
        raise _unsafe(repo_id, "a file has no usable name")
    parts = name.split("/")
    is_bad = (
        any(part in ("", ".", "..") or len(part.encode(errors="replace")) > 255 for part in parts)
        or "\\" in name
        or any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in name)
    )
    if is_bad:
        raise _unsafe(repo_id, f"the file name {clean(name)[:80]!r} is not allowed")
    return name


def _check_names(plan: Plan) -> None:
    names = {name for file in plan.files for name in file.names}
    # On a disk that ignores case, two such names are one file.
    folded = {name.casefold() for name in names}
    folders = {name[:i].casefold() for name in names for i, c in enumerate(name) if c == "/"}
    if len(folded) < len(names) or folded & folders:
        raise _unsafe(plan.repo_id, "two of its file names are the same on this disk")
    if "config.json" not in names or not any(fnmatch(n, "model*.safetensors") for n in names):
        raise Trouble(
            ErrorCode.MODEL_UNSUPPORTED,
            f"{plan.repo_id} has no weights that MLX can load.",
            "Choose a model with model.safetensors, such as those of mlx-community.",
        )


def _unsafe(repo_id: str, reason: str) -> Trouble:
    return Trouble(
        ErrorCode.REPO_UNSAFE,
        f"{repo_id} is not downloaded: {reason}.",
        "Choose another model, and tell the author or the operator of the hub.",
    )
