"""A text about an installation to pass on: facts, settings, figures and the last log lines."""

import platform
import sys
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from app import __version__, paths
from app.doctor.checks import all_checks
from app.doctor.figures import last_figures
from app.doctor.log_tail import server_tail, tail
from app.doctor.scrub import scrub
from app.doctor.settings import setting_lines, stored_settings
from app.wire.settings import SettingState

_LIBRARIES = (
    "mlx", "mlx-metal", "mlx-lm", "transformers", "huggingface_hub", "PySide6-Essentials",
    "starlette", "uvicorn", "uvloop", "psutil",
)  # fmt: skip
_LOGS = (
    "engine.log", "app.log", "crash.log", "engine-crash.log", "hub.log", "downloads.log",
    "engine-start.log",
)  # fmt: skip
_SERVER_LOGS = 3
"""Of each kind: of present runs, and of runs that crashed."""


def make_report(
    facts: Sequence[tuple[str, str]] = (), settings: Sequence[SettingState] = ()
) -> str:
    """Return the report, scrubbed.

    `facts` are sections of (title, text) from the engine, `settings` what is in use; without
    those the report has what files and environment say.
    """
    sections = [
        ("Versions", "\n".join(_versions())),
        ("Checks", "\n".join(_findings())),
        *facts,
        ("Settings", setting_lines(settings or stored_settings())),
        ("Figures of the last 5 minutes with a server", last_figures()),
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
    for name in _LOGS:
        yield name, tail(logs / name)
    for pattern in ("*.log", "*.log.crash"):
        servers = sorted((logs / "servers").glob(pattern), key=_changed_at, reverse=True)
        for path in servers[:_SERVER_LOGS]:
            yield f"servers/{path.name}", server_tail(path)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
