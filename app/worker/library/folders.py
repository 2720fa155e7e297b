"""Finds the models in plain folders, as LM Studio, oMLX and people keep them."""

import os
from collections.abc import Iterator
from pathlib import Path

from app.wire.nouns import ModelSource
from app.worker.files import clean, is_sendable
from app.worker.library.found import Found, Names, find, read_model
from app.worker.library.hubcache import PREFIX, DamagedError, hub_model
from app.worker.library.listing import list_folder
from app.worker.library.memory import Memory

# author/model below a folder that holds one more level, as LM Studio's and others' do.
_MAX_DEPTH = 3
_MAX_FOLDERS = 5_000


def folder_models(root: Path, memory: Memory, warnings: list[str]) -> Iterator[Found]:
    """Yield the model in `root`, or those in the folders below it; links are followed once."""
    waiting = [(root, 0)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        folder, depth = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if len(seen) > _MAX_FOLDERS:
                warnings.append(f"The folder {_text(root)} holds too many folders to search all.")
                return
            model = _model_in(folder, depth, memory)
            if model is None and depth < _MAX_DEPTH and not folder.name.startswith(PREFIX):
                waiting += [(below, depth + 1) for below in _folders_in(folder)]
        except DamagedError as error:
            warnings.append(f"{_text(folder)} {error}.")
            continue
        except OSError as error:
            warnings.append(f"{_text(folder)} cannot be read: {error.strerror or error}.")
            continue
        if model is not None:
            yield model


def model_in(
    folder: Path, memory: Memory, *, author: str = "", source: ModelSource = ModelSource.FOLDER
) -> Found | None:
    """Return the model whose files are in `folder` itself, None if there is none. Raises OSError.

    Its id is the folder.
    """
    place = str(folder)
    listing = list_folder(place)
    names = Names(place, author, folder.name, source)
    return find(place, listing.stamp(), names, memory, lambda: read_model(place, listing))


def _model_in(folder: Path, depth: int, memory: Memory) -> Found | None:
    if folder.name.startswith(PREFIX):
        return hub_model(str(folder), memory, source=ModelSource.FOLDER)
    return model_in(folder, memory, author=folder.parent.name if depth > 1 else "")


def _folders_in(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [
            folder / entry.name
            for entry in entries
            if not entry.name.startswith(".")
            and is_sendable(Path(entry.name))
            and _is_folder(entry)
        ]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _text(path: Path) -> str:
    return clean(str(path))
