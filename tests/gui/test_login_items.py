"""Start at login, as the Settings show it: the files, and the service of macOS played by us."""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from login_kit import ServiceManager
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot
from window_kit import LEFT, Daemon, Desk, open_window

from app import login_item
from app.gui.dialogs.settings import SettingsDialog
from app.gui.login_items import SYSTEM_SETTINGS, LoginItems
from app.gui.main_window import login_switches
from app.gui.widgets.switch import Switch
from app.login_item import Kind, LoginItemFailed, State
from app.wire.nouns import ServerState
from app.wire.settings import BY_NAME

NEVER, ENABLED, REFUSED = 3, 1, 2


class Mac:
    """ServiceManagement as a bundle sees it."""

    def __init__(self) -> None:
        self.status = NEVER
        self.agents_refused = False
        self.fails = ""
        self.allows = True
        self._words: dict[int, str] = {}

    def kind(self, name: str) -> int:
        return self._object(name)

    def text(self, text: str) -> int:
        return self._object(text)

    def read(self, text: int | None) -> str | None:
        return self._words[text] if text else None

    def send(self, target: int | None, selector: str, *arguments: Any) -> int | None:
        match selector:
            case "status":
                return self.status or None
            case "statusForLegacyURL:":
                return REFUSED if self.agents_refused else ENABLED
            case "registerAndReturnError:":
                self.status = (ENABLED if self.allows else REFUSED) if not self.fails else NEVER
                return self._answer(*arguments, is_done=self.status == ENABLED)
            case "unregisterAndReturnError:":
                if not self.fails:
                    self.status = 0
                return self._answer(*arguments, is_done=not self.fails)
            case _:
                return self._object(selector) if target != "localizedDescription" else target

    def _answer(self, address: int, *, is_done: bool) -> int:
        if not is_done:
            ctypes.c_void_p.from_address(address).value = self._object("NSError")
        # Only the lowest byte of a BOOL is sure.
        return 0x5500 | is_done

    def _object(self, name: str) -> int:
        word = self.fails if name == "localizedDescription" else name
        self._words[number := 1000 + len(self._words)] = word
        return number


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceManager:
    """A user's folders and a service manager that are nobody's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    manager = ServiceManager(tmp_path)
    monkeypatch.setenv("PATH", manager.path)
    return manager


def test_bundle_registers_itself_and_writes_no_file(home: Path) -> None:
    mac = Mac()
    items = LoginItems(mac)
    assert items.state(Kind.APP) is State.OFF
    items.switch(Kind.APP, is_on=True)
    assert mac.status == ENABLED
    assert items.state(Kind.APP) is State.ON
    assert login_item.state(Kind.APP) is State.OFF
    items.switch(Kind.APP, is_on=False)
    assert mac.status == 0
    assert items.state(Kind.APP) is State.OFF


def test_bundle_that_the_service_does_not_take_has_a_file(
    home: Path, caplog: pytest.LogCaptureFixture, expect_log: Any
) -> None:
    expect_log("the older way: not signed")
    mac = Mac()
    mac.fails = "not signed"
    items = LoginItems(mac)
    items.switch(Kind.APP, is_on=True)
    assert login_item.state(Kind.APP) is State.ON
    assert items.state(Kind.APP) is State.ON
    mac.fails = ""
    items.switch(Kind.APP, is_on=True)
    # Two would open it twice.
    assert login_item.state(Kind.APP) is State.OFF
    assert items.state(Kind.APP) is State.ON


def test_item_that_the_user_refused_in_the_system_is_told_as_that(home: Path) -> None:
    mac = Mac()
    mac.allows = False
    items = LoginItems(mac)
    items.switch(Kind.APP, is_on=True)
    assert items.state(Kind.APP) is State.REFUSED
    assert login_item.state(Kind.APP) is State.OFF
    items.switch(Kind.ENGINE, is_on=True)
    assert items.state(Kind.ENGINE) is State.ON
    mac.agents_refused = True
    assert items.state(Kind.ENGINE) is State.REFUSED


def test_item_that_cannot_be_taken_back_says_why(home: Path) -> None:
    mac = Mac()
    items = LoginItems(mac)
    items.switch(Kind.APP, is_on=True)
    mac.fails = "no such job"
    with pytest.raises(LoginItemFailed, match="no such job"):
        items.switch(Kind.APP, is_on=False)


def test_bundle_in_a_place_that_changes_registers_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/private/var/AppTranslocation/x/app")
    mac = Mac()
    with pytest.raises(LoginItemFailed, match="Applications folder"):
        LoginItems(mac).switch(Kind.APP, is_on=True)
    assert mac.status == NEVER


@pytest.fixture
def dialog(desk: Desk) -> Iterator[SettingsDialog]:
    desk.window.parts.settings.open()
    assert desk.window.parts.settings.dialog is not None
    yield desk.window.parts.settings.dialog
    crew = desk.window.parts.session.crew
    # Whether the models fit, a new window asks a process that has to start first.
    names = {"login-item", "row-fit"}
    desk.until(lambda: not names & {w.objectName() for w in crew.workers()})


def switch(dialog: SettingsDialog, name: str) -> Switch:
    label = BY_NAME[name].label
    return next(s for s in dialog.findChildren(Switch) if s.accessibleName() == label)


def click(desk: Desk, dialog: SettingsDialog, name: str) -> None:
    control = switch(dialog, name)
    desk.qtbot.mouseClick(control, LEFT, pos=control.rect().center())


def words(dialog: SettingsDialog) -> str:
    return "\n".join(text.text() for text in dialog.findChildren(QLabel) if text.isVisible())


def test_open_at_login_is_what_the_file_says_and_only_the_switch_changes_it(
    desk: Desk, dialog: SettingsDialog
) -> None:
    assert login_item.state(Kind.APP) is State.OFF
    click(desk, dialog, "start_at_login")
    desk.until(lambda: login_item.state(Kind.APP) is State.ON)
    desk.until(switch(dialog, "start_at_login").isChecked)
    dialog.reject()
    # Somebody else takes it away, and the Settings know it when they open.
    login_item.login_item(Kind.APP).path.unlink()
    settings = desk.window.parts.settings
    settings.open()
    assert not switch(settings.dialog, "start_at_login").isChecked()
    login_item.login_item(Kind.APP).path.write_text("of another copy")
    settings.dialog.reject()
    settings.open()
    assert not switch(settings.dialog, "start_at_login").isChecked()
    assert "another copy of the app is started" in words(settings.dialog)
    click(desk, settings.dialog, "start_at_login")
    desk.until(lambda: login_item.state(Kind.APP) is State.ON)
    desk.until(lambda: "another copy of the app" not in words(settings.dialog))
    click(desk, settings.dialog, "start_at_login")
    desk.until(lambda: login_item.state(Kind.APP) is State.OFF)


def test_open_at_login_that_cannot_be_written_says_so_and_stays_off(
    desk: Desk, dialog: SettingsDialog
) -> None:
    folder = login_item.login_item(Kind.APP).path.parent
    folder.parent.mkdir()
    folder.write_text("a file where a folder should be")
    click(desk, dialog, "start_at_login")
    desk.until(lambda: "could not be written" in words(dialog))
    assert not switch(dialog, "start_at_login").isChecked()


def test_engine_at_login_is_a_switch_that_starts_one(
    desk: Desk, dialog: SettingsDialog, system: ServiceManager
) -> None:
    click(desk, dialog, "engine_at_login")
    desk.until(lambda: system.loaded)
    desk.until(lambda: "takes over when you quit the app" in words(dialog))
    assert login_item.state(Kind.ENGINE) is State.ON
    click(desk, dialog, "engine_at_login")
    desk.until(lambda: not system.loaded)
    desk.until(lambda: login_item.state(Kind.ENGINE) is State.OFF)


def test_engine_at_login_that_does_not_start_says_why_and_stays_off(
    desk: Desk, dialog: SettingsDialog, system: ServiceManager
) -> None:
    system.break_down("enable")
    click(desk, dialog, "engine_at_login")
    desk.until(lambda: "enable failed: 1" in words(dialog))
    assert not switch(dialog, "engine_at_login").isChecked()


def test_switch_that_the_system_refuses_leads_to_its_settings(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    mac, opened = Mac(), list[QUrl]()
    mac.allows = False
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    settings = desk.window.parts.settings
    monkeypatch.setattr(settings.login, "items", LoginItems(mac))
    settings.open()
    click(desk, settings.dialog, "start_at_login")
    desk.until(lambda: "Allow it in System Settings" in words(settings.dialog))

    def offered() -> list[QPushButton]:
        buttons = settings.dialog.findChildren(QPushButton)
        return [b for b in buttons if b.text() == "System Settings…" and b.isVisible()]

    # Shown in the next round of the layout.
    desk.until(lambda: len(offered()) == 1)
    (button,) = offered()
    desk.qtbot.mouseClick(button, LEFT)
    assert opened == [QUrl(SYSTEM_SETTINGS)]
    # Back from there, allowed.
    mac.status = ENABLED
    app = QGuiApplication.instance()
    assert isinstance(app, QGuiApplication)
    app.applicationStateChanged.emit(Qt.ApplicationState.ApplicationActive)
    assert "Allow it in System Settings" not in words(settings.dialog)
    assert switch(settings.dialog, "start_at_login").isChecked()


def test_switch_off_of_the_engine_in_use_asks_before_its_servers_stop(
    own_home: Path, qtbot: QtBot, system: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    answers = iter([False, True])
    monkeypatch.setattr(
        login_switches,
        "may_stop_engine",
        lambda _window, names: (asked.append(names), next(answers))[1],
    )
    login_item.install(Kind.ENGINE)
    daemon = Daemon(own_home, "")
    try:
        with open_window() as window:
            desk = Desk(window, own_home, qtbot)
            desk.until_live()
            assert not window.parts.session.owns_engine
            desk.start("Demo", "demo")
            window.parts.settings.open()
            settings = window.parts.settings.dialog
            click(desk, settings, "engine_at_login")
            assert asked == [["Demo"]]
            assert switch(settings, "engine_at_login").isChecked()
            assert system.loaded
            click(desk, settings, "engine_at_login")
            desk.until(lambda: not system.loaded)
            desk.until(lambda: not switch(settings, "engine_at_login").isChecked())
            # That engine was none of the item's here, so the window is back on it.
            desk.until_live()
            window.parts.session.stop("demo")
            desk.until_state("demo", ServerState.STOPPED)
    finally:
        daemon.stop()
