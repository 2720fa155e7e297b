"""Short work on models that is killed in the middle: checks, deletions, leftovers and fits."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from engine_kit import DEADLINE_S, call, until
from faults.work_kit import Asker
from model_kit import make_folder, make_hub_repo, model_files, safetensors

CHECKED = "shelf/Checked"
DELETED = "shelf/Deleted"
FILES = 1500
"""In the model that is deleted, so that this takes a while."""


def files_of(size: int) -> dict[str, bytes]:
    """Return the files of a model; those of one size are copies of each other."""
    weights = safetensors({"model.norm.weight": ("BF16", (size,))})
    return model_files() | {"model.safetensors": weights}


class Shelf:
    """Models of a home that are checked and deleted again and again."""

    def __init__(self, home: Path) -> None:
        self._cache = home / "hf" / "hub"
        self._folder = home / "disk" / "shelf" / "Moved"
        self._checked = self._cache / "models--shelf--Checked"
        self._deleted = self._cache / "models--shelf--Deleted"
        self._url = ""
        self._askers: dict[str, Asker] = {}
        self._trash = home / "data" / "Trash" / "files"
        self._left = self._cache / "models--shelf--Left" / "blobs"
        self._is_in_use = False
        self._orders = {
            "verify worker": ("POST", f"/api/models/{CHECKED}/verify"),
            "probe worker": ("GET", f"/api/models/{CHECKED}/fit"),
            "remove worker": ("DELETE", f"/api/models/{DELETED}"),
            "trash worker": ("DELETE", f"/api/models/{quote(str(self._folder))}"),
            "leftovers worker": ("DELETE", "/api/leftovers"),
        }

    @property
    def victims(self) -> tuple[str, ...]:
        """The kinds of workers that do this work."""
        return tuple(self._orders)

    def begin(self, url: str) -> None:
        """Have everything done that can be killed here."""
        self._url = url
        self._fill()
        for victim in self._orders:
            self._order(victim)

    def again(self, victim: str) -> None:
        """Have the work of such a worker done again when it is done."""
        if self._askers[victim].has_ended:
            self._fill()
            self._order(victim)

    def at_work(self, victim: str, process: psutil.Process) -> None:
        """Wait for the first trace of a deletion that is under way."""
        while victim == "remove worker" and process.is_running() and self._is_whole():
            pass

    def end(self) -> None:
        """Wait for the answers to all orders."""
        for asker in self._askers.values():
            asker.end(DEADLINE_S)

    def check(self, url: str) -> None:
        """Check that no half of a model is shown as whole, and do again what was interrupted."""
        self.end()
        if not self._is_in_use:
            return
        self._is_in_use, self._url = False, url
        until(lambda: self._is_told(self._models().get(DELETED)))
        until(lambda: self._folder.exists() == (str(self._folder) in self._models()))
        for method, target in self._orders.values():
            answer = call(url, method, target)
            assert answer.status in (200, 202, 404), answer.body
        # The rest of one that was half deleted went with the other leftovers.
        assert not [*self._left.glob("*"), *self._deleted.glob("blobs/*")]
        assert not self._folder.exists()
        assert all(len(list(moved.iterdir())) == 4 for moved in self._trash.iterdir())
        until(lambda: not {DELETED, str(self._folder)} & set(self._models()))
        until(lambda: (self._models()[CHECKED]["check"] or {}).get("state") == "intact")
        assert self._models()[CHECKED]["problem"] is None

    def _fill(self) -> None:
        """Put on the disk what is missing, and wait until the engine knows it."""
        self.end()
        self._is_in_use = True
        if not self._checked.exists():
            make_hub_repo(self._cache, CHECKED, files_of(1))
        # Of an interrupted deletion empty folders may be left.
        if not (self._deleted / "snapshots").exists():
            more = {f"{number}.txt": b"%d" % number for number in range(FILES)}
            make_hub_repo(self._cache, DELETED, files_of(2) | more)
        make_folder(self._folder, files_of(3))
        make_folder(self._left, {f"{n:064x}.incomplete": b"half" for n in range(20)})
        for path in (*self._left.iterdir(), *self._deleted.glob("blobs/*")):
            # What was written to lately may be in use.
            os.utime(path, (0, 0))
        call(self._url, "POST", "/api/models/scan")
        until(lambda: {CHECKED, DELETED, str(self._folder)} <= set(self._models()))

    def _order(self, victim: str) -> None:
        method, target = self._orders[victim]
        self._askers[victim] = Asker(lambda: call(self._url, method, target))

    def _models(self) -> dict[str, dict[str, Any]]:
        return {model["id"]: model for model in call(self._url, "GET", "/api/models").json}

    def _is_whole(self) -> bool:
        snapshots = list(self._deleted.glob("snapshots/*"))
        links = list(snapshots[0].iterdir()) if snapshots else []
        return len(links) == FILES + 4 and all(link.exists() for link in links)

    def _is_told(self, model: dict[str, Any] | None) -> bool:
        return model is None or bool(model["problem"]) or self._is_whole()
