"""The quiet notice after a run that did not end in order, with real processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import leaks
import psutil
import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from pytestqt.qtbot import QtBot
from window_kit import DEADLINE_S, Desk, free_port, open_window, program_environment, wait_until

from app import paths
from app.client.api import Api
from app.ending import BadEnd, Cause, Ending
from app.gui.dialogs.report import ReportDialog
from app.gui.dialogs.welcome import WelcomeSheet

SENTENCE = "MLX Model Manager did not end properly last time."


def start_app(home: Path) -> "subprocess.Popen[bytes]":
    """Start the app and return when its window is filled and its engine is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app"],
        env=program_environment(home, QT_QPA_PLATFORM="offscreen"),
        cwd=paths.program_root(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert wait_until((home / "run" / "engine.json").exists, DEADLINE_S)
    return process


def kill_app(process: "subprocess.Popen[bytes]", home: Path) -> None:
    """Kill the app and wait until its engine is gone, too."""
    process.kill()
    process.wait(DEADLINE_S)
    psutil.wait_procs(leaks.processes_with_home_under(home), DEADLINE_S)


def test_killed_app_is_told_by_the_next_window_with_log_and_report(
    own_home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url) or True)
    killed = start_app(own_home)
    kill_app(killed, own_home)
    note = Ending("app")
    bad = note.begin(os.getpid())
    assert bad is not None
    assert (bad.cause, bad.pid) == (Cause.DIED, killed.pid)
    with open_window(bad_end=bad) as window:
        desk = Desk(window, own_home, qtbot)
        notice = window.parts.notice
        desk.until(lambda: notice.text == SENTENCE)
        assert [b.text() for b in (notice._button, notice._second)] == ["Show log", "Report…"]
        desk.click(notice, "Report…")
        desk.until(lambda: desk.has_dialog(ReportDialog))
        assert notice.text == ""
        window.parts.reports.dialog.close()
        desk.until(lambda: not desk.has_dialog(ReportDialog))
    note.end()


def test_first_run_shows_its_sheet_before_the_notice_which_it_would_cover(
    home: Path, qtbot: QtBot
) -> None:
    (home / "settings.toml").write_text(f"gateway_port = {free_port()}\n")
    with open_window(bad_end=BadEnd(Cause.DIED, 1, 1.0, "1")) as window:
        desk = Desk(window, home, qtbot)
        notice = window.parts.notice
        told: list[str] = []
        window.parts.mirror.sampled.connect(lambda _: told.append(notice.text))
        desk.until(lambda: desk.has_dialog(WelcomeSheet))
        assert SENTENCE not in told
        desk.click(desk.dialog(WelcomeSheet), "Not now")
        desk.until(lambda: notice.text == SENTENCE)


def test_show_log_opens_the_stack_of_a_crash_and_else_the_log(
    own_home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or True
    )
    paths.logs().mkdir()
    crash = paths.logs() / "crash.log"
    crash.write_text("Fatal Python error: Segmentation fault\n")
    with open_window(bad_end=BadEnd(Cause.DIED, 1, 1.0, "1")) as window:
        desk = Desk(window, own_home, qtbot)
        desk.until(lambda: window.parts.notice.text == SENTENCE)
        desk.click(window.parts.notice, "Show log")
    assert opened == [str(crash)]


def test_damaged_files_are_told_one_after_another_and_once_for_each_run_of_the_engine(
    own_home: Path, qtbot: QtBot, allow_log: Callable[[str], None]
) -> None:
    (own_home / "downloads.json").write_bytes(bytes(100))
    (own_home / "api-keys.json").write_bytes(bytes(100))
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        notice = window.parts.notice
        seen: list[str] = []
        for _ in range(2):
            desk.until(lambda: notice.text and notice.text not in seen)
            seen.append(notice.text)
            desk.click(notice, "Dismiss")
        assert "api-keys.json" in seen[0]
        assert "downloads.json.broken" in seen[1]
        engine = window.parts.mirror.engine
        window.remarks._take(engine)
        qtbot.wait(600)
        assert notice.text == ""


def test_key_is_in_no_file_of_a_crash(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    key = "correct-horse-battery-staple"
    monkeypatch.setenv("MLX_MANAGER_API_KEY", key)
    app = start_app(own_home)
    url = json.loads((own_home / "run" / "engine.json").read_text())["url"]
    with Api(url, key) as api:
        assert api.engine().key_required
    log = own_home / "logs" / "app.log"
    assert wait_until(lambda: "the first frame is out" in log.read_text(), DEADLINE_S)
    os.kill(app.pid, signal.SIGSEGV)
    assert app.wait(DEADLINE_S) == -signal.SIGSEGV
    psutil.wait_procs(leaks.processes_with_home_under(own_home), DEADLINE_S)
    assert "Segmentation fault" in (own_home / "logs" / "crash.log").read_text()
    files = [file for file in own_home.rglob("*") if file.is_file()]
    assert not [file for file in files if key.encode() in file.read_bytes()]
