"""Deletes a model from the hub's cache, with all its revisions and blobs."""

import contextlib
import shutil
from pathlib import Path

from app.worker.library.hubcache import PREFIX

DELETED = "deleted"
"""What the folder of snapshots is called while the rest of a model goes."""


def remove(cache: Path, model_id: str) -> None:
    """Delete all revisions of a model, or what an interrupted deletion left. Raises OSError."""
    folder = cache / (PREFIX + model_id.replace("/", "--"))
    shutil.rmtree(folder / DELETED, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        # In one step it is no model any more: whatever a kill leaves are blobs without a use,
        # which count as leftovers, and not a model that lacks some of its files.
        (folder / "snapshots").rename(folder / DELETED)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
