"""Many servers: order, filter, compact rows, selection, and that nothing moves by itself."""

from itertools import pairwise
from math import isnan

import pytest
from panel_kit import (
    CODER,
    FIGURES,
    GIB,
    LEFT,
    Engine,
    button,
    many,
    panel_of,
    row_of,
    server,
    tile_of,
)
from patience import DEADLINE_MS
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QMenu, QWidget
from pytestqt.qtbot import QtBot
from test_servers_panel import Paints

from app.gui.panels.compact_columns import METRIC_COLUMNS, PAD, columns
from app.gui.panels.compact_row import CompactRow
from app.gui.panels.servers_panel import ServersPanel
from app.gui.panels.tile_base import MenuWish
from app.gui.panels.tile_board import FILTER_FROM, ROWS_FROM
from app.gui.panels.tile_order import TileOrder
from app.wire.errors import ErrorCode
from app.wire.nouns import Failure, Profile, ServerState

PENDING = ("Longest answer: 512 tokens → 2k tokens",)


def shown(panel: ServersPanel) -> list[str]:
    return [item.server.id for item in panel.grid.shown()]


def sort(panel: ServersPanel, order: TileOrder) -> None:
    menu = panel.board.tools.order_button.menu()
    assert isinstance(menu, QMenu)
    next(a for a in menu.actions() if a.data() == order.value).trigger()


def memory(gib: float, **more: float) -> dict[str, float | None]:
    return FIGURES | {"memory_bytes": gib * GIB, **more}


def test_filter_comes_with_the_fifth_tile_and_moves_none(qtbot: QtBot) -> None:
    engine = Engine(*many(FILTER_FROM - 1))
    panel = panel_of(qtbot, engine)
    tools = panel.board.tools
    assert tools.order_button.isVisible()
    assert not tools.filter.isVisible()
    place = tile_of(panel, "s0").mapTo(panel, QPoint(0, 0))
    engine.put(server("last", name="Last"))
    QApplication.processEvents()
    assert tools.filter.isVisible()
    assert tile_of(panel, "s0").mapTo(panel, QPoint(0, 0)) == place
    engine.remove("last")
    engine.remove("s3")
    assert tools.filter.isVisible()
    for number in range(3):
        engine.remove(f"s{number}")
    engine.put(server("first"))
    assert not tools.filter.isVisible()
    assert tools.count_label.text() == "1 server"


def test_profile_that_breaks_is_told_and_moves_nothing(qtbot: QtBot) -> None:
    engine = Engine(*many(6))
    panel = panel_of(qtbot, engine)
    seen = (panel.memory_strip, panel.board.tools, tile_of(panel, "s0"), tile_of(panel, "s5"))
    places = [widget.mapTo(panel, QPoint(0, 0)) for widget in seen]
    panel.header.picker.choose("broken")
    QApplication.processEvents()
    notice = panel.header.notice
    assert "Expected a number" in notice.message_label.text()
    assert notice.visibleRegion().boundingRect() == notice.rect()
    assert [widget.mapTo(panel, QPoint(0, 0)) for widget in seen] == places


def test_six_tiles_fit_below_the_tools(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(*many(6)), size=(1000, 805))
    QApplication.processEvents()
    assert panel.board.tools.isVisible()
    assert not panel.grid.verticalScrollBar().isVisible()
    tiles = panel.grid.tiles.values()
    assert all(t.visibleRegion().boundingRect() == t.rect() for t in tiles)


@pytest.mark.parametrize(
    ("text", "found"),
    [("alpha", ["s1"]), ("LLAMA", ["s2"]), ("stopped", ["s3"]), ("generating", ["s0"]),
     ("alpha stopped", []), ("", ["s0", "s1", "s2", "s3", "s4"])],
)  # fmt: skip
def test_filter_finds_by_name_model_and_state(qtbot: QtBot, text: str, found: list[str]) -> None:
    servers = many(5)
    servers[0] = server("s0", name="Zero", state=ServerState.BUSY)
    servers[1] = server("s1", name="Alpha")
    servers[2] = server("s2", name="Two", model="mlx-community/Llama-3")
    servers[3] = server("s3", name="Three", state=ServerState.STOPPED)
    panel = panel_of(qtbot, Engine(*servers))
    tools = panel.board.tools
    qtbot.keyClicks(tools.filter, text)
    assert shown(panel) == found
    if text:
        assert tools.count_label.text() == f"{len(found)} of 5 servers"
        qtbot.keyClick(tools.filter, Qt.Key.Key_Escape)
    assert len(shown(panel)) == 5
    assert tools.count_label.text() == "5 servers"


def test_filter_gives_way_to_a_server_that_the_user_starts(qtbot: QtBot) -> None:
    engine = Engine(*many(6))
    panel = panel_of(qtbot, engine)
    panel.board.tools.filter.setText("server 1")
    panel.last_profile_id = "chat"
    qtbot.mouseClick(panel.header.start_button, LEFT)
    engine.put(server("chat", name="Fast chat", state=ServerState.STARTING))
    assert panel.selected_id() == "chat"
    assert tile_of(panel, "chat").isVisible()


def test_order_by_name_takes_new_servers_in_and_start_order_comes_back(qtbot: QtBot) -> None:
    engine = Engine(*(server(f"s{n}", name=name) for n, name in enumerate("dbeac")))
    panel = panel_of(qtbot, engine)
    sort(panel, TileOrder.NAME)
    assert shown(panel) == ["s3", "s1", "s4", "s0", "s2"]
    engine.put(server("new", name="bb"))
    assert shown(panel) == ["s3", "s1", "new", "s4", "s0", "s2"]
    sort(panel, TileOrder.STARTED)
    assert shown(panel) == ["s0", "s1", "s2", "s3", "s4", "new"]


def test_order_by_memory_changes_only_when_asked_or_while_nobody_is_there(qtbot: QtBot) -> None:
    engine = Engine(*many(5))
    panel = panel_of(qtbot, engine)
    engine.sample({f"s{n}": memory(n) for n in range(5)})
    sort(panel, TileOrder.MEMORY)
    assert shown(panel) == ["s4", "s3", "s2", "s1", "s0"]
    engine.sample({f"s{n}": memory(10 - n) for n in range(5)})
    assert shown(panel) == ["s4", "s3", "s2", "s1", "s0"]
    tile_of(panel, "s2").setFocus()
    panel.board._on_beat()
    assert shown(panel) == ["s4", "s3", "s2", "s1", "s0"]
    panel.header.new_button.setFocus()
    panel.board._on_beat()
    assert shown(panel) == ["s0", "s1", "s2", "s3", "s4"]
    engine.sample({f"s{n}": memory(n) for n in range(5)})
    sort(panel, TileOrder.MEMORY)
    assert shown(panel) == ["s4", "s3", "s2", "s1", "s0"]


def test_tab_and_arrows_follow_the_order_on_the_screen(qtbot: QtBot) -> None:
    engine = Engine(*(server(f"s{n}", name=name) for n, name in enumerate("edcba")))
    panel = panel_of(qtbot, engine)
    sort(panel, TileOrder.NAME)
    tile_of(panel, "s4").setFocus()
    qtbot.keyClick(tile_of(panel, "s4"), Qt.Key.Key_Right)
    assert tile_of(panel, "s3").hasFocus()
    for _ in range(6):
        focus = QApplication.focusWidget()
        assert focus is not None
        qtbot.keyClick(focus, Qt.Key.Key_Tab)
    assert tile_of(panel, "s2").hasFocus()


def test_rows_come_with_the_twentieth_server_and_keep_selection_and_focus(qtbot: QtBot) -> None:
    engine = Engine(*many(ROWS_FROM - 1))
    panel = panel_of(qtbot, engine, rows=None)
    panel.select("s4")
    tile_of(panel, "s4").setFocus()
    engine.put(server("last", name="Last"))
    row = row_of(panel, "s4")
    assert row.height() == 50
    assert row.hasFocus()
    assert row.is_selected()
    assert panel.grid.verticalScrollBar().value() == 0
    for number in range(5, 9):
        engine.remove(f"s{number}")
    assert panel.board.is_rows
    engine.remove("s9")
    assert tile_of(panel, "s4").hasFocus()


def test_rows_that_were_chosen_stay_chosen(qtbot: QtBot) -> None:
    engine = Engine(*many(3))
    panel = panel_of(qtbot, engine, rows=None)
    panel.board.choose_rows(True)
    assert row_of(panel, "s1").isVisible()
    assert panel.board.wants_rows() is True
    qtbot.mouseClick(panel.board.tools.rows_button, LEFT)
    assert tile_of(panel, "s1").isVisible()
    for extra in many(30):
        engine.put(extra)
    assert not panel.board.is_rows


def test_row_shows_every_figure_and_paints_only_what_changed(qtbot: QtBot) -> None:
    engine = Engine(server("coding"), server("chat", name="Fast chat"))
    panel = panel_of(qtbot, engine, rows=True)
    engine.sample({"coding": FIGURES, "chat": FIGURES})
    row = row_of(panel)
    texts = {name: row.text(name) for name in ("name", "model", "state", "time")}
    assert texts == {
        "name": "Coding assistant", "model": "Qwen2.5-Coder-32B-Instruct-4bit",
        "state": "Generating", "time": "2 h 14 min",
    }  # fmt: skip
    figures = [row.text(n) for n in ("tokens_per_s", "memory_bytes", "cpu_percent", "gpu_percent")]
    assert figures == ["21.4", "18.9 GB", "24 %", "87 %"]
    more = {"tokens_total": 66_991.0, "prompt_tokens_per_s": 482.0, "requests_queued": 2.0,
            "ttft_p50_s": 0.15, "ttft_p95_s": 0.57}  # fmt: skip
    engine.sample({"coding": FIGURES | more, "chat": FIGURES})
    names = ("tokens_total", "requests_open", "ttft_p50_s", "prompt_tokens_per_s")
    assert [row.text(name) for name in names] == ["66\u2009991", "1 + 2", "0.15 s", "482"]
    assert "Memory 18.9 GB" in row.accessibleDescription()
    engine.sample({"coding": FIGURES, "chat": FIGURES})
    QApplication.processEvents()
    panel._timer.stop()
    paints = Paints(panel)
    engine.sample({"coding": FIGURES, "chat": FIGURES | {"cpu_percent": 30.0}})
    QApplication.processEvents()
    assert paints.count[row_of(panel, "chat")] == 1
    assert paints.count[row] == 0


@pytest.mark.parametrize(
    ("width", "gone"),
    [
        (560, {"cpu_percent", "gpu_percent", "requests_open", "ttft_p50_s", "prompt_tokens_per_s"}),
        (900, {"prompt_tokens_per_s"}),
        (1200, set[str]()),
    ],
)
def test_row_shows_as_many_figures_as_it_has_room_for(width: int, gone: set[str]) -> None:
    found = columns(width)
    assert set(METRIC_COLUMNS) - set(found) == gone
    edges = [(left, left + wide) for left, wide in found.values()]
    assert all(end < left for (_, end), (left, _) in pairwise(edges))
    assert edges[-1][1] <= width - PAD
    assert found["name"][1] > 90


def test_row_buttons_come_with_the_keyboard_and_ask_for_what_they_say(qtbot: QtBot) -> None:
    engine = Engine(server("coding"), server("chat"))
    panel = panel_of(qtbot, engine, rows=True)
    row = row_of(panel)
    assert row.button_texts() == []
    row.setFocus()
    assert row.button_texts() == ["Stop", "Restart"]
    qtbot.keyClick(row, Qt.Key.Key_Tab)
    with qtbot.waitSignal(panel.stop_requested, timeout=DEADLINE_MS) as asked:
        focus = QApplication.focusWidget()
        assert focus is not None
        qtbot.keyClick(focus, Qt.Key.Key_Space)
    assert asked.args == ["coding"]
    assert row.hasFocus()
    engine.put(server(state=ServerState.STOPPED))
    assert row.button_texts() == ["Start", "Remove"]
    row_of(panel, "chat").setFocus()
    qtbot.waitUntil(lambda: row.button_texts() == [], timeout=DEADLINE_MS)


def test_row_of_a_failed_server_tells_the_reason(qtbot: QtBot) -> None:
    failure = Failure(ErrorCode.OUT_OF_MEMORY, "The model needs 14.1 GB.", "Stop another server.")
    engine = Engine(server(state=ServerState.FAILED, failure=failure))
    panel = panel_of(qtbot, engine, rows=True)
    row = row_of(panel)
    assert row.text("failure") == "The model needs 14.1 GB."
    row.setFocus()
    assert row.button_texts() == ["Start again", "Dismiss"]
    qtbot.mouseMove(row, QPoint(row.width() // 2, 20))
    assert "Stop another server." in row.toolTip()


def test_double_click_opens_the_overview_but_not_on_a_button(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(server()))
    tile = tile_of(panel)
    with qtbot.waitSignal(panel.inspect_requested, timeout=DEADLINE_MS) as opened:
        qtbot.mouseDClick(tile, LEFT, pos=QPoint(40, 20))
    assert opened.args == ["coding", "overview"]
    stop = button(tile, "Stop")
    with qtbot.assertNotEmitted(panel.inspect_requested):
        qtbot.mouseClick(stop, LEFT)
        assert not stop.isEnabled()
        qtbot.mouseDClick(tile, LEFT, pos=stop.geometry().center())


def test_pending_changes_are_told_until_a_restart(qtbot: QtBot) -> None:
    engine = Engine(server(pending=PENDING))
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    engine.sample({"coding": FIGURES})
    assert tile.pending_chip.isVisible()
    assert tile.pending_chip.text() == "Restart to apply"
    assert PENDING[0] in tile.pending_chip.toolTip()
    assert "Restart to apply" in tile.accessibleDescription()
    assert not tile.pending_chip.geometry().intersects(tile.pill.geometry())
    assert not tile.pending_chip.geometry().intersects(tile.name_label.geometry())
    engine.put(server())
    assert not tile.pending_chip.isVisible()


def test_lesser_figures_stand_below_the_plots(qtbot: QtBot) -> None:
    engine = Engine(server(restarts=2))
    panel = panel_of(qtbot, engine)
    more = {"prompt_tokens_per_s": 412.4, "ttft_p50_s": 0.42, "ttft_p95_s": 1.38,
            "requests_open": 3.0, "requests_waiting": 2.0}  # fmt: skip
    engine.sample({"coding": FIGURES | more})
    tile = tile_of(panel)
    assert tile.figures.prefill.text() == "Prefill 412 tok/s"
    assert tile.figures.first_token.text() == "First token 0.42 s · p95 1.4 s"
    assert tile.requests_label.text() == "3 open, 2 waiting"
    for figures, text in (
        ({"requests_open": 1.0, "prompt_read_percent": 62.4}, "Reading prompt 62%"),
        ({"requests_open": 1.0, "requests_queued": 1.0}, "1 open, 1 queued"),
        (
            {"requests_open": 4.0, "requests_queued": 1.0, "requests_waiting": 2.0,
             "prompt_read_percent": 7.0},
            "4 open, 1 queued, reading 7%",
        ),
    ):  # fmt: skip
        engine.sample({"coding": FIGURES | figures})
        assert tile.requests_label.text() == text
    assert tile.time_label.text() == "2 restarts · 2 h 14 min"
    engine.sample({"coding": FIGURES})
    assert tile.figures.first_token.text() == ""


def test_pointer_on_a_plot_is_told_value_and_age_while_the_plot_moves(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine, plots=True)
    at = 1_000_000.0
    for tick in range(30):
        engine.sample({"coding": FIGURES | {"tokens_per_s": float(tick)}}, at=at + tick)
    figures = tile_of(panel).figures
    plots = figures.plots
    edge = figures.cells["tokens_per_s"].width() - 1
    qtbot.mouseMove(figures, QPoint(edge, plots.y() + 10))
    assert figures.hover_text() == "29.0 tok/s · now"
    qtbot.mouseMove(figures, QPoint(round(edge * 107 / 119), plots.y() + 10))
    assert figures.hover_text() == "17.0 tok/s · 12 s ago"
    engine.sample({"coding": FIGURES | {"tokens_per_s": 30.0}}, at=at + 30)
    assert figures.hover_text() == "18.0 tok/s · 12 s ago"
    qtbot.mouseMove(figures, QPoint(10, plots.y() + 10))
    assert figures.hover_text() == ""
    assert isnan(plots.drawn(0)[0])
    qtbot.mouseMove(figures, QPoint(edge, plots.y() + 10))
    qtbot.mouseMove(figures, QPoint(edge, 5))
    assert figures.hover_text() == ""


def test_copied_is_told_at_the_button(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(server()))
    copy = button(tile_of(panel), "Copy URL")
    place, picture = copy.geometry(), copy.icon().cacheKey()
    panel.tell_copied("coding")
    assert copy.icon().cacheKey() != picture
    assert copy.geometry() == place


def test_server_03_nothing_moves_through_ten_thousand_updates(qtbot: QtBot) -> None:
    engine = Engine(*many(30))
    panel = panel_of(qtbot, engine, size=(600, 600), plots=False)
    bar = panel.grid.verticalScrollBar()
    bar.setValue(1234)
    panel.select("s7")
    tile_of(panel, "s7").setFocus()
    menu = _open_menu(panel, "s7")
    for tick in range(10_000):
        engine.sample({f"s{n}": FIGURES | {"tokens_total": float(tick)} for n in range(0, 30, 7)})
        if tick % 500 == 250:
            engine.put(server(f"new{tick}", name="New below"))
        if tick % 500 == 400:
            engine.remove(f"new{tick - 150}")
        if tick % 200 == 0:
            QApplication.processEvents()
    assert bar.value() == 1234
    assert panel.selected_id() == "s7"
    assert menu.isVisible()
    menu.close()
    assert tile_of(panel, "s7").hasFocus()


def _open_menu(panel: ServersPanel, server_id: str) -> QMenu:
    wish = MenuWish(server_id, panel.mapToGlobal(QPoint(50, 50)))
    panel.grid.tiles[server_id].menu_wanted.emit(wish)
    return panel.findChildren(QMenu)[-1]


@pytest.mark.parametrize("away", ["hide", "showMinimized"])
def test_window_that_is_away_paints_nothing(qtbot: QtBot, away: str) -> None:
    engine = Engine(*many(3))
    panel = panel_of(qtbot, engine, plots=True)
    engine.sample({f"s{n}": FIGURES for n in range(3)})
    getattr(panel, away)()
    for _ in range(5):
        # What the change of state itself has left to paint.
        QApplication.processEvents()
    paints = Paints(panel)
    for tick in range(5):
        engine.sample({f"s{n}": FIGURES | {"cpu_percent": float(tick)} for n in range(3)})
        panel._on_second()
        QApplication.processEvents()
    assert not paints.count
    assert tile_of(panel, "s0").cells["cpu_percent"].text() == "24 %"


def test_only_plots_are_painted_while_the_values_stay(qtbot: QtBot) -> None:
    engine = Engine(*many(2))
    panel = panel_of(qtbot, engine, plots=True)
    values = {f"s{n}": FIGURES for n in range(2)}
    for _ in range(3):
        engine.sample(values)
    QApplication.processEvents()
    panel._timer.stop()
    tile = tile_of(panel, "s0")
    paints = Paints(panel)
    engine.sample(values)
    QApplication.processEvents()
    painted = {w for w in paints.count if isinstance(w, QWidget) and tile.isAncestorOf(w)}
    still = {*tile.cells.values(), tile.pill, tile.name_label, tile.time_label, tile.tokens_label}
    assert not painted & still
    assert paints.count[panel.memory_strip] == 0


def test_server_01_search_survives_a_thousand_updates_at_five_hundred_profiles(
    qtbot: QtBot,
) -> None:
    engine = Engine(*many(4))
    for number in range(500):
        engine.put(Profile(f"p{number:03}", f"Profile {number:03}", f"org/Model-{number}"))
    panel = panel_of(qtbot, engine)
    picker = panel.header.picker
    panel.focus_picker()
    field = picker.lineEdit()
    assert field is not None
    qtbot.keyClicks(field, "profile 4")
    popup = picker.completer().popup()
    assert popup.isVisible()
    for _ in range(3):
        qtbot.keyClick(popup, Qt.Key.Key_Down)
    text, chosen = field.text(), popup.currentIndex().data()
    for tick in range(1000):
        engine.sample({f"s{n}": FIGURES | {"cpu_percent": float(tick % 90)} for n in range(4)})
        if tick % 50 == 0:
            state = (ServerState.READY, ServerState.BUSY)[tick // 50 % 2]
            engine.put(server("s1", name="Server 1", state=state))
            QApplication.processEvents()
    assert popup.isVisible()
    assert (field.text(), popup.currentIndex().data()) == (text, chosen)
    popup.hide()


def test_server_01_profile_is_started_with_four_keys(qtbot: QtBot) -> None:
    """The first of the four is the one that leads into the picker."""
    panel = panel_of(qtbot, Engine())
    panel.focus_picker()
    picker = panel.header.picker
    field = picker.lineEdit()
    assert field is not None
    qtbot.keyClick(field, "f")
    popup = picker.completer().popup()
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    with qtbot.waitSignal(panel.start_requested, timeout=DEADLINE_MS) as started:
        qtbot.keyClick(picker, Qt.Key.Key_Return)
    assert started.args == ["chat"]


def test_half_takes_the_keyboard_to_the_selected_tile_or_the_picker(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine)
    panel.focus_half()
    assert panel.header.picker.hasFocus()
    for extra in many(3):
        engine.put(extra)
    panel.select("s2")
    panel.focus_half()
    assert tile_of(panel, "s2").hasFocus()


def test_new_tile_fades_in_unless_motion_is_reduced(qtbot: QtBot) -> None:
    engine = Engine(server("coding"))
    panel = panel_of(qtbot, engine)
    engine.put(server("still", name="Still"))
    assert not _veils(tile_of(panel, "still"))
    panel.board.may_animate = lambda: True
    engine.put(server("moving", name="Moving"))
    tile = tile_of(panel, "moving")
    assert _veils(tile)
    qtbot.waitUntil(lambda: not _veils(tile), timeout=DEADLINE_MS)


def _veils(tile: QWidget) -> list[QWidget]:
    return [w for w in tile.findChildren(QWidget) if type(w).__name__ == "_Veil"]


@pytest.mark.parametrize("rows", [False, True])
def test_server_that_stopped_by_itself_says_why(qtbot: QtBot, rows: bool) -> None:
    reason = "Stopped after 5 min without a request."
    engine = Engine(server(state=ServerState.STOPPED, stop_reason=reason))
    panel = panel_of(qtbot, engine, rows=rows)
    item = panel.tile("coding")
    assert item is not None
    shown = item.text("model") if isinstance(item, CompactRow) else item.model_label.text()
    assert shown == reason
    assert item.accessibleDescription() == reason
    engine.put(server())
    shown = item.text("model") if isinstance(item, CompactRow) else item.model_label.text()
    assert shown == CODER.rpartition("/")[2]


def test_server_that_found_no_room_says_so_and_start_asks_first(qtbot: QtBot) -> None:
    failure = Failure(ErrorCode.NO_ROOM, "It was not started with the app.", "9.0 of 8.0 GB.")
    engine = Engine(server(state=ServerState.FAILED, failure=failure))
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    assert tile.pill.text() == "Not started"
    assert tile.failure_box.text() == "It was not started with the app.\n9.0 of 8.0 GB."
    assert tile.button_texts() == ["Start…", "Dismiss"]
    with qtbot.waitSignal(panel.start_requested, timeout=DEADLINE_MS) as asked:
        qtbot.mouseClick(button(tile, "Start…"), LEFT)
    assert asked.args == ["coding"]
