"""Where other programs on this computer keep their models."""

from pathlib import Path

import msgspec

from app.worker.files import UnreadableError, read_table, read_text, table, texts

_MAX_BYTES = 1_000_000


class Elsewhere(msgspec.Struct, frozen=True):
    """The libraries of other programs."""

    folders: dict[str, list[Path]]
    """Name of the program to its folders of models, those only that are there."""
    hints: list[Path]
    """What to look at for a change of `folders`: files that name one, and what is not there yet."""


def other_libraries(home: Path) -> Elsewhere:
    """Return where other programs of this user keep models."""
    found: dict[str, list[Path]] = {}
    hints: list[Path] = []
    for name, look in {"LM Studio": _lm_studio, "oMLX": _omlx}.items():
        folders, decisive = look(home)
        there = [folder for folder in folders if _is_folder(folder)]
        if there:
            found[name] = there
        hints += decisive + [folder for folder in folders if folder not in there]
    return Elsewhere(found, hints)


def _lm_studio(home: Path) -> tuple[list[Path], list[Path]]:
    """By the rules of LM Studio's own look-up; `downloadsFolder` is a library that was moved."""
    old, pointer = home / ".cache" / "lm-studio", home / ".lmstudio-home-pointer"
    place = old if _is_folder(old) else home / ".lmstudio"
    hints = [pointer] if place is old else [pointer, old]
    pointed = _line(pointer)
    if pointed:
        place = _expanded(pointed, home)
    settings = place / "settings.json"
    moved = _table(settings).get("downloadsFolder")
    folder = _expanded(moved, home) if isinstance(moved, str) and moved else place / "models"
    return [folder], [*hints, settings]


def _omlx(home: Path) -> tuple[list[Path], list[Path]]:
    settings = home / ".omlx" / "settings.json"
    named = texts(table(_table(settings).get("model")).get("model_dirs"))
    folders = [_expanded(text, home) for text in named if text] or [home / ".omlx" / "models"]
    return folders, [settings]


def _line(path: Path) -> str:
    try:
        return read_text(path, limit_bytes=_MAX_BYTES).strip()
    except UnreadableError:
        return ""


def _table(path: Path) -> dict[str, object]:
    try:
        return read_table(path, limit_bytes=_MAX_BYTES)
    except UnreadableError:
        return {}


def _expanded(text: str, home: Path) -> Path:
    return home / text.removeprefix("~").lstrip("/") if text.startswith("~/") else home / text


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return False
