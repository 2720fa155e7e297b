"""One window for each home."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
from PySide6.QtCore import QProcess
from pytestqt.qtbot import QtBot

from app import paths
from app.gui.instance import SingleInstance

DEADLINE_MS = 20_000


def second_start(home: Path) -> QProcess:
    """Start the app once more on this home."""
    process = QProcess()
    environment = process.processEnvironment()
    for name, value in {**os.environ, "MLX_MANAGER_HOME": str(home)}.items():
        environment.insert(name, value)
    process.setProcessEnvironment(environment)
    process.setWorkingDirectory(paths.program_root() or ".")
    process.start(sys.executable, ["-m", "app"])
    return process


def test_second_start_raises_the_first_window_and_ends(home: Path, qtbot: QtBot) -> None:
    first = SingleInstance()
    assert first.claim()
    process = second_start(home)
    with qtbot.waitSignals([first.raise_wanted, process.finished], timeout=DEADLINE_MS):
        pass
    assert process.exitCode() == 0
    assert psutil.Process().children(recursive=True) == []
    first.release()


def test_lock_of_a_killed_window_does_not_keep_the_next_one_out(home: Path) -> None:
    code = (
        "import os, signal; from PySide6.QtCore import QCoreApplication; "
        "from app.gui.instance import SingleInstance; app = QCoreApplication([]); "
        "one = SingleInstance(); assert one.claim(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], timeout=30, check=False)
    assert killed.returncode == -9
    later = SingleInstance()
    assert later.claim()
    later.release()


def test_homes_do_not_disturb_each_other(home: Path, tmp_path: Path, monkeypatch) -> None:  # noqa: ANN001
    first = SingleInstance()
    assert first.claim()
    monkeypatch.setenv("MLX_MANAGER_HOME", str(home / "other"))
    second = SingleInstance()
    assert second.claim()
    second.release()
    first.release()
