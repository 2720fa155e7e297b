"""A text about an installation that can be passed on: facts, settings and the last log lines."""

import platform
import sys
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from app import __version__, paths
from app.doctor.checks import all_checks
from app.doctor.scrub import scrub

_LIBRARIES = (
    "mlx", "mlx-metal", "mlx-lm", "transformers", "huggingface_hub", "PySide6-Essentials",
    "starlette", "uvicorn", "psutil",
)  # fmt: skip
_LINES = 120
_SERVER_LOGS = 3
_TAIL_BYTES = 64_000


def make_report(facts: Sequence[tuple[str, str]] = ()) -> str:
    """Return the report, scrubbed; `facts` are sections of (title, text) from the engine."""
    sections = [
        ("Versions", "\n".join(_versions())),
        ("Checks", "\n".join(_findings())),
        *facts,
        *_log_sections(),
    ]
    made = time.strftime("%Y-%m-%d %H:%M:%S %z")
    head = f"MLX Model Manager {__version__}, report of {made}\nKeys and names are removed.\n"
    body = "".join(f"\n## {title}\n{text.rstrip()}\n" for title, text in sections if text.strip())
    return scrub(head + body)


def _versions() -> Iterable[str]:
    yield f"system          {platform.platform()} {platform.machine()}"
    yield f"python          {sys.version.split()[0]}{' (frozen)' if _is_frozen() else ''}"
    for name in _LIBRARIES:
        try:
            yield f"{name:<15} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue


def _is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def _findings() -> Iterable[str]:
    for finding in all_checks():
        yield f"{finding.level.value:<8} {finding.subject}: {finding.sentence}"


def _log_sections() -> Iterable[tuple[str, str]]:
    logs = paths.logs()
    for name in ("engine.log", "app.log", "crash.log"):
        yield name, tail(logs / name)
    servers = sorted(logs.glob("servers/*.log"), key=_changed_at, reverse=True)
    for path in servers[:_SERVER_LOGS]:
        yield f"servers/{path.name}", tail(path)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def tail(path: Path, lines: int = _LINES) -> str:
    """Return the last lines of a file, nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
