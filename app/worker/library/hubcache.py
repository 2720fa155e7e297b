"""Finds the models in the hub's cache, by its layout and without the hub's library.

Paths are texts here: for hundreds of models, objects would take as long as the looks at the disk.
"""

# ruff: noqa: PTH119, PTH112, PTH208

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from app.wire.nouns import ModelSource
from app.worker.files import clean
from app.worker.library.found import Found, Names, find, read_model
from app.worker.library.listing import link_stamp, list_folder
from app.worker.library.memory import Memory

PREFIX = "models--"
_MAX_REF_BYTES = 200


class DamagedError(Exception):
    """A model's folder is not as the hub's library leaves it; the reason ends a sentence."""


def hub_models(cache: Path, memory: Memory, warnings: list[str]) -> Iterator[Found]:
    """Yield every model of a cache. What cannot be looked at is a warning."""
    place = os.path.realpath(cache)
    try:
        with os.scandir(place) as entries:
            names = sorted(e.name for e in entries if e.name.startswith(PREFIX) and e.is_dir())
    except FileNotFoundError:
        return
    except OSError as error:
        reason = error.strerror or error
        warnings.append(f"The model folder {clean(str(cache))} cannot be read: {reason}.")
        return
    for name in names:
        repo = f"{place}/{name}"
        try:
            found = hub_model(repo, memory, source=ModelSource.HUB)
        except DamagedError as error:
            warnings.append(f"Model cache: {clean(repo)} {error}.")
        except OSError as error:
            reason = error.strerror or error
            warnings.append(f"Model cache: {clean(repo)} cannot be read ({reason}).")
        else:
            if found is not None:
                yield found


def hub_model(repo: str, memory: Memory, *, source: ModelSource) -> Found | None:
    """Return the model that `main` of a cached repository points to, None if it is not for us.

    Without `main` it is the revision that was downloaded last: servers load folders, not ids.
    Raises OSError and DamagedError.
    """
    commit = _commit(repo)
    if commit is None:
        return None
    folder = f"{repo}/snapshots/{commit}"
    blobs = _names_in(f"{repo}/blobs")
    try:
        stamp = link_stamp(folder, blobs)
    except FileNotFoundError:
        raise DamagedError(f"has no snapshot {commit}") from None
    has_partial_files = ".incomplete/" in "/".join([*blobs, ""])
    repo_id = os.path.basename(repo).removeprefix(PREFIX).replace("--", "/")
    author, _, name = repo_id.rpartition("/")
    names = Names(repo_id if source is ModelSource.HUB else folder, author, name, source)
    return find(
        folder, stamp, names, memory,
        lambda: read_model(
            folder, list_folder(folder), is_snapshot=True, has_partial_files=has_partial_files
        ),
    )  # fmt: skip


def _commit(repo: str) -> str | None:
    """Return the commit of `main`, or of the newest other revision; None if there is none."""
    try:
        return _read_ref(f"{repo}/refs/main")
    except FileNotFoundError:
        if not os.path.isdir(f"{repo}/snapshots"):
            raise DamagedError("has no snapshots") from None
    refs = [f"{at}/{name}" for at, _, names in os.walk(f"{repo}/refs") for name in names]
    newest = max(refs, key=lambda ref: os.lstat(ref).st_mtime, default=None)
    return None if newest is None else _read_ref(newest)


def _read_ref(ref: str) -> str:
    descriptor = os.open(ref, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedError("names no commit for main")
        data = os.read(descriptor, _MAX_REF_BYTES)
    finally:
        os.close(descriptor)
    commit = data.decode("ascii", "replace").strip()
    if not commit.isalnum():
        raise DamagedError("names no commit for main")
    return commit


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
