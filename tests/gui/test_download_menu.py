"""The menu and the keys of a download: the queue's order, and all downloads at once."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from app.gui.delegates.download_tile import DownloadAction
from app.gui.main import make_application
from app.gui.mirror import LinkState, Mirror
from app.gui.panels.downloads_strip import DownloadsStrip
from app.wire.nouns import Download, DownloadState

GB = 1_000_000_000
ALT, SHIFT = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ShiftModifier


def download(name: str, place: int | None = None, **fields: object) -> Download:
    state = DownloadState.DOWNLOADING if place is None else DownloadState.QUEUED
    known = {"state": state, "total_bytes": GB, "place": place, "added_at": 1.0, **fields}
    return Download(f"acme/{name}", **known)  # type: ignore[arg-type]


class Desk:
    """A strip whose wishes are kept."""

    def __init__(self, qtbot: QtBot) -> None:
        make_application()
        self.qtbot = qtbot
        self.mirror = Mirror()
        self.mirror.link = LinkState.LIVE
        self.strip = DownloadsStrip(self.mirror)
        self.view = self.strip.view
        qtbot.addWidget(self.strip)
        self.strip.resize(400, 300)
        self.strip.show()
        qtbot.waitExposed(self.strip)
        self.asked: list[tuple[str, str]] = []
        self.strip.action_requested.connect(
            lambda wish: self.asked.append((wish[0].value, wish[1]))
        )
        self.inspected: list[str] = []
        self.strip.inspect_requested.connect(self.inspected.append)

    def put(self, *downloads: Download) -> None:
        self.mirror.downloads = {d.id: d for d in downloads}
        self.mirror.downloads_changed.emit()

    def choose(self, name: str) -> None:
        self.view.setCurrentIndex(self.strip.model.index(self.names().index(name)))
        self.view.setFocus()

    def chosen(self) -> str:
        return str(self.view.currentIndex().data()).rpartition("/")[2]

    def names(self) -> list[str]:
        rows = range(self.strip.model.rowCount())
        return [self.strip.model.index(row).data().rpartition("/")[2] for row in rows]

    def open_menu(self) -> dict[str, bool]:
        """Open the menu with the keyboard; return its entries and whether they can be chosen."""
        reason, place = QContextMenuEvent.Reason.Keyboard, QPoint(0, 0)
        event = QContextMenuEvent(reason, place, self.view.mapToGlobal(place))
        QApplication.sendEvent(self.view.viewport(), event)
        return {a.text(): a.isEnabled() for a in self.menu().actions() if a.text()}

    def menu(self) -> QMenu:
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        return menu

    def pick(self, text: str) -> None:
        self.open_menu()
        menu = self.menu()
        entry = next(action for action in menu.actions() if action.text() == text)
        self.qtbot.mouseClick(
            menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(entry).center()
        )


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot)


def four() -> list[Download]:
    return [download("A"), download("B", 1), download("C", 2), download("D", 3)]


@pytest.mark.parametrize(
    ("name", "can_rise", "can_sink"),
    [("A", False, False), ("B", False, True), ("C", True, True), ("D", True, False)],
)
def test_menu_moves_only_where_there_is_a_way(
    desk: Desk, name: str, can_rise: bool, can_sink: bool
) -> None:
    desk.put(*four())
    desk.choose(name)
    entries = desk.open_menu()
    assert {entries["Move to top"], entries["Move up"]} == {can_rise}
    assert {entries["Move to bottom"], entries["Move down"]} == {can_sink}
    assert entries["Pause"]
    assert entries["Pause all"]
    assert not entries["Resume all"], "nothing is paused"
    desk.menu().close()


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("Move to top", "move_top"), ("Move up", "move_up"), ("Move down", "move_down"),
        ("Move to bottom", "move_bottom"), ("Pause", "pause"), ("Pause all", "pause_all"),
        ("Cancel download", "cancel"),
    ],
)  # fmt: skip
def test_click_in_the_menu_asks_for_what_it_says(desk: Desk, text: str, action: str) -> None:
    desk.put(*four())
    desk.choose("C")
    desk.pick(text)
    assert desk.asked == [(action, "acme/C")]


def test_menu_of_a_paused_download_goes_on_with_it_and_with_all(desk: Desk) -> None:
    desk.put(download("A", state=DownloadState.PAUSED))
    desk.choose("A")
    entries = desk.open_menu()
    assert entries["Resume"]
    assert entries["Resume all"]
    assert not entries["Pause all"]
    desk.menu().close()


def test_menu_without_an_engine_offers_nothing(desk: Desk) -> None:
    desk.put(*four())
    desk.mirror.set_link(LinkState.STALE)
    desk.choose("C")
    desk.open_menu()
    assert not desk.menu().isEnabled()
    desk.menu().close()


@pytest.mark.parametrize(
    ("key", "modifiers", "action"),
    [
        (Qt.Key.Key_Up, ALT, "move_up"),
        (Qt.Key.Key_Down, ALT, "move_down"),
        (Qt.Key.Key_Up, ALT | SHIFT, "move_top"),
        (Qt.Key.Key_Down, ALT | SHIFT, "move_bottom"),
        (Qt.Key.Key_Space, Qt.KeyboardModifier.NoModifier, "pause"),
        (Qt.Key.Key_Backspace, Qt.KeyboardModifier.NoModifier, "cancel"),
        (Qt.Key.Key_Delete, Qt.KeyboardModifier.NoModifier, "cancel"),
    ],
)
def test_key_does_what_the_menu_says(
    desk: Desk, key: Qt.Key, modifiers: Qt.KeyboardModifier, action: str
) -> None:
    desk.put(*four())
    desk.choose("C")
    desk.qtbot.keyClick(desk.view, key, modifiers)
    assert desk.asked == [(action, "acme/C")]


def test_key_that_moves_what_cannot_move_asks_nothing(desk: Desk) -> None:
    desk.put(*four())
    for name, key in (("B", Qt.Key.Key_Up), ("D", Qt.Key.Key_Down), ("A", Qt.Key.Key_Down)):
        desk.choose(name)
        desk.qtbot.keyClick(desk.view, key, ALT)
    assert desk.asked == []


def test_enter_opens_the_inspector_of_what_comes(desk: Desk) -> None:
    desk.put(*four())
    desk.choose("B")
    desk.qtbot.keyClick(desk.view, Qt.Key.Key_Return)
    assert (desk.inspected, desk.asked) == (["acme/B"], [])


def test_rows_follow_the_queue_and_the_choice_stays_on_its_download(desk: Desk) -> None:
    desk.put(*four())
    desk.choose("D")
    resets: list[bool] = []
    desk.strip.model.modelReset.connect(lambda: resets.append(True))
    desk.put(download("A"), download("B", 2), download("C", 3), download("D", 1))
    assert desk.names() == ["A", "D", "B", "C"]
    assert desk.chosen() == "D"
    # Its turn comes: it stays where it is, and so do the others.
    desk.put(download("A"), download("B", 1), download("C", 2), download("D"))
    assert desk.names() == ["A", "D", "B", "C"]
    assert resets == []


def test_paused_download_stands_below_the_queue_while_others_move(desk: Desk) -> None:
    paused = download("B", state=DownloadState.PAUSED)
    desk.put(download("A", 1), paused, download("C", 2), download("D", 3))
    desk.put(download("A", 3), paused, download("C", 1), download("D", 2))
    assert desk.names() == ["C", "D", "A", "B"]


def test_download_that_is_moved_to_the_end_stays_in_view(desk: Desk) -> None:
    many = [download(name, n + 1) for n, name in enumerate("ABCDEFGH")]
    desk.put(*many)
    desk.choose("A")
    desk.qtbot.keyClick(desk.view, Qt.Key.Key_Down, ALT | SHIFT)
    assert desk.asked == [(DownloadAction.MOVE_BOTTOM.value, "acme/A")]
    desk.put(*(download(name, (n - 1) % 8 + 1) for n, name in enumerate("ABCDEFGH")))
    assert desk.names() == list("BCDEFGHA")
    area = desk.view.viewport().rect()
    assert area.contains(desk.view.visualRect(desk.view.currentIndex()).center())
    assert desk.chosen() == "A"
