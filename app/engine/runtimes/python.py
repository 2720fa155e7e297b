"""The Pythons that can run servers: found, asked once what they have, and remembered."""

import os
import platform
import subprocess
import threading
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from app import paths
from app.architectures import Architectures, architectures_in, installed_architectures
from app.wire.errors import AppError, ErrorCode

_PACKAGES = ("mlx-lm", "mlx", "transformers")
_DEADLINE_S = 20.0
"""A cold start from a slow disk; a warm one takes 0.2 s."""
_NEEDED = frozenset(
    {"--model", "--host", "--port", "--allowed-origins", "--prompt-cache-bytes"}
)  # fmt: skip
"""What the app itself passes to the server."""

# Runs in a Python of any version with nothing but its own library. The options are read from the
# text of mlx_lm/server.py, since importing it takes two seconds.
_QUESTION = """
import ast, importlib.metadata as m, importlib.util as u, json, os, platform, sys
found = {"python": platform.python_version(), "versions": {}, "flags": None, "folder": None}
for name in sys.argv[1:]:
    try: found["versions"][name] = m.version(name)
    except m.PackageNotFoundError: pass
spec = u.find_spec("mlx_lm")
place = list(spec.submodule_search_locations or []) if spec else []
if place:
    found["folder"] = os.path.dirname(place[0])
    try: text = open(os.path.join(place[0], "server.py"), encoding="utf-8").read()
    except OSError: text = ""
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    words = [a.value for c in calls if getattr(c.func, "attr", "") == "add_argument"
             for a in c.args if isinstance(a, ast.Constant)]
    found["flags"] = [w for w in words if str(w).startswith("--")] or None
try:
    import mlx.core
except Exception as error:
    found["error"] = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
print(json.dumps(found))
"""
_RUNNER = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from app.runner.main import main; main(sys.argv[1:])"
)


class Python(msgspec.Struct, frozen=True):
    """A Python with what it has for servers."""

    program: str
    """Empty for the one that is built in."""
    python: str = ""
    versions: dict[str, str] = {}
    flags: frozenset[str] | None = None
    """Options of its mlx_lm.server; None where they are not known, and then all are tried."""
    problem: str = ""
    """Why it cannot be used, as a sentence; empty when it can."""
    architectures: Architectures | None = None
    """What its mlx-lm can load; None where that is not known, and then all is tried."""

    @property
    def text(self) -> str:
        """For people: `mlx-lm 0.32.2 · mlx 0.32.4 · transformers 5.23.0 · Python 3.11`."""
        parts = [f"{name} {self.versions[name]}" for name in _PACKAGES if name in self.versions]
        return " · ".join([*parts, f"Python {'.'.join(self.python.split('.')[:2])}"])

    @property
    def name(self) -> str:
        """Which one it is, in a few words: `~/venv/bin/python3, mlx-lm 0.32.2`."""
        place = self.program or "built in"
        if self.program.startswith(f"{Path.home()}/"):
            place = f"~{self.program.removeprefix(str(Path.home()))}"
        if self.problem:
            return f"{place}, which cannot be used"
        version = self.versions.get("mlx-lm")
        return f"{place}, mlx-lm {version}" if version else place

    def command(self) -> list[str]:
        """Return what runs our runner in it."""
        if not self.program:
            return paths.program("runner")
        return [self.program, "-c", _RUNNER, str(paths.runner_source())]

    def knows(self, flag: str) -> bool:
        """True unless it is known that its server does not have the option."""
        return not flag or self.flags is None or flag in self.flags


class _Answer(msgspec.Struct):
    """What a Python prints; a program that says something else is none."""

    python: str
    versions: dict[str, str]
    flags: frozenset[str] | None
    folder: str | None
    error: str = ""


class Pythons:
    """Asks each Python once; again when it or its packages have changed. Safe in all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[Any, ...], str | None, Python]] = {}

    def find(self, text: str) -> Python:
        """Return the Python that a profile or a setting names, with its problem if it has one.

        Blocks up to 20 s the first time, then as long as a few stat calls.
        """
        if not text.strip():
            return _built_in()
        try:
            program = _program(text.strip())
        except AppError as error:
            return Python(text, problem=error.message)
        with self._lock:
            known = self._known.get(str(program))
            if known is None or known[0] != _stamp(program, known[1]):
                found, folder = _ask(program)
                known = (_stamp(program, folder), folder, found)
                self._known[str(program)] = known
            return known[2]


def _built_in() -> Python:
    versions: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Python("", platform.python_version(), versions, architectures=installed_architectures())


def _program(text: str) -> Path:
    """Return the program that a text means: itself, or that of an environment's folder."""
    # Not Path.expanduser, which raises for a user that does not exist.
    path = Path(os.path.expanduser(text))  # noqa: PTH111
    if not path.is_absolute():
        raise AppError(f"“{text}” is no absolute path of a Python.", code=ErrorCode.BAD_REQUEST)
    candidates = [path / "bin" / "python3", path / "bin" / "python"] if path.is_dir() else [path]
    for candidate in candidates:
        # Not resolved: an environment is known by the link in it.
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    what = "has no bin/python" if path.is_dir() else "is no program"
    raise AppError(f"{path} {what}.", code=ErrorCode.BAD_REQUEST)


def _stamp(program: Path, folder: str | None) -> tuple[Any, ...]:
    """Return something that changes when a Python or its packages do."""
    places = [program, program.parent.parent / "pyvenv.cfg"]
    if folder:
        # Beside the packages, the models: an editable install changes nothing else.
        places += [Path(folder), Path(folder) / "mlx_lm" / "models"]
    return tuple(place.stat().st_mtime_ns if place.exists() else None for place in places)


def _ask(program: Path) -> tuple[Python, str | None]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        # -I would hide the packages that people have installed for themselves.
        result = subprocess.run(
            [program, "-c", _QUESTION, *_PACKAGES],
            capture_output=True, timeout=_DEADLINE_S, env=environment, cwd=program.parent,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        answer = msgspec.json.decode(result.stdout.splitlines()[-1], type=_Answer)
    except subprocess.TimeoutExpired:
        return Python(str(program), problem=f"{program} did not answer in time."), None
    except OSError as error:
        reason = error.strerror or str(error)
        return Python(str(program), problem=f"{program} cannot be run: {reason}."), None
    except (msgspec.DecodeError, IndexError):
        return Python(str(program), problem=f"{program} does not answer like a Python."), None
    found = Python(str(program), answer.python, answer.versions, answer.flags)
    problem = _problem(found, answer.error)
    known = architectures_in(Path(answer.folder) / "mlx_lm") if answer.folder else None
    found = msgspec.structs.replace(found, problem=problem, architectures=known)
    return found, answer.folder


def _problem(found: Python, error: str) -> str:
    version = found.versions.get("mlx-lm")
    if version is None:
        return f"{found.program} has no mlx-lm. Install it there: pip install mlx-lm"
    if found.flags is not None and not found.flags >= _NEEDED:
        return f"mlx-lm {version} in {found.program} is too old. Update it there."
    return f"{found.program} cannot load mlx: {error}." if error else ""
