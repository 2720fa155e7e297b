"""What a folder on this disk says about the model in it: its files and its card."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from app.wire.hub import HubFile

_MOST_FILES = 1000
_DEEPEST = 3
_MOST_CARD_BYTES = 256 * 1024


class ModelFolder(msgspec.Struct, frozen=True):
    """A model's files, largest first, and its card in Markdown; written by anybody."""

    files: tuple[HubFile, ...] = ()
    card: str = ""
    is_card_cut: bool = False


def read_folder(path: Path) -> ModelFolder:
    """Return what is in a model's folder; what cannot be read is left out. Blocks on the disk."""
    found = sorted(_files(path, path, _DEEPEST), key=lambda f: (-(f.size_bytes or 0), f.name))
    card = b""
    try:
        with (path / "README.md").open("rb") as file:
            card = file.read(_MOST_CARD_BYTES + 1)
    except OSError:
        card = b""
    text = _without_head(card[:_MOST_CARD_BYTES].decode("utf-8", "ignore"))
    return ModelFolder(tuple(found[:_MOST_FILES]), text, len(card) > _MOST_CARD_BYTES)


def _files(root: Path, folder: Path, depth: int) -> Iterator[HubFile]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)[:_MOST_FILES]
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            # The hub's cache has links to files, never to folders.
            if entry.is_dir(follow_symlinks=False) and depth and not entry.name.startswith("."):
                yield from _files(root, path, depth - 1)
            elif entry.is_file():
                yield HubFile(path.relative_to(root).as_posix(), entry.stat().st_size)
        except OSError:
            continue


def _without_head(text: str) -> str:
    """Return a README without the settings at its top."""
    text = text.replace("\r\n", "\n")
    if text.startswith("---\n") and (end := text.find("\n---", 3)) >= 0:
        text = text[end + 4 :].partition("\n")[2]
    return text.strip()
