"""Finds and removes unfinished files in the hub's cache that no download owns."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Collection, Generator
from pathlib import Path

from huggingface_hub.utils import WeakFileLock

from app.wire.storage import Leftover
from app.worker.download.cache import PARTIAL, STATE
from app.worker.library.hubcache import PREFIX
from app.worker.remove import DELETED

_SETTLED_S = 600.0
"""A file of another program that was written to so lately may still be in use, lock or not."""
_LOCK_WAIT_S = 0.05
_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def find_leftovers(cache: Path, keep: Collection[str]) -> list[Leftover]:
    """Return what is left over of each model but those in `keep`."""
    found: list[Leftover] = []
    for repo_id, repo in _repos(cache, keep):
        files = [(path, path.lstat()) for path in _orphans(cache, repo)]
        if files:
            taken = sum(min(s.st_size, s.st_blocks * 512) for _, s in files)
            newest = max(status.st_mtime for _, status in files)
            # The file with the counts beside each of our own is not one for people.
            count = sum(not path.name.endswith(STATE) for path, _ in files)
            found.append(Leftover(repo_id, taken, count or 1, newest))
    return sorted(found, key=lambda item: (-item.size_bytes, item.id))


def remove_leftovers(cache: Path, keep: Collection[str]) -> list[Leftover]:
    """Remove what `find_leftovers` returns, and return what was removed."""
    found = find_leftovers(cache, keep)
    for repo_id, repo in _repos(cache, keep):
        if not any(item.id == repo_id for item in found):
            continue
        for path in _orphans(cache, repo):
            with contextlib.suppress(TimeoutError), _locked(cache, repo, path):
                path.unlink(missing_ok=True)
        if not (repo / "snapshots").exists():
            # The rest of a model whose deletion was interrupted.
            for name in (DELETED, "refs"):
                shutil.rmtree(repo / name, ignore_errors=True)
        # A model of which nothing else is there would look like a damaged one.
        for folder in (*repo.glob("snapshots/*"), repo / "blobs", repo / "snapshots", repo):
            if folder.name != "snapshots" or not (repo / "blobs").exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
    return found


def _repos(cache: Path, keep: Collection[str]) -> list[tuple[str, Path]]:
    repos = [path for path in cache.glob(f"{PREFIX}*") if path.is_dir()]
    named = [(path.name.removeprefix(PREFIX).replace("--", "/"), path) for path in repos]
    return sorted((name, path) for name, path in named if name not in keep)


def _orphans(cache: Path, repo: Path) -> list[Path]:
    pointers = [path for path in (repo / "snapshots").rglob("*") if path.is_symlink()]
    used = {os.path.basename(os.readlink(path)) for path in pointers}  # noqa: PTH115, PTH119
    found: list[Path] = []
    for path in sorted((repo / "blobs").glob("*")):
        is_partial = path.name.endswith(".incomplete")
        is_unused = _ETAG.fullmatch(path.name) is not None and path.name not in used
        if not (is_partial or is_unused) or path.is_symlink() or not path.is_file():
            continue
        is_ours = path.name.endswith((PARTIAL, STATE))
        if not is_ours and time.time() - path.stat().st_mtime < _SETTLED_S:
            continue
        with contextlib.suppress(TimeoutError), _locked(cache, repo, path):
            found.append(path)
    return found


@contextlib.contextmanager
def _locked(cache: Path, repo: Path, path: Path) -> Generator[None, None, None]:
    """Hold the hub library's lock of a file. Raises TimeoutError while a download has it."""
    lock = cache / ".locks" / repo.name / f"{path.name.partition('.')[0]}.lock"
    if not lock.exists():
        yield
        return
    with WeakFileLock(lock, timeout=_LOCK_WAIT_S):
        yield
