"""The menu-bar extra: what its menu says, what it asks for, and that it stays put while open."""

import pytest
from panel_kit import FIGURES, Engine, many, server
from PySide6.QtCore import QPoint
from PySide6.QtGui import QAction, QImage
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from app.gui.main_window import menu_bar
from app.gui.main_window.menu_bar import Mark, MenuBarExtra, icon, mark_for
from app.gui.mirror import LinkState
from app.wire.nouns import Failure, Phase, Profile, Server, ServerState

EVERY_STATE = list(ServerState)


def extra_of(engine: Engine, *recent: str) -> MenuBarExtra:
    return MenuBarExtra(engine.mirror, lambda: recent, engine.mirror)


def texts(menu: QMenu) -> list[str]:
    """What is to be read in a menu, from top to bottom."""
    return [a.text() for a in menu.actions() if a.isVisible() and not a.isSeparator()]


def entry(menu: QMenu, beginning: str) -> QAction:
    (found,) = [a for a in menu.actions() if a.isVisible() and a.text().startswith(beginning)]
    return found


def server_menu(extra: MenuBarExtra, name: str) -> QMenu:
    menu = entry(extra.menu, name).menu()
    assert isinstance(menu, QMenu)
    return menu


def test_menu_names_servers_profiles_and_ways_out(qtbot: QtBot) -> None:
    engine = Engine(server())
    engine.sample({"coding": FIGURES})
    extra = extra_of(engine)
    extra.menu.aboutToShow.emit()
    assert texts(extra.menu) == [
        "1 server  ·  21.4 tok/s",
        "Coding assistant  ·  Generating  ·  21.4 tok/s",
        "Start Demo",
        "Start Fast chat",
        "Open MLX Model Manager",
        "Settings…",
        "Quit",
    ]


def test_menu_shows_no_last_speed_of_a_server_that_stopped() -> None:
    assert menu_bar.title(server(), 21.4, is_live=True).endswith("21.4 tok/s")
    stopped = server(state=ServerState.STOPPED)
    assert "tok/s" not in menu_bar.title(stopped, 21.4, is_live=True)


def test_menu_counts_servers_that_failed_apart(qtbot: QtBot) -> None:
    engine = Engine(server(), server("fast", state=ServerState.FAILED))
    extra = extra_of(engine)
    extra.menu.aboutToShow.emit()
    assert texts(extra.menu)[0] == "1 running, 1 failed"
    engine.put(server(state=ServerState.STOPPED))
    extra.menu.aboutToShow.emit()
    assert texts(extra.menu)[0] == "1 failed"


def test_menu_offers_profiles_that_were_used_first_and_no_more_than_five(qtbot: QtBot) -> None:
    engine = Engine()
    for number in range(8):
        engine.put(Profile(f"p{number}", f"Profile {number}", "acme/x"))
    extra = extra_of(engine, "p7", "p3", "gone")
    starts = [text for text in texts(extra.menu) if text.startswith("Start ")]
    assert starts[:2] == ["Start Profile 7", "Start Profile 3"]
    assert len(starts) == 5
    # A profile with a fault cannot be started.
    assert "Start Broken" not in starts


def test_server_in_every_state_has_the_commands_that_fit(qtbot: QtBot) -> None:
    for state in EVERY_STATE:
        extra = extra_of(Engine(server(state=state)))
        shown = texts(server_menu(extra, "Coding assistant"))
        assert ("Stop" in shown) is state.is_active, state
        assert ("Start" in shown) is not state.is_active, state
        assert ("Restart" in shown) is state.serves, state
        assert "Show log" in shown
        extra.menu.deleteLater()


def test_commands_ask_for_what_they_say(qtbot: QtBot) -> None:
    extra = extra_of(Engine(server()))
    menu = server_menu(extra, "Coding assistant")
    for text, signal in (
        ("Stop", extra.stop_requested),
        ("Restart", extra.restart_requested),
        ("Show log", extra.log_requested),
    ):
        with qtbot.waitSignal(signal) as asked:
            entry(menu, text).trigger()
        assert asked.args == ["coding"]
    with qtbot.waitSignal(extra.start_requested) as asked:
        entry(extra.menu, "Start Demo").trigger()
    assert asked.args == ["demo"]
    for text, signal in (
        ("Open MLX", extra.open_requested),
        ("Settings", extra.settings_requested),
        ("Quit", extra.quit_requested),
    ):
        with qtbot.waitSignal(signal):
            entry(extra.menu, text).trigger()


def test_open_menu_follows_figures_and_nothing_in_it_moves(qtbot: QtBot) -> None:
    engine = Engine(server(), server("chat", name="Fast chat", state=ServerState.STARTING))
    extra = extra_of(engine)
    extra.menu.popup(QPoint(10, 10))
    qtbot.waitExposed(extra.menu)
    before = extra.menu.actions()
    engine.sample({"coding": FIGURES})
    assert entry(extra.menu, "Coding assistant").text().endswith("21.4 tok/s")
    engine.put(Profile("new", "A new one", "acme/x"))
    engine.remove("chat")
    assert extra.menu.isVisible()
    assert extra.menu.actions() == before
    assert not entry(extra.menu, "Fast chat").isEnabled()
    extra.menu.close()
    assert "Start A new one" in texts(extra.menu)
    assert "Start Fast chat" in texts(extra.menu)
    assert not [text for text in texts(extra.menu) if text.startswith("Fast chat")]


def test_closed_menu_costs_nothing_a_second(qtbot: QtBot) -> None:
    engine = Engine(server())
    extra = extra_of(engine)
    before = texts(extra.menu)
    engine.sample({"coding": FIGURES})
    assert texts(extra.menu) == before


def test_start_in_progress_is_told_in_percent(qtbot: QtBot) -> None:
    loading = server(state=ServerState.STARTING, phase=Phase.LOADING, progress=0.4)
    extra = extra_of(Engine(loading))
    assert "Coding assistant  ·  Loading model  ·  40%" in texts(extra.menu)


def test_lost_engine_is_told_and_nothing_can_be_asked_of_it(qtbot: QtBot) -> None:
    engine = Engine(server())
    extra = extra_of(engine)
    engine.lose()
    shown = texts(extra.menu)
    assert shown[0] == "The engine does not answer."
    assert shown[1] == "Coding assistant  ·  Unknown"
    assert not [text for text in shown if text.startswith("Start ")]
    assert not entry(server_menu(extra, "Coding assistant"), "Stop").isEnabled()
    engine.mirror.set_link(LinkState.LIVE)
    assert "Coding assistant  ·  Ready" in texts(extra.menu)


def test_name_with_ampersand_is_shown_as_it_is(qtbot: QtBot) -> None:
    extra = extra_of(Engine(server(name="R&D")))
    assert texts(extra.menu)[1].startswith("R&&D")


@pytest.mark.parametrize(
    ("states", "mark"),
    [
        ([], Mark.NONE),
        ([ServerState.STOPPED], Mark.NONE),
        ([ServerState.READY], Mark.SERVING),
        ([ServerState.BUSY, ServerState.STARTING], Mark.STARTING),
        ([ServerState.READY, ServerState.FAILED], Mark.TROUBLE),
        ([ServerState.STALLED], Mark.TROUBLE),
    ],
)
def test_mark_is_that_of_the_worst_server(
    qtbot: QtBot, states: list[ServerState], mark: Mark
) -> None:
    servers = [server(f"s{number}", state=state) for number, state in enumerate(states)]
    engine = Engine(*servers)
    assert mark_for(engine.mirror) is mark
    engine.lose()
    assert mark_for(engine.mirror) is Mark.TROUBLE


@pytest.mark.parametrize("is_mac", [True, False])
def test_marks_differ_in_shape_and_the_template_has_no_colour(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, is_mac: bool
) -> None:
    monkeypatch.setattr(menu_bar, "IS_MAC", is_mac)
    shapes = set()
    for mark in Mark:
        picture = icon(mark)
        assert picture.isMask() is is_mac
        image = picture.pixmap(18, 18).toImage().convertToFormat(QImage.Format.Format_RGBA8888)
        pixels = bytes(image.constBits())
        shapes.add(pixels[3::4])
        if is_mac:
            assert image.width() == 18
            assert {*pixels[0::4], *pixels[1::4], *pixels[2::4]} == {0}
    assert len(shapes) == len(Mark)


def test_desktop_without_tray_gets_no_icon_and_no_error(qtbot: QtBot) -> None:
    extra = extra_of(Engine(server(failure=Failure("crashed", "x"), state=ServerState.FAILED)))
    extra.set_shown(shown=True)
    assert not extra.is_shown
    extra.set_shown(shown=False)


def test_many_servers_that_arrive_cost_a_step_each(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    extra = extra_of(engine)
    shown: list[str] = []
    show = menu_bar.ServerMenu.show_server

    def count(
        menu: menu_bar.ServerMenu, one: Server, speed: float | None, *, is_live: bool
    ) -> None:
        shown.append(one.id)
        show(menu, one, speed, is_live=is_live)

    monkeypatch.setattr(menu_bar.ServerMenu, "show_server", count)
    for one in many(50):
        engine.put(one)
    assert len(shown) == 50
    qtbot.waitUntil(lambda: texts(extra.menu)[0] == "50 servers")
    assert entry(extra.menu, "Server 49").isVisible()
