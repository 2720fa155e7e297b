"""The servers half of the window: driven by the engine's events, judged by what can be read."""

import time
from collections import Counter
from math import isnan

import pytest
from panel_kit import (
    CODER,
    FIGURES,
    GIB,
    LEFT,
    LLAMA,
    Engine,
    button,
    many,
    panel_of,
    server,
    tile_of,
)
from patience import DEADLINE_MS
from PySide6.QtCore import QAbstractItemModel, QEvent, QObject, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.gui.format import UNKNOWN
from app.gui.models.profile_list import ID_ROLE, NOTE_ROLE, ProfileList
from app.gui.panels.memory_strip import shares_of
from app.gui.panels.server_tile import TILE_HEIGHT
from app.gui.panels.servers_panel import ServersPanel
from app.gui.theme import theme
from app.wire.errors import ErrorCode
from app.wire.events import MachineSample, Removed, Samples
from app.wire.nouns import Failure, Phase, Profile, ProfileFault, ServerState


def type_into_picker(qtbot: QtBot, panel: ServersPanel, text: str) -> None:
    panel.focus_picker()
    field = panel.header.picker.lineEdit()
    assert field is not None
    qtbot.keyClicks(field, text)


def press(qtbot: QtBot, panel: ServersPanel, key: Qt.Key) -> None:
    """Press a key where the keyboard is: in the list of matches while it is open."""
    popup = panel.header.picker.completer().popup()
    qtbot.keyClick(popup if popup.isVisible() else panel.header.picker, key)


@pytest.mark.parametrize("text", ["fast", "FAST CH", "llama-3.2"])
def test_server_01_profile_is_found_by_name_and_by_model_and_started_with_enter(
    qtbot: QtBot, text: str
) -> None:
    panel = panel_of(qtbot, Engine())
    type_into_picker(qtbot, panel, text)
    popup = panel.header.picker.completer().popup()
    assert popup.isVisible()
    model = popup.model()
    assert [model.index(r, 0).data() for r in range(model.rowCount())] == ["Fast chat"]
    press(qtbot, panel, Qt.Key.Key_Down)
    press(qtbot, panel, Qt.Key.Key_Return)
    assert not popup.isVisible()
    assert panel.last_profile_id == "chat"
    assert panel.header.picker.currentText() == "Fast chat"
    with qtbot.waitSignal(panel.start_requested, timeout=DEADLINE_MS) as started:
        press(qtbot, panel, Qt.Key.Key_Return)
    assert started.args == ["chat"]


def test_server_01_profile_is_chosen_by_mouse_and_started_with_the_button(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine())
    start = panel.header.start_button
    assert not start.isEnabled()
    assert start.toolTip() == "Choose a profile first."
    picker = panel.header.picker
    picker.showPopup()
    row = picker.findData("coding", ID_ROLE)
    view = picker.view()
    qtbot.mouseClick(
        view.viewport(), LEFT, pos=view.visualRect(view.model().index(row, 0)).center()
    )
    assert panel.last_profile_id == "coding"
    assert not view.isVisible()
    with qtbot.waitSignal(panel.start_requested, timeout=DEADLINE_MS) as started:
        qtbot.mouseClick(start, LEFT)
    assert started.args == ["coding"]


def test_picker_enter_with_an_open_list_chooses_the_first_match_and_starts_nothing(
    qtbot: QtBot,
) -> None:
    panel = panel_of(qtbot, Engine())
    type_into_picker(qtbot, panel, "coder")
    with qtbot.assertNotEmitted(panel.start_requested):
        press(qtbot, panel, Qt.Key.Key_Return)
    assert panel.last_profile_id == "coding"


def test_picker_search_finds_the_same_after_another_profile_was_used(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine())
    profiles = panel.header.picker.profiles
    for used in ("chat", "coding", "chat"):
        type_into_picker(qtbot, panel, "coder")
        press(qtbot, panel, Qt.Key.Key_Down)
        press(qtbot, panel, Qt.Key.Key_Return)
        assert panel.last_profile_id == "coding"
        profiles.put_first(used)


def test_picker_shows_the_beginning_of_a_long_name_once_it_is_left(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine())
    type_into_picker(qtbot, panel, "fast")
    press(qtbot, panel, Qt.Key.Key_Down)
    press(qtbot, panel, Qt.Key.Key_Return)
    field = panel.header.picker.lineEdit()
    assert field is not None
    panel.header.new_button.setFocus()
    assert (field.text(), field.cursorPosition()) == ("Fast chat", 0)


def test_picker_text_that_is_no_profile_goes_back_to_the_chosen_one(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine())
    panel.last_profile_id = "chat"
    type_into_picker(qtbot, panel, "nothing like it")
    with qtbot.assertNotEmitted(panel.start_requested):
        press(qtbot, panel, Qt.Key.Key_Return)
    assert panel.header.picker.currentText() == "Fast chat"


def test_picker_rows_say_what_the_servers_do(qtbot: QtBot) -> None:
    starting = server("demo", state=ServerState.STARTING, phase=Phase.LOADING)
    engine = Engine(server("coding"), server("chat", state=ServerState.STOPPED), starting)
    profiles = panel_of(qtbot, engine).header.picker.profiles
    rows = {key: profiles.row_of(key) for key in ("coding", "chat", "demo")}
    notes = {key: profiles.index(row).data(NOTE_ROLE) for key, row in rows.items()}
    assert notes == {"coding": "Ready", "chat": "", "demo": "Loading model"}
    spoken = profiles.index(profiles.row_of("coding")).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == f"Coding assistant, {CODER}, Ready"


def test_picker_lists_leave_its_border_free(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine())
    picker = panel.header.picker
    bottom = picker.mapToGlobal(picker.rect().bottomLeft()).y()
    for text in ("c", "co", "cod"):
        type_into_picker(qtbot, panel, text)
        popup = picker.completer().popup()
        assert popup.isVisible()
        assert popup.frameGeometry().top() > bottom
        popup.hide()
    picker.showPopup()
    assert picker.view().window().frameGeometry().top() > bottom
    picker.hidePopup()


def test_closed_picker_shows_the_model_or_what_is_wrong(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine())
    picker = panel.header.picker
    picker.resize(360, picker.height())
    assert picker.beside()[1] == ""
    picker.choose("demo")
    room, text = picker.beside()
    assert text == "tiny"
    assert room.left() > picker.lineEdit().fontMetrics().horizontalAdvance("Demo")
    assert picker.rect().contains(room)
    picker.choose("broken")
    assert picker.beside()[1] == "Expected a number (line 7)"
    type_into_picker(qtbot, panel, "cod")
    assert picker.beside()[1] == ""


@pytest.mark.parametrize("chosen", ["chat", None])
def test_picker_escape_gives_up_the_search_and_keeps_the_choice(
    qtbot: QtBot, chosen: str | None
) -> None:
    panel = panel_of(qtbot, Engine())
    panel.last_profile_id = chosen
    picker = panel.header.picker
    type_into_picker(qtbot, panel, "cod")
    press(qtbot, panel, Qt.Key.Key_Escape)
    before = "Fast chat" if chosen else ""
    assert not picker.completer().popup().isVisible()
    assert picker.currentText() == before
    picker.showPopup()
    press_in = picker.view()
    qtbot.keyClick(press_in, Qt.Key.Key_Escape)
    panel.header.new_button.setFocus()
    assert (panel.last_profile_id, picker.currentText()) == (chosen, before)


def test_picker_search_that_is_left_for_the_whole_list_chooses_nothing(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine())
    panel.last_profile_id = "chat"
    type_into_picker(qtbot, panel, "cod")
    panel.header.picker.completer().popup().hide()
    panel.header.picker.showPopup()
    assert (panel.last_profile_id, panel.header.picker.currentText()) == ("chat", "Fast chat")


def test_picker_remembered_profile_is_chosen_when_it_comes(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine)
    panel.last_profile_id = "later"
    assert panel.header.picker.profile() is None
    engine.put(Profile("later", "A later one", "m"))
    assert panel.header.picker.currentText() == "A later one"
    assert panel.last_profile_id == "later"


def test_picker_order_is_that_of_the_users_starts_alone(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine)
    picker = panel.header.picker
    before = [picker.itemText(row) for row in range(picker.count())]
    # A crash, a request or another window.
    for state in (ServerState.STARTING, ServerState.BACKING_OFF, ServerState.STARTING):
        engine.put(server("chat", name="Fast chat", state=state))
    assert [picker.itemText(row) for row in range(picker.count())] == before


def test_picker_search_and_open_list_stay_through_a_thousand_changes(qtbot: QtBot) -> None:
    engine = Engine()
    for number in range(500):
        engine.put(Profile(f"p{number}", f"Profile {number:03}", f"org/model-{number}"))
    panel = panel_of(qtbot, engine)
    picker = panel.header.picker
    type_into_picker(qtbot, panel, "file 4")
    popup = picker.completer().popup()
    for _ in range(3):
        qtbot.keyClick(popup, Qt.Key.Key_Down)
    chosen, text = popup.currentIndex().data(), picker.lineEdit().text()
    for number in range(1000):
        name = f"p{number % 500}"
        engine.put(server(name, state=ServerState.STARTING if number % 2 else ServerState.READY))
        if number % 10 == 0:
            engine.put(Profile(name, f"Profile {number % 500:03}", f"org/other-{number}"))
            picker.profiles.put_first(name)
    assert popup.isVisible()
    assert (popup.currentIndex().data(), picker.lineEdit().text()) == (chosen, text)
    popup.hide()

    picker.showPopup()
    under_pointer = [picker.view().model().index(row, 0).data() for row in range(20)]
    picker.profiles.put_first("p499")
    assert under_pointer == [picker.view().model().index(row, 0).data() for row in range(20)]
    picker.hidePopup()
    qtbot.waitUntil(lambda: picker.itemText(0) == "Profile 499")


def test_picker_choice_counts_though_profiles_went_while_the_list_was_open(qtbot: QtBot) -> None:
    engine = Engine()
    for number in range(5):
        engine.put(Profile(f"a{number}", f"A {number}", "gone/model"))
    panel = panel_of(qtbot, engine)
    panel.last_profile_id = "chat"
    type_into_picker(qtbot, panel, "Fast chat")
    popup = panel.header.picker.completer().popup()
    qtbot.keyClick(popup, Qt.Key.Key_Down)
    for number in range(5):
        engine.seq += 1
        engine.mirror.apply(Removed(engine.seq, "profile", f"a{number}"))
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    picker = panel.header.picker
    qtbot.waitUntil(lambda: picker.count() == 4)
    assert (panel.last_profile_id, picker.currentText()) == ("chat", "Fast chat")


def test_picker_keeps_its_profile_through_other_changes(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine)
    panel.last_profile_id = "chat"
    engine.put(Profile("aaa", "AAA comes first", "m"))
    engine.put(Profile("chat", "Zulu chat", LLAMA))
    assert panel.header.picker.currentText() == "Zulu chat"
    engine.seq += 1
    engine.mirror.apply(Removed(engine.seq, "profile", "coding"))
    assert panel.header.picker.currentText() == "Zulu chat"
    engine.mirror.apply(Removed(engine.seq + 1, "profile", "chat"))
    assert panel.header.picker.currentText() == ""


def test_broken_profile_cannot_be_started_and_says_why(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine())
    panel.last_profile_id = "broken"
    notice = panel.header.notice
    assert notice.isVisible()
    assert notice.message_label.text() == "Broken cannot be started: Expected a number (line 7)"
    assert notice.path_label.text() == "/home/profiles/broken.toml"
    assert not panel.header.start_button.isEnabled()
    assert "line 7" in panel.header.start_button.toolTip()
    with qtbot.waitSignal(panel.show_file_requested, timeout=DEADLINE_MS) as shown:
        qtbot.mouseClick(button(notice, "Show file"), LEFT)
    assert shown.args == ["/home/profiles/broken.toml"]
    panel.last_profile_id = "chat"
    assert not notice.isVisible()


def test_fault_is_wrapped_and_whole_at_the_smallest_window(qtbot: QtBot) -> None:
    trouble = "Longest answer (max_tokens): 'many' does not work; it must be a whole number"
    fault = ProfileFault(f"{trouble} from 1 to 1,000,000.", 5)
    engine = Engine()
    engine.put(Profile("broken", "Broken one", "m", path="/p/broken.toml", fault=fault))
    panel = panel_of(qtbot, engine, size=(590, 540))
    panel.last_profile_id = "broken"
    QApplication.processEvents()
    label = panel.header.notice.message_label
    assert label.height() == label.heightForWidth(label.width())
    assert label.text().endswith("1,000,000 (line 5)")
    assert label.toolTip() == ""


def test_start_button_has_one_width_for_all_its_texts(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine, size=(590, 540))
    panel.last_profile_id = "coding"
    header = panel.header
    before = header.picker.geometry(), header.start_button.geometry()
    for state in ServerState:
        engine.put(server(state=state))
        QApplication.processEvents()
        assert (header.picker.geometry(), header.start_button.geometry()) == before
        assert header.start_button.sizeHint().width() <= header.start_button.width()


def test_start_button_follows_the_server_of_the_chosen_profile(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine)
    panel.last_profile_id = "coding"
    start = panel.header.start_button
    assert (start.text(), start.isEnabled()) == ("Start", True)
    for state, text in (
        (ServerState.STARTING, "Starting"),
        (ServerState.READY, "Running"),
        (ServerState.STOPPING, "Stopping"),
    ):
        engine.put(server(state=state))
        assert (start.text(), start.isEnabled()) == (text, False)
        assert start.toolTip()
    engine.put(server(state=ServerState.STOPPED))
    assert (start.text(), start.isEnabled()) == ("Start", True)


def test_profile_list_is_a_sound_model_and_never_resets(qtbot: QtBot) -> None:
    engine = Engine()
    model = ProfileList(engine.mirror)
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    resets: list[int] = []
    model.modelReset.connect(lambda: resets.append(1))
    names = _names(model)
    assert names == ["Broken", "Coding assistant", "Demo", "Fast chat"]
    engine.put(Profile("x", "Another", "m"))
    engine.put(Profile("chat", "A chat", LLAMA))
    engine.put(Profile("x", "Zebra", "m"))
    assert _names(model) == ["A chat", "Broken", "Coding assistant", "Demo", "Zebra"]
    engine.mirror.apply(Removed(99, "profile", "demo"))
    assert _names(model) == ["A chat", "Broken", "Coding assistant", "Zebra"]
    assert resets == []
    del tester


def _names(model: QAbstractItemModel) -> list[str]:
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def test_server_02_tile_shows_nine_items(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine, plots=True)
    for _ in range(3):
        engine.sample({"coding": FIGURES})
    tile = tile_of(panel)
    assert tile.name_label.text() == "Coding assistant"
    assert tile.model_label.text() == "Qwen2.5-Coder-32B-Instruct-4bit"
    assert tile.model_label.toolTip() == CODER
    assert tile.pill.text() == "Generating"
    assert tile.time_label.text() == "2 h 14 min"
    figures = {cell.label(): cell.text() for cell in tile.cells.values()}
    assert figures == {"Tokens/s": "21.4", "Memory": "18.9 GB", "CPU": "24 %", "GPU": "87 %"}
    assert tile.tokens_label.text() == "8\u2009123 tokens"
    assert tile.requests_label.text() == "1 request open"
    assert [tile.plots.drawn(column)[-1] for column in range(4)] == pytest.approx(
        [21.4 / 30, 18.9 / 48, 0.24, 0.87]
    )
    for text, signal in (
        ("Stop", panel.stop_requested),
        ("Restart", panel.restart_requested),
        ("Copy URL", panel.copy_url_requested),
    ):
        engine.put(server())
        with qtbot.waitSignal(signal, timeout=DEADLINE_MS) as asked:
            qtbot.mouseClick(button(tile, text), LEFT)
        assert asked.args == ["coding"]
    for text, tab in (("Show log", "log"), ("Try it", "try")):
        with qtbot.waitSignal(panel.inspect_requested, timeout=DEADLINE_MS) as asked:
            qtbot.mouseClick(button(tile, text), LEFT)
        assert asked.args == ["coding", tab]


def test_tile_pressed_stop_waits_for_the_engine_and_focus_stays_in_the_tile(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    stop = button(tile, "Stop")
    stop.setFocus()
    qtbot.mouseClick(stop, LEFT)
    assert not stop.isEnabled()
    assert tile.hasFocus()
    with qtbot.assertNotEmitted(panel.stop_requested):
        qtbot.mouseClick(stop, LEFT)
    engine.put(server(state=ServerState.STOPPING))
    assert not stop.isEnabled()
    engine.put(server(state=ServerState.STOPPED))
    assert (stop.text(), stop.isEnabled(), stop.hasFocus()) == ("Start", True, True)


def test_tile_whose_stop_was_refused_takes_presses_at_once(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(server()))
    stop = button(tile_of(panel), "Stop")
    qtbot.mouseClick(stop, LEFT)
    assert not stop.isEnabled()
    panel.release("coding")
    assert stop.isEnabled()


def test_tile_pressed_stop_that_changes_nothing_can_be_pressed_again(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(server()))
    tile = tile_of(panel)
    qtbot.mouseClick(button(tile, "Stop"), LEFT)
    tile.show_time(time.time() + 60)
    assert button(tile, "Stop").isEnabled()


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"state": ServerState.STARTING, "phase": Phase.SPAWNING}, "Starting"),
        ({"state": ServerState.STARTING, "phase": Phase.LOADING}, "Loading model"),
        ({"state": ServerState.READY}, "Ready"),
        ({"state": ServerState.STOPPING}, "Stopping"),
        ({"state": ServerState.STOPPED}, "Stopped"),
        ({"state": ServerState.FAILED}, "Failed"),
    ],
)
def test_tile_says_its_state_in_words_and_keeps_its_height(
    qtbot: QtBot, fields: dict[str, object], word: str
) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    before = tile.geometry()
    engine.put(server(**fields))
    assert tile.pill.text() == word
    assert tile.geometry() == before
    assert tile.height() == TILE_HEIGHT
    assert word.lower() in tile.accessibleName()


def test_starting_tile_has_cancel_and_tells_how_long_it_takes(qtbot: QtBot) -> None:
    now = time.time()
    engine = Engine(
        server(state=ServerState.STARTING, phase=Phase.LOADING, progress=0.4,
               started_at=now - 12.5, ready_at=None)
    )  # fmt: skip
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    assert tile.button_texts() == ["Cancel"]
    assert tile.time_label.text() == "40% · 12 s"
    with qtbot.waitSignal(panel.stop_requested, timeout=DEADLINE_MS):
        qtbot.mouseClick(button(tile, "Cancel"), LEFT)


def test_failed_tile_shows_reason_and_hint_and_what_can_be_done(qtbot: QtBot) -> None:
    failure = Failure(ErrorCode.START_TIMEOUT, "The model needs 14.1 GB.", "Stop another server.")
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    engine.put(server(state=ServerState.FAILED, failure=failure))
    tile = tile_of(panel)
    assert tile.failure_box.isVisible()
    assert tile.failure_box.text() == "The model needs 14.1 GB.\nStop another server."
    assert not any(cell.isVisible() for cell in tile.cells.values())
    assert tile.accessibleDescription() == "The model needs 14.1 GB. Stop another server."
    assert tile.button_texts() == ["Start again", "Show log", "Dismiss"]
    with qtbot.waitSignal(panel.inspect_requested, timeout=DEADLINE_MS) as asked:
        qtbot.mouseClick(button(tile, "Show log"), LEFT)
    assert asked.args == ["coding", "log"]
    with qtbot.waitSignal(panel.start_requested, timeout=DEADLINE_MS) as asked:
        qtbot.mouseClick(button(tile, "Start again"), LEFT)
    assert asked.args == ["coding"]
    engine.put(server(state=ServerState.FAILED, failure=failure))
    with qtbot.waitSignal(panel.remove_requested, timeout=DEADLINE_MS):
        qtbot.mouseClick(button(tile, "Dismiss"), LEFT)


@pytest.mark.parametrize(
    ("code", "model", "text", "signal", "wanted"),
    [
        ("model_unsupported", "a/b", "Use another Python…", "python_requested", "coding"),
        ("python_unusable", "a/b", "Use another Python…", "python_requested", "coding"),
        ("model_missing", "a/b", "Download…", "model_requested", "a/b"),
        ("model_broken", "a/b", "Download…", "model_requested", "a/b"),
        ("model_missing", "/models/x", "Edit profile…", "edit_requested", "coding"),
        ("option_wrong", "a/b", "Edit profile…", "edit_requested", "coding"),
        ("out_of_memory", "a/b", "Free memory…", "room_requested", "coding"),
    ],
)
def test_failed_tile_has_a_button_for_what_its_hint_says(
    qtbot: QtBot, code: str, model: str, text: str, signal: str, wanted: str
) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    failure = Failure(ErrorCode(code), "It does not work.", "Do something.")
    engine.put(server(state=ServerState.FAILED, failure=failure, model=model))
    tile = tile_of(panel)
    assert tile.button_texts() == ["Start again", text, "Dismiss"]
    with qtbot.waitSignal(getattr(panel, signal), timeout=DEADLINE_MS) as asked:
        qtbot.mouseClick(button(tile, text), LEFT)
    assert asked.args == [wanted]
    # It opens something and changes nothing yet: the buttons take presses at once.
    assert button(tile, "Start again").isEnabled()
    with qtbot.waitSignal(panel.remove_requested, timeout=DEADLINE_MS):
        qtbot.mouseClick(button(tile, "Dismiss"), LEFT)


def test_stopped_tile_stays_with_start_and_remove(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES})
    tile = tile_of(panel)
    engine.put(server(state=ServerState.STOPPED, state_since=time.time() - 200))
    assert tile_of(panel) is tile
    assert tile.isVisible()
    assert tile.time_label.text() == "3 min ago"
    assert [cell.text() for cell in tile.cells.values()] == [UNKNOWN] * 4
    with qtbot.waitSignal(panel.remove_requested, timeout=DEADLINE_MS):
        qtbot.mouseClick(button(tile, "Remove"), LEFT)
    engine.remove("coding")
    assert panel.tile("coding") is None


def test_restart_keeps_the_same_tile_in_the_same_place(qtbot: QtBot) -> None:
    engine = Engine(server("coding"), server("chat", name="Fast chat"))
    panel = panel_of(qtbot, engine, plots=True)
    engine.sample({"coding": FIGURES, "chat": FIGURES})
    tile, place = tile_of(panel), tile_of(panel).geometry()
    now = time.time()
    for fields in (
        {"state": ServerState.STOPPING},
        {"state": ServerState.STARTING, "started_at": now, "ready_at": None},
        {"state": ServerState.READY, "started_at": now, "ready_at": now},
    ):
        engine.put(server(**fields))
        assert tile_of(panel) is tile
        assert tile.isVisible()
        assert tile.geometry() == place
    engine.sample({"coding": FIGURES})
    drawn = tile.plots.drawn(0)
    assert all(isnan(value) for value in drawn[:-1])
    assert not isnan(drawn[-1])


def test_unknown_gpu_is_a_dash_with_the_reason_and_a_gap(qtbot: QtBot) -> None:
    engine = Engine(server(), gpu=False)
    panel = panel_of(qtbot, engine, plots=True)
    engine.sample({"coding": FIGURES | {"gpu_percent": None}})
    engine.sample({"coding": FIGURES | {"gpu_percent": None}})
    cell = tile_of(panel).cells["gpu_percent"]
    assert cell.text() == UNKNOWN
    assert cell.toolTip() == "This computer does not report GPU use for each program."
    assert all(isnan(value) for value in tile_of(panel).plots.drawn(3))


def test_ready_server_without_requests_says_zero_not_stopped(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES | {"tokens_per_s": 0.0, "requests_open": 0.0}})
    tile = tile_of(panel)
    assert tile.pill.text() == "Ready"
    assert tile.cells["tokens_per_s"].text() == "0"
    assert tile.requests_label.text() == "No open requests"


def test_plot_scale_does_not_shrink_while_a_server_runs(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine, plots=True)
    engine.sample({"coding": FIGURES | {"cpu_percent": 390.0}})
    for _ in range(121):
        engine.sample({"coding": FIGURES | {"cpu_percent": 40.0}})
    assert tile_of(panel).plots.drawn(2)[-1] == pytest.approx(0.1)


def test_plots_wait_for_enable_plots_and_keep_their_place(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES})
    tile = tile_of(panel)
    place = tile.plots.geometry()
    assert not tile.plots.has_plots
    panel.enable_plots()
    assert tile.plots.has_plots
    assert tile.plots.geometry() == place


def test_server_03_scroll_offset_stays_through_updates(qtbot: QtBot) -> None:
    servers = many(30)
    engine = Engine(*servers)
    panel = panel_of(qtbot, engine, size=(600, 600), plots=True)
    bar = panel.grid.verticalScrollBar()
    bar.setValue(1234)
    panel.select("s7")
    tile_of(panel, "s7").setFocus()
    for tick in range(500):
        values = {f"s{n}": FIGURES | {"tokens_total": float(tick)} for n in range(30)}
        engine.sample(values)
        if tick % 7 == 0:
            state = (ServerState.READY, ServerState.STOPPED, ServerState.FAILED)[tick % 3]
            engine.put(server(f"s{tick % 30}", name=f"Server {tick % 30}", state=state))
        if tick % 100 == 50:
            engine.put(server(f"new{tick}", name="New below"))
        if tick % 100 == 90:
            engine.remove(f"new{tick - 40}")
        if tick % 20 == 0:
            QApplication.processEvents()
        assert bar.value() == 1234
    assert panel.selected_id() == "s7"
    assert tile_of(panel, "s7").hasFocus()


@pytest.mark.parametrize("width", [600, 1000])
def test_server_03_removal_above_keeps_what_is_seen_in_place(qtbot: QtBot, width: int) -> None:
    engine = Engine(*many(30))
    panel = panel_of(qtbot, engine, size=(width, 600))
    columns = panel.grid.columns()
    bar = panel.grid.verticalScrollBar()
    bar.setValue(1000)
    first = min(
        (t for t in panel.grid.tiles.values() if not t.visibleRegion().isEmpty()),
        key=lambda t: (t.y(), t.x()),
    )
    top = first.y() - bar.value()
    for n in range(columns):
        engine.remove(f"s{n}")
    QApplication.processEvents()
    assert first.y() - bar.value() == top


def test_scroll_at_the_top_stays_at_the_top_when_a_tile_goes(qtbot: QtBot) -> None:
    engine = Engine(*many(10))
    panel = panel_of(qtbot, engine, size=(600, 600))
    engine.remove("s0")
    assert panel.grid.verticalScrollBar().value() == 0


def test_tile_width_does_not_depend_on_the_scroll_bar(qtbot: QtBot) -> None:
    engine = Engine(server("s0"))
    panel = panel_of(qtbot, engine, size=(600, 600))
    before = tile_of(panel, "s0").geometry()
    for extra in many(9):
        engine.put(extra)
    QApplication.processEvents()
    assert panel.grid.verticalScrollBar().isVisible()
    assert tile_of(panel, "s0").geometry() == before


def test_six_tiles_fit_beside_the_models(qtbot: QtBot) -> None:
    engine = Engine(*many(6))
    panel = panel_of(qtbot, engine, size=(1000, 800))
    assert panel.grid.columns() == 2
    assert not panel.grid.verticalScrollBar().isVisible()
    tiles = panel.grid.tiles.values()
    assert all(t.visibleRegion().boundingRect() == t.rect() for t in tiles)


class Paints(QObject):
    """Counts the paint events of the widgets below one."""

    def __init__(self, *roots: QWidget) -> None:
        super().__init__()
        self.count: Counter[QObject] = Counter()
        for root in roots:
            for widget in (root, *root.findChildren(QWidget)):
                widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt
        if event.type() is QEvent.Type.Paint:
            self.count[watched] += 1
        return False


def test_only_what_changed_is_painted(qtbot: QtBot) -> None:
    engine = Engine(server("coding"), server("chat", name="Fast chat"))
    panel = panel_of(qtbot, engine)
    both = {"coding": FIGURES, "chat": FIGURES}
    engine.sample(both)
    QApplication.processEvents()
    coding, chat = tile_of(panel, "coding"), tile_of(panel, "chat")
    panel._timer.stop()
    paints = Paints(panel)
    engine.sample(both)
    QApplication.processEvents()
    assert not paints.count
    engine.sample(both | {"chat": FIGURES | {"cpu_percent": 99.0}})
    QApplication.processEvents()
    assert paints.count[chat.cells["cpu_percent"]] == 1
    assert paints.count[chat.cells["memory_bytes"]] == 0
    assert paints.count[coding] == 0
    assert paints.count[panel.memory_strip] == 0
    assert not any(coding.isAncestorOf(w) for w in paints.count if isinstance(w, QWidget))


def test_tile_out_of_sight_is_left_alone_until_it_is_scrolled_into_view(qtbot: QtBot) -> None:
    engine = Engine(*many(20))
    panel = panel_of(qtbot, engine, size=(600, 600), plots=True)
    for _ in range(2):
        engine.sample({f"s{n}": FIGURES for n in range(20)})
    last = tile_of(panel, "s19")
    assert last.cells["cpu_percent"].text() != "24 %"
    assert not last.plots.has_plots
    bar = panel.grid.verticalScrollBar()
    bar.setValue(bar.maximum())
    assert last.cells["cpu_percent"].text() == "24 %"
    assert last.plots.has_plots


def test_hidden_panel_takes_no_figures_and_catches_up_when_shown(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    panel.hide()
    assert not panel._timer.isActive()
    engine.sample({"coding": FIGURES})
    assert tile_of(panel).cells["cpu_percent"].text() != "24 %"
    panel.show()
    qtbot.waitUntil(
        lambda: tile_of(panel).cells["cpu_percent"].text() == "24 %", timeout=DEADLINE_MS
    )


def test_uptime_moves_on_between_two_samples(qtbot: QtBot) -> None:
    engine = Engine(server(ready_at=time.time() - 5.5))
    panel = panel_of(qtbot, engine)
    tile = tile_of(panel)
    assert tile.time_label.text() == "5 s"
    qtbot.waitUntil(lambda: tile.time_label.text() != "5 s", timeout=DEADLINE_MS)


def test_uptime_uses_the_clock_of_the_engine(qtbot: QtBot) -> None:
    hour = 3600.0
    engine = Engine(server(ready_at=time.time() - hour - 60.5))
    panel = panel_of(qtbot, engine)
    machine = MachineSample(64 * GIB, 32 * GIB)
    engine.mirror.apply(Samples(9, time.time() - hour, machine, {"coding": FIGURES}))
    assert tile_of(panel).time_label.text() == "1 min 00 s"


def test_first_tile_is_selected_and_selection_follows_click_and_focus(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine)
    assert panel.selected_id() is None
    engine.put(server("coding"))
    engine.put(server("chat", name="Fast chat"))
    assert panel.selected_id() == "coding"
    qtbot.mouseClick(tile_of(panel, "chat"), LEFT)
    assert panel.selected_id() == "chat"
    assert tile_of(panel, "chat").is_selected()
    assert not tile_of(panel, "coding").is_selected()
    button(tile_of(panel, "coding"), "Restart").setFocus()
    assert panel.selected_id() == "coding"
    engine.remove("coding")
    assert panel.selected_id() == "chat"
    assert tile_of(panel, "chat").hasFocus()


def test_started_profile_becomes_the_selected_tile(qtbot: QtBot) -> None:
    engine = Engine(server("coding"))
    panel = panel_of(qtbot, engine)
    panel.last_profile_id = "chat"
    qtbot.mouseClick(panel.header.start_button, LEFT)
    engine.put(server("chat", name="Fast chat", state=ServerState.STARTING))
    assert panel.selected_id() == "chat"


@pytest.mark.parametrize("existing", [True, False])
def test_started_server_is_scrolled_to_and_others_are_not(qtbot: QtBot, existing: bool) -> None:
    last = server("coding", state=ServerState.STOPPED)
    engine = Engine(*many(6), *([last] if existing else []))
    panel = panel_of(qtbot, engine, size=(590, 540))
    bar = panel.grid.verticalScrollBar()
    engine.put(server("chat", name="Fast chat", state=ServerState.STARTING))
    assert bar.value() == 0
    panel.last_profile_id = "coding"
    qtbot.mouseClick(panel.header.start_button, LEFT)
    engine.put(server("coding", state=ServerState.STARTING))
    tile = tile_of(panel)
    assert tile.visibleRegion().boundingRect() == tile.rect()
    assert tile.is_selected()
    bar.setValue(0)
    engine.put(server("coding"))
    assert bar.value() == 0


def test_model_that_was_run_shows_its_server(qtbot: QtBot) -> None:
    engine = Engine(*many(6))
    panel = panel_of(qtbot, engine, size=(590, 540))
    panel.expect_model(LLAMA)
    engine.put(server("chat", model=LLAMA, state=ServerState.STARTING))
    tile = tile_of(panel, "chat")
    assert tile.visibleRegion().boundingRect() == tile.rect()
    assert panel.selected_id() == "chat"


def test_tiles_reach_down_to_the_edge_while_no_other_server_is_listed(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(*many(6)), size=(590, 540))
    assert panel.grid.mapTo(panel, panel.grid.rect().bottomLeft()).y() == panel.height() - 1


def test_keyboard_reaches_tiles_and_arrows_move_between_them(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(*many(4)))
    panel.board.tools.rows_button.setFocus()
    qtbot.keyClick(panel.board.tools.rows_button, Qt.Key.Key_Tab)
    assert tile_of(panel, "s0").hasFocus()
    qtbot.keyClick(tile_of(panel, "s0"), Qt.Key.Key_Right)
    assert tile_of(panel, "s1").hasFocus()
    qtbot.keyClick(tile_of(panel, "s1"), Qt.Key.Key_Down)
    assert tile_of(panel, "s3").hasFocus()
    assert panel.selected_id() == "s3"
    qtbot.keyClick(tile_of(panel, "s3"), Qt.Key.Key_Home)
    assert tile_of(panel, "s0").hasFocus()
    qtbot.keyClick(tile_of(panel, "s0"), Qt.Key.Key_End)
    assert tile_of(panel, "s3").hasFocus()
    qtbot.keyClick(tile_of(panel, "s3"), Qt.Key.Key_Tab)
    assert button(tile_of(panel, "s3"), "Stop").hasFocus()


def test_tile_speaks_sentences(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES})
    tile = tile_of(panel)
    assert tile.accessibleName() == f"Coding assistant, server, generating. Model {CODER}."
    assert tile.accessibleDescription() == (
        "Tokens/s 21.4, Memory 18.9 GB, CPU 24 %, GPU 87 %. 8\u2009123 tokens. 1 request open."
    )
    for b in tile.findChildren(QPushButton):
        assert b.accessibleName() or not b.isVisible()


def test_empty_panel_says_what_to_do_and_offers_the_demo(qtbot: QtBot) -> None:
    engine = Engine()
    panel = panel_of(qtbot, engine)
    with qtbot.waitSignal(panel.start_requested, timeout=DEADLINE_MS) as started:
        qtbot.mouseClick(button(panel, "Start the demo"), LEFT)
    assert started.args == ["demo"]
    engine.put(server("demo", name="Demo"))
    assert panel.grid.isVisible()
    engine.remove("demo")
    assert button(panel, "Start the demo").isVisible()


@pytest.mark.parametrize("used", [10.04, 32.46, 32.54, 63.99])
def test_memory_shares_add_up_to_the_written_total(used: float) -> None:
    names = [("a", 1.26 * GIB, 0), ("b", 2.34 * GIB, 1), ("c", 3.35 * GIB, 2)]
    shares = shares_of(names, used * GIB, "Other apps")
    assert [share.text for share in shares[:3]] == ["1.3 GB", "2.3 GB", "3.4 GB"]
    assert sum(float(share.text.split()[0]) for share in shares) == pytest.approx(round(used, 1))
    assert sum(share.used_bytes or 0 for share in shares) == pytest.approx(used * GIB)


def test_memory_strip_names_every_server_and_other_apps(qtbot: QtBot) -> None:
    engine = Engine(server("coding"), server("chat", name="Fast chat"))
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES, "chat": FIGURES | {"memory_bytes": 2.4 * GIB}})
    strip = panel.memory_strip
    assert strip.legend_texts() == [
        "Coding assistant 18.9 GB", "Fast chat 2.4 GB", "Other apps 11.2 GB",
    ]  # fmt: skip
    assert strip.total_text() == "32.5 of 64 GB"
    assert strip.accessibleName() == "Unified memory: 32.5 of 64 GB"


def test_memory_strip_says_what_the_tile_says_and_nothing_it_does_not_know(qtbot: QtBot) -> None:
    starting = server("chat", name="Fast chat", state=ServerState.STARTING)
    engine = Engine(server("coding"), starting)
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES | {"memory_bytes": 86.2 * 2**20}, "chat": {}}, 1.9 * GIB)
    texts = panel.memory_strip.legend_texts()
    assert texts == ["Coding assistant 86 MB", f"Fast chat {UNKNOWN}", "Other apps 1.8 GB"]
    assert tile_of(panel).cells["memory_bytes"].text() == "86 MB"


def test_memory_strip_is_called_memory_without_metal(qtbot: QtBot) -> None:
    engine = Engine(server(), gpu=False)
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES})
    assert panel.memory_strip.accessibleName() == "Memory: 32.5 of 64 GB"


def test_memory_legend_counts_the_servers_it_has_no_room_for(qtbot: QtBot) -> None:
    engine = Engine(*many(12))
    panel = panel_of(qtbot, engine, size=(600, 600))
    engine.sample({f"s{n}": FIGURES | {"memory_bytes": GIB * 1.0} for n in range(12)})
    texts = panel.memory_strip.legend_texts()
    assert texts[-1] == "Other apps 20.5 GB"
    assert texts[-2] == f"+{12 - (len(texts) - 2)} more"
    assert len(panel.memory_strip.shares()) == 13


def test_server_keeps_its_colour_when_another_goes(qtbot: QtBot) -> None:
    engine = Engine(*many(3))
    panel = panel_of(qtbot, engine)
    strip = panel.memory_strip
    before = strip.colour_index("s2")
    engine.remove("s0")
    assert strip.colour_index("s2") == before
    engine.put(server("s9", name="Newcomer"))
    assert strip.colour_index("s9") == 0


def test_theme_change_repaints_tiles_in_the_new_colours(qtbot: QtBot) -> None:
    panel = panel_of(qtbot, Engine(server()))
    tile = tile_of(panel)
    try:
        theme().set_mode("dark")
        middle = tile.grab().toImage().pixelColor(tile.width() // 2, 12)
        assert middle == theme().color("card")
    finally:
        theme().set_mode("system")


def test_engine_switch_gives_its_name_up_before_the_panel_is_held_wide(qtbot: QtBot) -> None:
    theme().set_mode("light")
    panel = panel_of(qtbot, Engine(), size=(1000, 600))
    switch = panel.header.engine_switch
    assert switch.text() == "This computer"
    panel.resize(600, 600)
    QApplication.processEvents()
    assert panel.width() < 670
    assert switch.text() == ""
    panel.resize(1000, 600)
    QApplication.processEvents()
    assert switch.width() >= switch.sizeHint().width()
