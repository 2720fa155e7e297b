"""What a program loads before it does anything: the window's first frame waits for all of it."""

import subprocess
import sys

from patience import DEADLINE_S

LOADED = """
import importlib, sys
importlib.import_module("app.__main__")
importlib.import_module(sys.argv[1])
print(*{name.partition(".")[0] for name in sys.modules})
"""
HEAVY = {"httpx2", "keyring", "tomlkit", "numpy", "pyqtgraph", "asyncio", "multiprocessing"}
LATER = {"msgspec", "tomllib"}


def loaded_by(module: str) -> set[str]:
    """Return the top-level modules in a process that has imported this module of the app."""
    result = subprocess.run(
        [sys.executable, "-c", LOADED, module],
        capture_output=True, text=True, timeout=DEADLINE_S, check=True,
    )  # fmt: skip
    return set(result.stdout.split())


def test_window_at_its_start_has_loaded_no_heavy_library() -> None:
    assert not (HEAVY | LATER) & loaded_by("app.gui.main")


def test_guard_at_its_start_has_loaded_the_standard_library_alone() -> None:
    found = loaded_by("app.guard")
    assert not (HEAVY | {"msgspec", "platformdirs", "logging"}) & found
