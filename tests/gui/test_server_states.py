"""What tiles say and offer in every state of a server, and when the engine is lost."""

import time

import pytest
from panel_kit import CODER, FIGURES, GIB, LEFT, Engine, button, many, panel_of, server, tile_of
from patience import DEADLINE_MS
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QPushButton
from pytestqt.qtbot import QtBot

from app.gui.mirror import LinkState
from app.gui.panels.server_tile import ServerTile
from app.gui.panels.servers_panel import ServersPanel
from app.gui.theme import theme
from app.wire.errors import ErrorCode
from app.wire.nouns import Failure, Server, ServerState

NO_ENGINE = "The engine does not answer."
CRASH = Failure(ErrorCode.SERVER_CRASHED, "The server ended by itself.", "The log has the details.")
STALL = Failure(ErrorCode.SERVER_STALLED, "It has generated nothing for 40 s.", "Restart it.")


def stopping(**fields: object) -> Server:
    return server(state=ServerState.STOPPING, **fields)


def backing_off(**fields: object) -> Server:
    return server(
        state=ServerState.BACKING_OFF, failure=CRASH, next_try_at=time.time() + 11.5, **fields
    )


def test_busy_server_is_generating_also_before_its_first_figures(qtbot: QtBot) -> None:
    engine = Engine(server(state=ServerState.BUSY))
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    assert tile.pill.text() == "Generating"
    assert tile.button_texts() == ["Stop", "Restart"]


def test_stalled_tile_says_what_to_do_and_keeps_its_figures(qtbot: QtBot) -> None:
    started = time.time() - 900
    engine = Engine(server(started_at=started))
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES})
    tile = tile_of(panel)
    restart = button(tile, "Restart")
    place = restart.geometry()
    since = time.time() - 65.5
    engine.put(
        server(state=ServerState.STALLED, state_since=since, started_at=started, failure=STALL)
    )
    assert tile.pill.text() == "Stalled"
    assert tile.model_label.text() == "Nothing is generated any more. Restart it."
    assert tile.model_label.toolTip() == f"{STALL.message}\n{STALL.hint}\n{CODER}"
    assert tile.time_label.text() == "for 1 min 05 s"
    assert tile.cells["memory_bytes"].text() == "18.9 GB"
    assert tile.requests_label.text() == "1 request open"
    assert STALL.message in tile.accessibleDescription()
    assert not tile.failure_box.isVisible()
    assert (restart.geometry(), restart.property("kind")) == (place, "primary")
    with qtbot.waitSignal(panel.restart_requested, timeout=DEADLINE_MS):
        qtbot.mouseClick(restart, LEFT)
    engine.put(server())
    assert restart.property("kind") == ""
    assert tile.model_label.text() == CODER.rpartition("/")[2]


def test_backing_off_tile_counts_down_and_tells_the_reason(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    engine.put(backing_off(restarts=2))
    tile = tile_of(panel)
    assert tile.pill.text() == "Starting again"
    assert tile.time_label.text() == "next try in 12 s"
    assert tile.model_label.text().endswith(" · restarted 2 times")
    assert tile.failure_box.isVisible()
    assert tile.failure_box.text() == f"{CRASH.message}\n{CRASH.hint}"
    tile.show_time(time.time() + 9)
    assert tile.time_label.text() == "next try in 3 s"
    tile.show_time(time.time() + 60)
    assert tile.time_label.text() == "next try now"


@pytest.mark.parametrize(
    ("text", "signal"),
    [("Start now", "start_requested"), ("Stop trying", "stop_requested")],
)
def test_backing_off_tile_offers_a_start_and_an_end(qtbot: QtBot, text: str, signal: str) -> None:
    panel = panel_of(qtbot, Engine(backing_off()))
    with qtbot.waitSignal(getattr(panel, signal), timeout=DEADLINE_MS) as asked:
        qtbot.mouseClick(button(tile_of(panel), text), LEFT)
    assert asked.args == ["coding"]


def test_stop_of_a_large_server_tells_what_came_back_and_offers_an_end(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    stop, restart = button(tile, "Stop"), button(tile, "Restart")
    qtbot.mouseClick(stop, LEFT)
    engine.put(stopping(held_bytes=21 * GIB, state_since=time.time() - 3.5))
    assert tile.time_label.text() == "3 s"
    engine.put(stopping(held_bytes=21 * GIB, released_bytes=int(14.2 * GIB)))
    assert tile.time_label.text() == "14.2 of 21.0 GB released"
    end = button(tile, "End now")
    assert end.isEnabled()
    assert not end.geometry().intersects(stop.geometry() | restart.geometry())
    with qtbot.assertNotEmitted(panel.kill_requested):
        qtbot.mouseClick(stop, LEFT)
        qtbot.mouseClick(restart, LEFT)
    with qtbot.waitSignal(panel.kill_requested, timeout=DEADLINE_MS) as asked:
        qtbot.mouseClick(end, LEFT)
    assert asked.args == ["coding"]
    assert not end.isEnabled()


def test_stop_of_a_small_server_offers_no_end(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(stopping(held_bytes=GIB)))
    tile = tile_of(panel)
    assert tile.button_texts() == ["Stop", "Restart"]
    assert not any(b.isEnabled() for b in (button(tile, "Stop"), button(tile, "Restart")))


def test_restarts_are_told_with_the_time(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    assert "estarted" not in tile.time_label.toolTip()
    engine.put(server(restarts=1))
    assert "Restarted once." in tile.time_label.toolTip()
    engine.put(server(restarts=3))
    assert "Restarted 3 times." in tile.time_label.toolTip()


def test_focus_stays_in_the_tile_when_its_button_goes(qtbot: QtBot) -> None:
    engine = Engine(backing_off())
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    button(tile, "Stop trying").setFocus()
    engine.put(server(state=ServerState.STARTING))
    assert tile.hasFocus()


@pytest.mark.parametrize("state", list(ServerState))
def test_lost_engine_makes_every_tile_old_news(qtbot: QtBot, state: ServerState) -> None:
    engine = Engine(server(state=state, failure=CRASH, held_bytes=21 * GIB))
    panel = panel_of(qtbot, engine, plots=True)
    engine.sample({"coding": FIGURES})
    tile = tile_of(panel)
    word, height = tile.pill.text(), tile.height()
    engine.lose()
    assert tile.pill.text() == ("Unknown" if state.is_active else word)
    assert tile.height() == height
    buttons = [b for b in tile.findChildren(QPushButton) if b.isVisible() and b.text()]
    assert buttons
    assert not any(b.isEnabled() for b in buttons)
    assert {b.toolTip() for b in buttons} == {NO_ENGINE}
    assert theme().color("ok") not in colours_of(tile)
    engine.mirror.set_link(LinkState.LIVE)
    assert tile.pill.text() == word
    assert NO_ENGINE not in {b.toolTip() for b in tile.findChildren(QPushButton)}


def colours_of(tile: ServerTile) -> list[object]:
    image = tile.pill.grab().toImage()
    middle = image.height() // 2
    return [image.pixelColor(x, middle) for x in range(image.width())]


def test_lost_engine_stops_the_clock_and_the_start_button(qtbot: QtBot) -> None:
    engine = Engine(server(ready_at=time.time() - 5.5), server("chat", name="Fast chat"))
    panel = panel_of(qtbot, engine)
    panel.last_profile_id = "demo"
    tile, start = tile_of(panel), panel.header.start_button
    assert start.isEnabled()
    engine.lose()
    before = tile.time_label.text()
    panel._now = _in_an_hour(panel)
    panel._on_second()
    assert tile.time_label.text() == before
    assert (start.isEnabled(), start.toolTip()) == (False, NO_ENGINE)
    engine.mirror.set_link(LinkState.CONNECTING, "Connecting to the engine…")
    assert not start.isEnabled()
    engine.mirror.set_link(LinkState.LIVE)
    assert start.isEnabled()


def _in_an_hour(panel: ServersPanel):  # noqa: ANN202
    now = panel._now()
    return lambda: now + 3600


def test_lost_engine_takes_no_start_in_the_empty_panel(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine)
    demo = button(panel, "Start the demo")
    engine.lose()
    assert (demo.isEnabled(), demo.toolTip()) == (False, NO_ENGINE)


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_enter_starts_a_stopped_server_and_opens_the_overview_of_others(
    qtbot: QtBot, key: Qt.Key
) -> None:
    engine = Engine(server("coding", state=ServerState.STOPPED), server("chat"))
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    tile.setFocus()
    with qtbot.waitSignal(panel.start_requested, timeout=DEADLINE_MS) as asked:
        qtbot.keyClick(tile, key)
    assert asked.args == ["coding"]
    for press_on in (tile, tile_of(panel, "chat")):
        with (
            qtbot.assertNotEmitted(panel.start_requested),
            qtbot.waitSignal(panel.inspect_requested, timeout=DEADLINE_MS) as opened,
        ):
            qtbot.keyClick(press_on, key)
        assert opened.args == [press_on.server.id, "overview"]


def test_arrow_down_reaches_the_end_of_a_last_row_that_is_not_full(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(*many(3)))
    assert panel.grid.columns() == 2
    tile_of(panel, "s1").setFocus()
    qtbot.keyClick(tile_of(panel, "s1"), Qt.Key.Key_Down)
    assert tile_of(panel, "s2").hasFocus()
    qtbot.keyClick(tile_of(panel, "s2"), Qt.Key.Key_Down)
    assert tile_of(panel, "s2").hasFocus()


def menu_of(panel: ServersPanel, server_id: str = "coding") -> QMenu:
    tile = tile_of(panel, server_id)
    place = QPoint(30, 30)
    reason = QContextMenuEvent.Reason.Mouse
    tile.contextMenuEvent(QContextMenuEvent(reason, place, tile.mapToGlobal(place)))
    menu = panel.findChildren(QMenu)[-1]
    assert isinstance(menu, QMenu)
    return menu


def entries(menu: QMenu) -> dict[str, bool]:
    return {a.text(): a.isEnabled() for a in menu.actions() if not a.isSeparator()}


@pytest.mark.parametrize(
    ("state", "able"),
    [
        (ServerState.READY, {"Stop", "Restart"}),
        (ServerState.STALLED, {"Stop", "Restart"}),
        (ServerState.STARTING, {"Stop"}),
        (ServerState.STOPPING, set[str]()),
        (ServerState.STOPPED, {"Start", "Remove"}),
        (ServerState.FAILED, {"Start", "Remove"}),
        (ServerState.BACKING_OFF, {"Start now", "Stop"}),
    ],
)
def test_menu_offers_what_the_state_allows(
    qtbot: QtBot, state: ServerState, able: set[str]
) -> None:
    panel = panel_of(qtbot, Engine(server("chat"), server("coding", state=state)))
    menu = menu_of(panel)
    assert panel.selected_id() == "coding"
    always = {"Overview", "Show log", "Connect a program…", "Copy address", "Edit profile…"}
    able = able | ({"Try it…"} if state.serves else set[str]()) | always
    assert {text for text, is_open in entries(menu).items() if is_open} == able
    menu.close()


@pytest.mark.parametrize(
    ("text", "signal"),
    [("Stop", "stop_requested"), ("Restart", "restart_requested"),
     ("Copy address", "copy_url_requested"), ("Edit profile…", "edit_requested")],
)  # fmt: skip
def test_menu_asks_for_what_was_chosen(qtbot: QtBot, text: str, signal: str) -> None:
    panel = panel_of(qtbot, Engine(server()))
    menu = menu_of(panel)
    with qtbot.waitSignal(getattr(panel, signal), timeout=DEADLINE_MS) as asked:
        next(a for a in menu.actions() if a.text() == text).trigger()
    assert asked.args == ["coding"]
    menu.close()


@pytest.mark.parametrize(
    ("text", "tab"),
    [("Overview", "overview"), ("Try it…", "try"), ("Show log", "log"),
     ("Connect a program…", "connect")],
)  # fmt: skip
def test_menu_opens_the_inspector(qtbot: QtBot, text: str, tab: str) -> None:
    panel = panel_of(qtbot, Engine(server()))
    menu = menu_of(panel)
    with qtbot.waitSignal(panel.inspect_requested, timeout=DEADLINE_MS) as asked:
        next(a for a in menu.actions() if a.text() == text).trigger()
    assert asked.args == ["coding", tab]
    menu.close()


def test_menu_of_a_lost_engine_only_copies(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    engine.lose()
    menu = menu_of(panel)
    assert [text for text, is_open in entries(menu).items() if is_open] == ["Copy address"]
    menu.close()


def test_menu_key_opens_the_menu_beside_the_name(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(server()))
    tile = tile_of(panel)
    tile.setFocus()
    middle = tile.mapToGlobal(tile.rect().center())
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, tile.rect().center(), middle)
    QApplication.sendEvent(tile, event)
    menu = panel.findChildren(QMenu)[-1]
    assert isinstance(menu, QMenu)
    assert menu.y() < middle.y()
    QTest.keyClick(menu, Qt.Key.Key_Escape)
    assert not menu.isVisible()


def test_menu_outlives_its_tile(qtbot: QtBot) -> None:
    engine = Engine(server("coding", state=ServerState.STOPPED), server("chat"))
    panel = panel_of(qtbot, engine)
    menu = menu_of(panel)
    engine.remove("coding")
    with qtbot.waitSignal(panel.remove_requested, timeout=DEADLINE_MS):
        next(a for a in menu.actions() if a.text() == "Remove").trigger()
    menu.close()
