"""One window for each home."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from patience import DEADLINE_MS, DEADLINE_S
from PySide6.QtCore import QProcess
from PySide6.QtNetwork import QLocalSocket
from pytestqt.qtbot import QtBot

from app import paths
from app.gui.instance import Claim, SingleInstance


def second_start(home: Path, *arguments: str) -> QProcess:
    """Start the app once more on this home."""
    process = QProcess()
    environment = process.processEnvironment()
    for name, value in {**os.environ, "MLX_MANAGER_HOME": str(home)}.items():
        environment.insert(name, value)
    process.setProcessEnvironment(environment)
    process.setWorkingDirectory(paths.program_root() or ".")
    process.start(sys.executable, ["-m", "app", *arguments])
    return process


def test_second_start_raises_the_first_window_and_ends(home: Path, qtbot: QtBot) -> None:
    first = SingleInstance()
    assert first.claim() is Claim.OURS
    process = second_start(home)
    with qtbot.waitSignals([first.raise_wanted, process.finished], timeout=DEADLINE_MS):
        pass
    assert process.exitCode() == 0
    assert psutil.Process().children(recursive=True) == []
    first.release()


def test_second_start_hands_over_what_it_should_open(home: Path, qtbot: QtBot) -> None:
    first = SingleInstance()
    assert first.claim() is Claim.OURS
    link = "mlxmanager:download?model=acme/Tiny"
    process = second_start(home, link, "here.mlxprofile")
    opened: list[list[str]] = []
    first.open_wanted.connect(opened.append)
    with qtbot.waitSignals([first.open_wanted, process.finished], timeout=DEADLINE_MS):
        pass
    file = str(Path(paths.program_root() or ".") / "here.mlxprofile")
    assert opened == [[link, file]]
    assert process.exitCode() == 0
    first.release()


@pytest.mark.parametrize("message", [b"", b"[]", b'{"open": "x"}', b'{"open": [1, null]}', b"{"])
def test_message_of_another_kind_raises_the_window_and_opens_nothing(
    home: Path, qtbot: QtBot, allow_log: Callable[[str], None], message: bytes
) -> None:
    allow_log("cannot be read")
    first = SingleInstance()
    assert first.claim() is Claim.OURS
    opened: list[object] = []
    first.open_wanted.connect(opened.append)
    other = QLocalSocket()
    with qtbot.waitSignals([first.raise_wanted, other.disconnected], timeout=DEADLINE_MS):
        other.connectToServer(str(paths.run() / "app.sock"))
        assert other.waitForConnected(DEADLINE_MS)
        other.write(message)
        other.flush()
        other.disconnectFromServer()
    assert opened == []
    first.release()


def test_lock_of_a_killed_window_does_not_keep_the_next_one_out(home: Path, qtbot: QtBot) -> None:
    code = (
        "import os, signal; from PySide6.QtCore import QCoreApplication; "
        "from app.gui.instance import Claim, SingleInstance; app = QCoreApplication([]); "
        "one = SingleInstance(); assert one.claim() is Claim.OURS; "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_S, check=False)
    assert killed.returncode == -9
    later = SingleInstance()
    assert later.claim() is Claim.OURS
    later.release()


def test_homes_do_not_disturb_each_other(
    home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = SingleInstance()
    assert first.claim() is Claim.OURS
    monkeypatch.setenv("MLX_MANAGER_HOME", str(home / "other"))
    second = SingleInstance()
    assert second.claim() is Claim.OURS
    second.release()
    first.release()
