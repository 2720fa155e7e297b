"""The mode `verify`: compares a model's files with the checksums that came with them."""

import hashlib
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from app.wire.storage import CheckEnd, CheckEvent, CheckProgress
from app.worker.describe import is_weights, wanted_weights
from app.worker.files import UnreadableError
from app.worker.library.listing import list_folder
from app.worker.owner import end_with_owner

_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PIECE = 1 << 20
_EMIT_S = 0.25
_METADATA_BYTES = 4_000


class _File(msgspec.Struct, frozen=True):
    """A file and the checksum that it should have."""

    name: str
    path: str
    size: int
    etag: str


def verify(folders: list[Path], emit: Callable[[CheckEvent], None]) -> CheckEnd:
    """Check every file in the folders of one model. Blocks for as long as the disk takes."""
    before = list_folder(str(folders[0]))
    files, missing, unknown = _collect(folders)
    total = sum(file.size for file in files)
    done = 0
    damaged: list[str] = []
    emitted = 0.0
    for count, file in enumerate(files):

        def tell(new: int, count: int = count) -> None:
            nonlocal done, emitted
            done += new
            if time.monotonic() - emitted > _EMIT_S:
                emitted = time.monotonic()
                emit(CheckProgress(done, total, count, len(files)))

        if not _is_right(file, tell):
            damaged.append(file.name)
    return CheckEnd(
        total, len(files), tuple(damaged), tuple(missing), tuple(unknown),
        before.size_bytes, before.modified_at,
    )  # fmt: skip


def run(folders: list[Path]) -> None:
    """Write how far the check is and what it found, until done or the owner hangs up."""
    end_with_owner()

    def emit(event: CheckEvent) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        sys.stdout.buffer.flush()

    emit(verify(folders, emit))


def _collect(folders: list[Path]) -> tuple[list[_File], list[str], list[str]]:
    """Return what can be checked, what is missing, and weights that have no checksum."""
    files: list[_File] = []
    missing: list[str] = []
    unknown: list[str] = []
    by_name: dict[tuple[str, int], str] = {}
    for number, folder in enumerate(folders):
        prefix = f"{folder}/" if number else ""
        names = _names(folder)
        there = list_folder(str(folder)).files
        missing += [prefix + n for n in sorted(_wanted(folder, there) - set(names))]
        for name in names:
            path = folder / name
            etag = _own_etag(folder, name)
            try:
                size = path.stat().st_size
            except OSError:
                missing.append(prefix + name)
                continue
            # A copy of the same weights: what names one names the other.
            etag = etag or by_name.get((name, size))
            if etag is not None:
                by_name[name, size] = etag
                files.append(_File(prefix + name, str(path), size, etag))
            elif is_weights(name):
                unknown.append(prefix + name)
    return files, missing, unknown


def _wanted(folder: Path, files: dict[str, int]) -> set[str]:
    try:
        return wanted_weights(folder, files)
    except UnreadableError:
        # The index is damaged, which its own checksum tells.
        return set()


def _names(folder: Path) -> list[str]:
    """Return every file at and below a folder, broken links too, hidden ones not."""
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = os.path.relpath(place, folder)
        found += [os.path.normpath(f"{relative}/{n}") for n in names if not n.startswith(".")]
    return sorted(found)


def _own_etag(folder: Path, name: str) -> str | None:
    """Return the checksum of a file, by the link into the hub's cache or by the hub's notes."""
    path = folder / name
    try:
        if path.is_symlink():
            found = os.path.basename(os.readlink(path))  # noqa: PTH115, PTH119 - the text itself
        else:
            # As huggingface_hub 2.x leaves it for downloads to a folder: commit, etag, time.
            note = folder / ".cache" / "huggingface" / "download" / f"{name}.metadata"
            with note.open(encoding="ascii") as file:
                found = file.read(_METADATA_BYTES).splitlines()[1].strip()
    except (OSError, UnicodeDecodeError, IndexError):
        return None
    return found if _ETAG.fullmatch(found) else None


def _is_right(file: _File, tell: Callable[[int], None]) -> bool:
    if len(file.etag) == 64:
        digest = hashlib.sha256()
    else:
        # How git names a file; no protection against an attacker, as the hub has none here.
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    buffer = memoryview(bytearray(_PIECE))
    try:
        with open(file.path, "rb", buffering=0) as data:  # noqa: PTH123 - a text
            while count := data.readinto(buffer):
                digest.update(buffer[:count])
                tell(count)
    except OSError:
        return False
    return digest.hexdigest() == file.etag
