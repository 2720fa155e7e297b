"""How window, engine and servers end: in order, killed, and one without the other (BUGFIX-02)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QWidget
from pytestqt.qtbot import QtBot
from stranger_kit import answering
from test_main_window import figures
from window_kit import (
    DEADLINE_S,
    Desk,
    family_of,
    is_gone,
    open_window,
    program_environment,
    wait_until,
)

from app import paths
from app.client.api import Api
from app.client.launch import find
from app.gui.mirror import LinkState
from app.gui.preferences import Preferences
from app.wire import API_VERSION
from app.wire.nouns import ServerState


def test_bugfix_02_quitting_the_app_ends_engine_guard_and_servers(
    own_home: Path, qtbot: QtBot
) -> None:
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        desk.start("Demo", "demo")
        processes = family_of(desk.engine_pid())
        names = " ".join(" ".join(p.cmdline()) for p in processes)
        assert all(word in names for word in ("engine", "guard", "runner"))
        asked: list[str] = []

        def answer() -> None:
            box = QApplication.activeModalWidget()
            assert isinstance(box, QMessageBox)
            asked.append(box.text())
            desk.click(box, "Stop and quit")

        QTimer.singleShot(300, answer)
        desk.keys("Ctrl+Q")
        assert asked == ["Stop Demo and quit?"]
        desk.until(lambda: all(is_gone(p) for p in processes))
        assert not window.isVisible()
    assert [p.name for p in (own_home / "run").glob("*.json")] == []


def test_quit_question_can_be_refused_and_silenced(own_home: Path, qtbot: QtBot) -> None:
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        desk.start("Demo", "demo")

        def refuse() -> None:
            box = QApplication.activeModalWidget()
            assert isinstance(box, QMessageBox)
            desk.click(box, "Cancel")

        def agree_for_ever() -> None:
            box = QApplication.activeModalWidget()
            assert isinstance(box, QMessageBox)
            check = box.checkBox()
            assert check is not None
            check.click()
            desk.click(box, "Stop and quit")

        QTimer.singleShot(300, refuse)
        desk.keys("Ctrl+Q")
        assert window.isVisible()
        assert desk.state("demo") is ServerState.READY
        QTimer.singleShot(300, agree_for_ever)
        desk.keys("Ctrl+Q")
        desk.until(lambda: not window.isVisible())
    assert Preferences().value("confirm_quit") is False


def texts(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


class App:
    """`python -m app` as a process of its own, without a screen."""

    def __init__(self, home: Path) -> None:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "app"],
            env=program_environment(home, QT_QPA_PLATFORM="offscreen"),
            cwd=paths.program_root(),
        )
        self.process = psutil.Process(self._program.pid)

    def kill(self, number: signal.Signals) -> int:
        self._program.send_signal(number)
        return self._program.wait(DEADLINE_S)


def run_demo(home: Path) -> tuple[App, list[psutil.Process]]:
    """Start the app, and from outside a server in it; return all processes but the app's own."""
    app = App(home)
    try:
        assert wait_until(lambda: find() is not None, DEADLINE_S), "the app started no engine"
        address = find()
        assert address is not None
        with Api(address.url) as api:
            api.start_server("demo")
            states = [server.state for server in api.wait_settled("demo")]
        assert states[-1] is ServerState.READY
        processes = family_of(address.pid)
        assert len(processes) >= 3
    except BaseException:
        app.kill(signal.SIGKILL)
        raise
    return app, processes


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_bugfix_02_app_that_is_killed_leaves_no_engine_and_no_servers(
    own_home: Path, number: signal.Signals, qapp: QApplication
) -> None:
    app, processes = run_demo(own_home)
    status = app.kill(number)
    assert status == (-9 if number is signal.SIGKILL else 0)
    assert wait_until(lambda: all(is_gone(p) for p in processes), DEADLINE_S), processes
    assert list((own_home / "run").glob("*.json")) == []
    # The engine below an app that was killed has ended in order, the app has not.
    left = [path.name for path in (own_home / "run").glob("*.alive")]
    assert left == (["app.alive"] if number is signal.SIGKILL else [])


def test_engine_that_is_killed_leaves_figures_and_is_started_again(
    own_home: Path, qtbot: QtBot, allow_log: Callable[[str], None]
) -> None:
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        tile = desk.start("Demo", "demo")
        desk.until(lambda: figures(tile)["CPU"] != "\N{EN DASH}")
        before = family_of(desk.engine_pid())
        os.kill(desk.engine_pid(), signal.SIGKILL)
        desk.until(lambda: window.parts.mirror.link is LinkState.STALE)
        shown = figures(tile)["Memory"]
        assert shown != "\N{EN DASH}"
        stamp = window.parts.mirror.stale_since
        assert stamp is not None
        # A later try says another sentence; the figures are as old as before.
        desk.until(lambda: window.parts.mirror.link_text == "The engine was killed.")
        assert window.parts.mirror.stale_since == stamp
        since = time.strftime("%H:%M:%S", time.localtime(stamp))
        status = [label.text() for label in window.parts.status.findChildren(QLabel)]
        assert any(f"Figures are from {since}" in text for text in status)
        assert figures(tile)["Memory"] == shown
        assert "The last figures stay in sight." in window.parts.notice.text
        desk.until(lambda: all(is_gone(p) for p in before))
        desk.click(window.parts.notice, "Start again")
        desk.until(lambda: window.parts.mirror.link is LinkState.LIVE)
        assert desk.engine_pid() != before[0].pid
        assert window.parts.notice.text == ""
        desk.until(lambda: not desk.mirror.servers)
        again = desk.start("Demo", "demo")
        assert desk.chat("Demo", tokens=8)["choices"]
        desk.click(again, "Stop")
        desk.until_state("demo", ServerState.STOPPED)


def test_engine_that_cannot_start_is_told_with_a_way_to_try_again(
    own_home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file where a folder must be: the engine ends with a sentence.
    (own_home / "run").write_text("")
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        empty = window.parts.servers_panel.empty
        desk.until(lambda: "The engine did not start" in texts(empty))
        # Once: the rest of the window has other things to say.
        assert window.parts.notice.text == ""
        assert "No engine" in texts(window.parts.status)
        (own_home / "run").unlink()
        desk.click(empty, "Try again")
        desk.until_live()
        assert not [b.text() for b in empty._ways if b.isVisible()]
        assert not window.parts.notice.offers_action


def test_window_comes_back_with_its_size_and_profile(own_home: Path, qtbot: QtBot) -> None:
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        window.resize(1111, 700)
        desk.choose("Demo")
        window.parts.settings.set_appearance("dark")
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        # The width is cut to that of the small screen that there is without a screen.
        assert window.height() == 700
        desk.until_live()
        assert desk.picker.currentText() == "Demo"
        assert Preferences().value("appearance") == "dark"
        window.parts.settings.set_appearance("system")


def test_engine_of_another_version_is_named_and_nothing_of_it_is_shown(
    own_home: Path, qtbot: QtBot
) -> None:
    with answering({"api_version": API_VERSION + 1}) as other, open_window(other.url) as window:
        desk = Desk(window, own_home, qtbot)
        desk.until(lambda: desk.mirror.link is LinkState.STALE)
        said = texts(window.parts.servers_panel.empty)
        assert "same version of the app on both sides" in said
        assert f"speaks version {API_VERSION + 1}" in said
        assert not desk.mirror.profiles
