"""What earlier scans read in the models' files, so that only what changed is read again."""

import importlib.util
import os
import sys
from pathlib import Path

import msgspec

from app import __version__, files
from app.wire.nouns import Model
from app.wire.reading import read_json

_FORMAT = 5


class _Entry(msgspec.Struct, frozen=True):
    """What is known of one folder."""

    stamp: str
    model: Model
    files: dict[str, int]
    sample: str = ""
    """Names the weights; empty when nobody asked for it."""


class _Document(msgspec.Struct, frozen=True):
    """The file."""

    reader: str
    """Who wrote it: another program, or another mlx-lm, may see a model differently."""
    entries: dict[str, _Entry]


class Memory:
    """One file, which may vanish at any time. A path of None remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._reader = _reader()
        self._entries = self._load()
        self._now: dict[str, _Entry] = {}

    def get(self, folder: str, stamp: str) -> tuple[Model, dict[str, int]] | None:
        """Return what is known of a folder, None if nothing or if it has changed since."""
        known = self._entries.get(folder)
        if known is None or known.stamp != stamp:
            return None
        return known.model, known.files

    def put(self, folder: str, stamp: str, model: Model, files: dict[str, int]) -> None:
        """Remember a model that is there now."""
        known = self._entries.get(folder)
        sample = known.sample if known is not None and known.stamp == stamp else ""
        self._now[folder] = _Entry(stamp, model, files, sample)

    def sample(self, folder: str) -> str:
        """Return the sample of a folder's weights, empty if none was taken."""
        known = self._now.get(folder)
        return known.sample if known is not None else ""

    def put_sample(self, folder: str, sample: str) -> None:
        """Remember the sample of a folder that is there now."""
        self._now[folder] = msgspec.structs.replace(self._now[folder], sample=sample)

    def below(self, root: str) -> list[Model]:
        """Return what was there below a folder that is not there now, and keep it in mind."""
        start = root.rstrip("/") + "/"
        gone = {f: e for f, e in self._entries.items() if f == root or f.startswith(start)}
        self._now |= gone
        return [entry.model for entry in gone.values()]

    def save(self) -> None:
        """Write what is there now, if that is anything new."""
        if self._path is None or self._now == self._entries:
            return
        text = msgspec.json.encode(_Document(self._reader, self._now)).decode()
        try:
            files.write_atomically(self._path, text, mode=0o600)
        except OSError as error:
            sys.stderr.write(f"what was found cannot be remembered: {error}\n")

    def _load(self) -> dict[str, _Entry]:
        if self._path is None:
            return {}
        try:
            document = read_json(self._path.read_bytes(), _Document)
        except (OSError, msgspec.DecodeError):
            return {}
        return document.entries if document.reader == self._reader else {}


def _reader() -> str:
    spec = importlib.util.find_spec("mlx_lm")
    places = list(spec.submodule_search_locations or []) if spec else []
    times: list[str] = []
    for place in places:
        try:
            times.append(str(os.stat(f"{place}/utils.py").st_mtime_ns))  # noqa: PTH116 - no object
        except OSError:
            times.append("frozen")
    return f"{_FORMAT} {__version__} {' '.join(times)}"
