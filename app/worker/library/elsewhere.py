"""Where other programs on this computer keep their models."""

from pathlib import Path

from app.worker.files import UnreadableError, read_table, read_text, table, texts

_MAX_BYTES = 1_000_000


def other_libraries(home: Path) -> dict[str, list[Path]]:
    """Return name of the program to its folders of models, those only that are there."""
    found = {"LM Studio": _lm_studio(home), "oMLX": _omlx(home)}
    there = {name: [f for f in folders if _is_folder(f)] for name, folders in found.items()}
    return {name: folders for name, folders in there.items() if folders}


def _lm_studio(home: Path) -> list[Path]:
    """By the rules of LM Studio's own look-up; `downloadsFolder` is a library that was moved."""
    place = home / ".cache" / "lm-studio"
    if not _is_folder(place):
        place = home / ".lmstudio"
    pointed = _line(home / ".lmstudio-home-pointer")
    if pointed:
        place = _expanded(pointed, home)
    moved = _table(place / "settings.json").get("downloadsFolder")
    if isinstance(moved, str) and moved:
        return [_expanded(moved, home)]
    return [place / "models"]


def _omlx(home: Path) -> list[Path]:
    settings = table(_table(home / ".omlx" / "settings.json").get("model"))
    named = texts(settings.get("model_dirs"))
    return [_expanded(text, home) for text in named if text] or [home / ".omlx" / "models"]


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
