"""Programs of others that a test or a measurement runs, each in an environment of its own.

They are made on demand below `.build`, from pinned versions, and used again by the next run. The
pins hold what is named; its dependencies are the newest that fit.
"""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FOLDER = ROOT / ".build" / "throwaway"
# litellm with all that it needs took 40 s over a fast line.
_DEADLINE_S = 900.0


# What all that is pinned today runs on.
_PYTHON = ">=3.11,<3.13"


def python_programs(name: str, *pins: str) -> Path:
    """Return the `bin` of a Python environment with these packages. Raises CalledProcessError."""
    folder = _FOLDER / name
    if _is_made(folder, pins):
        return folder / "bin"
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    _run(uv, "venv", "--no-project", "--clear", "--python", _PYTHON, str(folder))
    # Wheels only: the build script of a package would run with the rights of whoever tests.
    wheels = ("pip", "install", "--only-binary", ":all:", "--python", str(folder))
    _run(uv, *wheels, *pins)
    _stamp(folder).write_text(" ".join(pins), encoding="utf-8")
    return folder / "bin"


def node_modules(name: str, *pins: str) -> Path:
    """Return a `node_modules` with these packages. Raises CalledProcessError."""
    folder = _FOLDER / name
    if not _is_made(folder, pins):
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save")
        _run("npm", "install", "--prefix", str(folder), *options, *pins)
        _stamp(folder).write_text(" ".join(pins), encoding="utf-8")
    return folder / "node_modules"


def _stamp(folder: Path) -> Path:
    return folder / "pins"


def _is_made(folder: Path, pins: tuple[str, ...]) -> bool:
    stamp = _stamp(folder)
    return stamp.exists() and stamp.read_text(encoding="utf-8") == " ".join(pins)


def _run(*command: str) -> None:
    # The tests' own environment would follow: uv installs into the one that it names.
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_DEADLINE_S, check=False
    )
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
