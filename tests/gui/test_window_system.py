"""Links, files, closing and the menu-bar extra on the real window with the real engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import DEADLINE_MS
from PySide6.QtCore import QEvent, Qt, QTimer, QUrl
from PySide6.QtGui import QCloseEvent, QFileOpenEvent
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot
from window_kit import TINY, Desk, open_window

from app.client.api import Api
from app.gui.dialogs.start_plan import StartPlanDialog
from app.gui.main_window import system
from app.gui.main_window.system import System
from app.gui.main_window.system_events import SystemEvents
from app.wire.hub import Verdict
from app.wire.nouns import ServerState
from app.wire.plan import StartPlan

UNKNOWN = "mlxmanager:download?model=acme/Not-Here-4bit"


class Answers:
    """Answers each question that comes, and keeps what was asked."""

    def __init__(self, *presses: str) -> None:
        self.asked: list[tuple[str, str]] = []
        self.presses = list(presses)
        self.timer = QTimer()
        self.timer.timeout.connect(self._look)
        self.timer.start(20)

    def _look(self) -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox) and box.isVisible() and self.presses:
            self.asked.append((box.text(), box.defaultButton().text()))
            wanted = self.presses.pop(0)
            for button in box.findChildren(QPushButton):
                if button.text() == wanted:
                    button.click()


@pytest.fixture
def answers() -> Iterator[Callable[..., Answers]]:
    made: list[Answers] = []

    def make(*presses: str) -> Answers:
        made.append(Answers(*presses))
        return made[-1]

    yield make
    for one in made:
        one.timer.stop()


@pytest.fixture
def outside(desk: Desk) -> Iterator[System]:
    """The window's link to the desktop, with its close button as on Linux afterwards."""
    assert desk.window.system is not None
    yield desk.window.system
    desk.window.parts.preferences.change("close_window", "usual")
    desk.window.come_to_front()
    if not desk.window.isActiveWindow():
        # The screen of these tests keeps the keyboard at a window that was hidden, and says so
        # to nobody; another window takes it away.
        other = QWidget()
        desk.qtbot.addWidget(other)
        other.show()
        other.activateWindow()
        desk.until(other.isActiveWindow)
        desk.come_back()


def notice(desk: Desk) -> str:
    return desk.window.parts.notice.text if desk.window.parts.notice.isVisible() else ""


def test_link_to_a_model_asks_and_downloads_only_after_yes(
    desk: Desk, outside: System, answers: Callable[..., Answers]
) -> None:
    started: list[str] = []
    outside.links.download_requested.disconnect()
    outside.links.download_requested.connect(started.append)
    no = answers("Cancel")
    desk.window.open_targets([UNKNOWN])
    # Whoever types on when the question comes agrees to nothing.
    assert no.asked == [("Download acme/Not-Here-4bit?", "Cancel")]
    assert started == []
    answers("Download")
    desk.window.open_targets([UNKNOWN])
    assert started == ["acme/Not-Here-4bit"]
    outside.links.download_requested.connect(desk.window.parts.downloads.begin)


def test_link_to_a_model_that_is_here_asks_nothing(desk: Desk, outside: System) -> None:
    desk.window.open_targets([f"mlxmanager:download?model={TINY}"])
    assert "is on this disk already" in notice(desk)


def test_link_to_a_profile_asks_looks_at_the_memory_and_starts_it(
    desk: Desk, outside: System, answers: Callable[..., Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answers("Start").asked
    session, names = desk.window.parts.session, list[str]()
    call = session.call
    monkeypatch.setattr(
        session, "call", lambda name, *more: (names.append(name), call(name, *more))
    )
    desk.window.open_targets(["mlxmanager:start?profile=demo"])
    assert asked == [("Start Demo?", "Cancel")]
    assert "plan" in names
    desk.until_state("demo", ServerState.READY)
    desk.window.open_targets(["mlxmanager:start?profile=demo"])
    assert "runs already" in notice(desk)


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("mlxmanager:start?profile=nobody", "“nobody”, which is not here"),
        ("mlxmanager:delete?profile=demo", "does not know what it asks for"),
    ],
)
def test_link_that_cannot_be_followed_is_told(
    desk: Desk, outside: System, link: str, words: str
) -> None:
    desk.window.open_targets([link])
    assert words in notice(desk)


def test_many_links_at_once_are_no_row_of_questions(
    desk: Desk,
    outside: System,
    answers: Callable[..., Answers],
    expect_log: Callable[[str], None],
) -> None:
    expect_log("a link was dropped")
    asked = answers(*["Cancel"] * 40).asked
    desk.window.open_targets([f"mlxmanager:download?model=acme/M{n}" for n in range(30)])
    assert len(asked) == 8


def test_link_comes_as_an_event_of_macos_and_file_goes_to_the_import(
    desk: Desk, outside: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[str] = []
    outside.links.profile_file_opened.disconnect()
    outside.links.profile_file_opened.connect(files.append)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    events = SystemEvents(app, desk.window)
    app.installEventFilter(events)
    try:
        desk.window.hide()
        QApplication.sendEvent(app, QFileOpenEvent(QUrl("mlxmanager:open")))
        assert desk.window.isVisible()
        QApplication.sendEvent(app, QFileOpenEvent("/tmp/coding.mlxprofile"))
        assert files == ["/tmp/coding.mlxprofile"]
        QApplication.sendEvent(app, QFileOpenEvent("/etc/passwd"))
        assert len(files) == 1
    finally:
        app.removeEventFilter(events)
        outside.links.profile_file_opened.connect(desk.window.parts.profiles.import_file)


def press_close_button(desk: Desk) -> None:
    """As the window system does it; `QWidget.close` comes from the program itself."""
    event = QCloseEvent()
    desk.window.closeEvent(_Spontaneous(event))  # type: ignore[arg-type]


class _Spontaneous:
    """A close event from outside; Qt does not let a test make one."""

    def __init__(self, event: QCloseEvent) -> None:
        self.accept, self.ignore = event.accept, event.ignore

    def spontaneous(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "is_mac", "hides"),
    [
        ("usual", True, True),
        ("usual", False, False),
        ("hide", False, True),
        ("quit", True, False),
    ],
)
def test_close_button_hides_or_quits_as_the_setting_says(
    desk: Desk,
    outside: System,
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    is_mac: bool,
    hides: bool,
) -> None:
    quits: list[bool] = []
    monkeypatch.setattr(system, "IS_MAC", is_mac)
    monkeypatch.setattr(desk.window, "request_quit", lambda: quits.append(True))
    desk.window.parts.preferences.change("close_window", choice)
    press_close_button(desk)
    assert quits == ([] if hides else [True])
    # Without Dock and tray nothing would bring a hidden window back.
    assert desk.window.isVisible() is not (hides and is_mac)
    assert desk.window.isMinimized() is (hides and not is_mac)


def test_click_in_the_dock_brings_a_hidden_window_back(desk: Desk, outside: System) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    events = SystemEvents(app, desk.window)
    desk.window.hide()
    events.on_state(Qt.ApplicationState.ApplicationInactive)
    assert not desk.window.isVisible()
    events.on_state(Qt.ApplicationState.ApplicationActive)
    assert desk.window.isVisible()


def test_menu_bar_extra_starts_and_stops_a_server(desk: Desk, outside: System) -> None:
    menu = outside.extra.menu

    def press(texts: list[str]) -> None:
        actions = menu.actions()
        for text in texts:
            action = next(a for a in actions if a.text().startswith(text) and a.isVisible())
            inner = action.menu()
            actions = inner.actions() if inner is not None else []  # type: ignore[attr-defined]
        action.trigger()

    desk.window.hide()
    press(["Start Demo"])
    desk.until_state("demo", ServerState.READY)
    press(["Demo", "Stop"])
    desk.until_state("demo", ServerState.STOPPED)
    assert not desk.window.isVisible()
    press(["Settings"])
    assert desk.window.isVisible()
    assert desk.window.parts.settings.dialog is not None


def test_menu_bar_extra_asks_in_the_window_before_a_start_beyond_the_memory(
    desk: Desk, outside: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = StartPlan("demo", Verdict.TOO_BIG, "It needs 30.0 GB, 29.1 of 48.0 GB are free.", 32_768)
    monkeypatch.setattr(Api, "start_plan", lambda _api, _profile_id: plan)
    desk.window.hide()
    outside.extra.start_requested.emit("demo")
    desk.until(lambda: desk.has_dialog(StartPlanDialog))
    assert desk.window.isVisible()
    desk.dialog(StartPlanDialog).reject()
    assert "demo" not in desk.mirror.servers


def test_quit_of_the_system_asks_in_the_window_and_ends_in_order(
    own_home: Path, qtbot: QtBot, answers: Callable[..., Answers]
) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        desk.start("Demo", "demo")
        events = SystemEvents(app, window)
        app.installEventFilter(events)
        window.hide()
        asked = answers("Stop and quit").asked
        with qtbot.waitSignal(window.closed, timeout=DEADLINE_MS):
            QApplication.sendEvent(app, QEvent(QEvent.Type.Quit))
        assert [text for text, _ in asked] == ["Stop Demo and quit?"]
        app.removeEventFilter(events)
