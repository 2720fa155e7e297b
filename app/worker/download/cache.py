"""One model's folder in the hub's cache: blobs, snapshots, refs and the hub library's locks."""

import contextlib
import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path

from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock

from app import files as documents
from app.worker.download.plan import Plan, PlannedFile

PARTIAL = ".mmm.incomplete"
"""Ends in what the hub library takes for an unfinished file, so that its tools see and count it."""
STATE = ".mmm.state.incomplete"
_LOCK_WAIT_S = 0.05
_WRITE_S = 0.5
"""No write of a ref takes so long; a killed worker's next try comes later."""
_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class RepoCache:
    """The layout of one model's files, as huggingface_hub 2.x and mlx-lm look for them."""

    def __init__(self, cache: Path, repo_id: str) -> None:
        name = repo_folder_name(repo_id=repo_id, repo_type="model")
        self.cache = cache
        self.folder = cache / name
        self.blobs = self.folder / "blobs"
        self._snapshots = self.folder / "snapshots"
        self._locks = cache / ".locks" / name

    def prepare(self) -> None:
        """Make the folders; without `snapshots` the hub library takes the model for damaged."""
        for folder in (self.blobs, self._snapshots, self._locks):
            folder.mkdir(parents=True, exist_ok=True)

    def blob(self, file: PlannedFile) -> Path:
        """Return where a complete file belongs."""
        return self.blobs / file.etag

    def find(self, plan: Plan, file: PlannedFile) -> Path | None:
        """Return the complete file, None if it is not there or has the wrong size."""
        # Without links on the disk, the files are in the snapshot itself.
        for path in (self.blob(file), *(self._pointer(plan, name) for name in file.names)):
            with contextlib.suppress(OSError):
                if path.stat().st_size == file.size:
                    return path
        return None

    @contextlib.contextmanager
    def locked(self, files: list[PlannedFile]) -> Generator[None, None, None]:
        """Hold the hub library's locks of all files. Raises TimeoutError when one is taken.

        In one order everywhere, and all or none, so that no two programs wait for each other.
        """
        with contextlib.ExitStack() as stack:
            for file in sorted(files, key=lambda f: f.etag):
                lock = self._locks / f"{file.etag}.lock"
                stack.enter_context(WeakFileLock(lock, timeout=_LOCK_WAIT_S))
            yield

    def publish(self, plan: Plan, revision: str) -> Path:
        """Link all files into the snapshot, point the revision to it, and return the snapshot."""
        for file in plan.files:
            for name in file.names:
                self._link(plan, file, name)
            # Of a try that was killed in the moment between giving a name and tidying up.
            for suffix in (PARTIAL, STATE):
                (self.blobs / f"{file.etag}{suffix}").unlink(missing_ok=True)
        if revision != plan.commit:
            ref = self.folder / "refs" / revision
            # The hub library takes whatever is there for a ref, also what a killed write has left.
            documents.sweep_temporaries(ref.parent, older_than_s=_WRITE_S)
            # To the disk before its name: an empty one would hide the model after a power cut.
            documents.write_atomically(ref, plan.commit)
        return self._snapshots / plan.commit

    def discard(self) -> None:
        """Remove unfinished files, files that no snapshot has, and the folders that are empty."""
        for pattern in (f"*{PARTIAL}", f"*{STATE}"):
            for path in self.blobs.glob(pattern):
                path.unlink(missing_ok=True)
        pointers = [path for path in self._snapshots.rglob("*") if path.is_symlink()]
        used = {os.path.basename(os.readlink(path)) for path in pointers}  # noqa: PTH115, PTH119
        for blob in self.blobs.glob("*"):
            if blob.name not in used and _ETAG.fullmatch(blob.name) and not blob.is_symlink():
                self._discard_blob(blob)
        # Blobs without `snapshots` would look like a damaged model.
        for folder in (*self._snapshots.glob("*"), self.blobs, self._snapshots, self.folder):
            with contextlib.suppress(OSError):
                if folder != self._snapshots or not self.blobs.exists():
                    folder.rmdir()

    def _discard_blob(self, blob: Path) -> None:
        # Another program that has just fetched it holds the lock until it has linked it.
        with (
            contextlib.suppress(TimeoutError, FileNotFoundError),
            WeakFileLock(self._locks / f"{blob.name}.lock", timeout=_LOCK_WAIT_S),
        ):
            blob.unlink(missing_ok=True)

    def _pointer(self, plan: Plan, name: str) -> Path:
        return self._snapshots / plan.commit / name

    def _link(self, plan: Plan, file: PlannedFile, name: str) -> None:
        pointer, blob = self._pointer(plan, name), self.blob(file)
        if not blob.exists():
            return
        with contextlib.suppress(OSError):
            if pointer.samefile(blob):
                return
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:
            # An external disk may know no links. The last name takes the file itself.
            if name == file.names[-1]:
                blob.replace(pointer)
            else:
                shutil.copyfile(blob, pointer)
