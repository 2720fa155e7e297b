"""The window on engines that ask for a key: AUTH-04 on real processes."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QLineEdit, QListWidget, QMenu
from pytestqt.qtbot import QtBot
from stranger_kit import answering
from window_kit import Daemon, Desk, furnish, is_gone, open_window

from app.gui.dialogs.key import ConnectDialog
from app.gui.dialogs.settings import SettingsDialog
from app.gui.mirror import LinkState
from app.gui.widgets.question import Question

FIRST, SECOND = "first-key-of-the-engine", "second-key-of-the-engine"


@pytest.fixture
def log_text(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level("DEBUG")
    return lambda: caplog.text


@pytest.fixture
def far_home(home: Path) -> Path:
    folder = home / "far"
    furnish(folder)
    return folder


@pytest.fixture
def daemon(far_home: Path) -> Iterator[Daemon]:
    daemon = Daemon(far_home, FIRST)
    yield daemon
    daemon.stop()


def texts(dialog: QDialog) -> str:
    return "\n".join(label.text() for label in dialog.findChildren(QLabel) if label.isVisible())


def type_key(desk: Desk, key: str) -> None:
    dialog = desk.dialog(ConnectDialog)
    fields = [f for f in dialog.findChildren(QLineEdit) if f.accessibleName() == "API key"]
    assert len(fields) == 1
    assert fields[0].echoMode() is QLineEdit.EchoMode.Password
    fields[0].selectAll()
    desk.qtbot.keyClicks(fields[0], key)
    desk.qtbot.keyClick(fields[0], Qt.Key.Key_Return)


def test_auth_04_app_asks_for_key_and_stores_it(
    home: Path, daemon: Daemon, qtbot: QtBot, log_text: Callable[[], str]
) -> None:
    stored = home / "keys.json"
    with open_window(daemon.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: desk.has_dialog(ConnectDialog))
        assert f"The engine at {daemon.url} asks for a key." in texts(desk.dialog(ConnectDialog))
        assert window.parts.mirror.link is LinkState.NEEDS_KEY
        type_key(desk, "wrong")
        desk.until(lambda: "does not accept this key" in texts(desk.dialog(ConnectDialog)))
        assert not stored.exists()
        type_key(desk, FIRST)
        desk.until(lambda: window.parts.mirror.link is LinkState.LIVE)
        assert not desk.has_dialog(ConnectDialog)
        desk.until(lambda: "The key is kept" in window.parts.notice.text)
        assert "keys.json" in window.parts.notice.text
        desk.until(lambda: "demo" in window.parts.mirror.profiles)
        labels = [label.text() for label in window.parts.status.findChildren(QLabel)]
        assert "Key required" in labels
    assert json.loads(stored.read_text()) == {daemon.url: FIRST}
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    with open_window(daemon.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: window.parts.mirror.link is LinkState.LIVE)
        assert not desk.has_dialog(ConnectDialog)
    # An engine that is not ours outlives the window.
    assert daemon.process.poll() is None
    assert FIRST not in log_text()


def test_auth_04_dialog_that_is_closed_leaves_a_way_back(
    home: Path, daemon: Daemon, qtbot: QtBot
) -> None:
    with open_window(daemon.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: desk.has_dialog(ConnectDialog))
        desk.qtbot.keyClick(desk.dialog(ConnectDialog), Qt.Key.Key_Escape)
        desk.until(lambda: not desk.has_dialog(ConnectDialog))
        assert "asks for a key" in window.parts.notice.text
        desk.click(window.parts.notice, "Type the key")
        desk.until(lambda: desk.has_dialog(ConnectDialog))
        type_key(desk, FIRST)
        desk.until(lambda: window.parts.mirror.link is LinkState.LIVE)


def test_auth_04_key_that_stops_to_work_is_asked_for_again(
    home: Path, far_home: Path, qtbot: QtBot
) -> None:
    daemon = Daemon(far_home, FIRST)
    (home / "keys.json").write_text(json.dumps({daemon.url: FIRST}))
    with open_window(daemon.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: window.parts.mirror.link is LinkState.LIVE)
        daemon.stop()
        desk.until(lambda: window.parts.mirror.link is LinkState.STALE)
        assert "The last figures stay in sight." in window.parts.notice.text
        assert desk.button(window.parts.notice, "Connect again")
        daemon = Daemon(far_home, SECOND, daemon.port)
        try:
            desk.until(lambda: desk.has_dialog(ConnectDialog))
            assert "does not accept this key" in texts(desk.dialog(ConnectDialog))
            type_key(desk, SECOND)
            desk.until(lambda: window.parts.mirror.link is LinkState.LIVE)
            desk.until(lambda: SECOND in (home / "keys.json").read_text())
            desk.until(lambda: not window.parts.notice.offers_action)
        finally:
            daemon.stop()


def test_own_engine_goes_on_when_another_one_cannot_be_reached(
    own_home: Path, qtbot: QtBot
) -> None:
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        pid = desk.engine_pid()
        desk.keys("Ctrl+Shift+K")
        desk.until(lambda: desk.has_dialog(ConnectDialog))
        dialog = desk.dialog(ConnectDialog)
        address = dialog.findChildren(QLineEdit)[0]
        desk.qtbot.keyClicks(address, "127.0.0.1:9")
        desk.qtbot.keyClick(address, Qt.Key.Key_Return)
        desk.until(lambda: "No engine listens at http://127.0.0.1:9." in texts(dialog))
        assert address.hasFocus(), "the address is what is wrong"
        desk.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
        desk.until(lambda: not desk.has_dialog(ConnectDialog))
        assert window.parts.mirror.link is LinkState.LIVE
        assert window.parts.session.url is None
        assert desk.engine_pid() == pid


def show(desk: Desk, url: str, key: str) -> None:
    """Connect to another engine by the dialog."""
    desk.keys("Ctrl+Shift+K")
    desk.until(lambda: desk.has_dialog(ConnectDialog))
    dialog = desk.dialog(ConnectDialog)
    for field, text in zip(dialog.findChildren(QLineEdit), (url, key), strict=True):
        desk.qtbot.keyClicks(field, text)
    desk.qtbot.keyClick(dialog, Qt.Key.Key_Return)


def choose_engine(desk: Desk, part: str) -> None:
    """Choose in the pop-up at the top of the window."""
    desk.qtbot.mouseClick(desk.panel.header.engine_switch, Qt.MouseButton.LeftButton)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    next(action for action in menu.actions() if part in action.text()).trigger()
    menu.close()


def test_own_servers_go_on_while_another_engine_is_shown_and_are_back_at_once(
    own_home: Path, daemon: Daemon, qtbot: QtBot
) -> None:
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        switch = desk.panel.header.engine_switch
        desk.until_live()
        desk.start("Demo", "demo")
        own, server = desk.engine_pid(), desk.pid("demo")
        assert switch.accessibleName() == "Engine: This computer"
        show(desk, daemon.url, FIRST)
        desk.until(lambda: desk.engine_pid() == daemon.process.pid)
        desk.until_live()
        assert "demo" not in desk.mirror.servers
        assert "(remote)" in window.windowTitle()
        assert switch.accessibleName() == f"Engine: {desk.mirror.place}"
        assert psutil.pid_exists(server)
        assert window.parts.session.servers_at_stake() == ["Demo"]
        choose_engine(desk, "This computer")
        assert desk.engine_pid() == own, "nothing has to be waited for"
        assert desk.pid("demo") == server
        assert window.parts.session.owns_engine
        desk.until_live()
        desk.until(lambda: desk.mirror.series["demo"].latest("memory_bytes"))
        assert daemon.process.poll() is None
        choose_engine(desk, daemon.url.removeprefix("http://"))
        desk.until(lambda: desk.engine_pid() == daemon.process.pid)
    assert not psutil.pid_exists(own), "the end of the app is the end of its engine, shown or not"
    assert not psutil.pid_exists(server)
    assert daemon.process.poll() is None


def test_quit_asks_about_own_servers_while_another_engine_is_shown(
    own_home: Path, daemon: Daemon, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        Question, "ask", lambda box, _: asked.append(box.text() + box.informativeText()) or False
    )
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        desk.start("Demo", "demo")
        show(desk, daemon.url, FIRST)
        desk.until(lambda: desk.engine_pid() == daemon.process.pid)
        window.request_quit()
        assert len(asked) == 1
        assert asked[0].startswith("Stop Demo and quit?On this computer; nothing on ")
        assert window.isVisible()


def test_own_engine_that_died_unseen_is_started_again_when_it_is_wanted(
    own_home: Path, daemon: Daemon, qtbot: QtBot
) -> None:
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        own = psutil.Process(desk.engine_pid())
        show(desk, daemon.url, FIRST)
        desk.until(lambda: desk.engine_pid() == daemon.process.pid)
        own.kill()
        desk.until(lambda: is_gone(own))
        choose_engine(desk, "This computer")
        desk.until_live()
        assert desk.engine_pid() not in (own.pid, daemon.process.pid)
        assert window.parts.session.owns_engine


def test_engines_of_the_last_times_are_offered_with_their_marks(
    own_home: Path, daemon: Daemon, qtbot: QtBot
) -> None:
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        assert not window.parts.actions_by_id["engines"].isVisible()
        show(desk, daemon.url, FIRST)
        desk.until(lambda: desk.engine_pid() == daemon.process.pid)
        desk.until(window.parts.actions_by_id["engines"].isVisible)
        desk.keys("Ctrl+Shift+K")
        desk.until(lambda: desk.has_dialog(ConnectDialog))
        dialog = desk.dialog(ConnectDialog)
        (recent,) = dialog.findChildren(QListWidget)
        (row,) = [recent.item(row).text() for row in range(recent.count())]
        assert row == f"{desk.mirror.place}  ·  {daemon.url.removeprefix('http://')}"
        recent.setCurrentRow(0)
        assert dialog.findChildren(QLineEdit)[0].text() == daemon.url
        desk.click(dialog, "Look on this network")
        desk.until(lambda: desk.button(dialog, "Look on this network").isEnabled())
        assert "Looking" not in texts(dialog)


def test_key_of_this_computers_environment_goes_to_no_other_engine(
    home: Path, daemon: Daemon, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLX_MANAGER_API_KEY", "key-of-this-computer-alone")
    (home / "keys.json").write_text(json.dumps({daemon.url: FIRST}))
    with open_window(daemon.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: window.parts.mirror.link is LinkState.LIVE)
        assert not desk.has_dialog(ConnectDialog), "the stored key counts"
    (home / "keys.json").unlink()
    with answering({}) as stranger, open_window(stranger.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: window.parts.mirror.link is LinkState.STALE)
        assert set(stranger.keys) == {None}


def test_key_sheet_says_which_key_and_where_it_will_be_kept(
    home: Path, daemon: Daemon, qtbot: QtBot
) -> None:
    with open_window(daemon.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: desk.has_dialog(ConnectDialog))
        dialog = desk.dialog(ConnectDialog)
        assert "The MLX_MANAGER_API_KEY of that computer, or a named key" in texts(dialog)
        desk.until(lambda: f"It is kept in the file {home / 'keys.json'}" in texts(dialog))


def test_engine_of_this_home_that_asks_for_a_key_is_not_remote_afterwards(
    own_home: Path, qtbot: QtBot
) -> None:
    daemon = Daemon(own_home, FIRST)
    try:
        with open_window() as window:
            desk = Desk(window, own_home, qtbot)
            desk.until(lambda: desk.has_dialog(ConnectDialog))
            type_key(desk, FIRST)
            desk.until_live()
            assert "remote" not in window.windowTitle()
    finally:
        daemon.stop()


def test_key_for_another_engine_is_changed_in_the_settings(
    home: Path, daemon: Daemon, qtbot: QtBot
) -> None:
    (home / "keys.json").write_text(json.dumps({daemon.url: FIRST}))
    with open_window(daemon.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: window.parts.mirror.link is LinkState.LIVE)
        with httpx.Client(trust_env=False, headers={"Authorization": f"Bearer {FIRST}"}) as http:
            made = http.post(f"{daemon.url}/api/keys", json={"name": "Laptop"}).json()["secret"]
        window.parts.run_command("settings")
        settings = desk.dialog(SettingsDialog)
        settings.show_page("Network & keys")
        desk.until(lambda: "Stored" in texts(settings))
        desk.click(settings, "Change…")
        desk.until(lambda: desk.has_dialog(ConnectDialog))
        type_key(desk, "wrong")
        desk.until(lambda: "does not accept this key" in texts(desk.dialog(ConnectDialog)))
        type_key(desk, made)
        desk.until(lambda: not desk.has_dialog(ConnectDialog))
        desk.until(lambda: made in (home / "keys.json").read_text())
        desk.click(settings, "Forget")
        desk.until(lambda: "Not stored" in texts(settings))
        assert made not in "".join(f.read_text() for f in home.glob("keys.json"))
