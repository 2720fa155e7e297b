"""The real window with the real engine and the demo model: what the user asked for, by its id."""

import re
import threading
import time
import tomllib
from collections import Counter
from typing import Any

import psutil
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QSortFilterProxyModel, Qt, QThread
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QCompleter,
    QLabel,
    QListView,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QWidget,
)
from window_kit import LEFT, TINY, Desk, Heartbeat, is_gone, write_profile

from app.gui.dialogs.about import AboutDialog
from app.gui.dialogs.profile_form import ProfileForm
from app.gui.dialogs.settings import SettingsDialog
from app.gui.main_window.commands import MENUS
from app.gui.mirror import LinkState
from app.gui.models.model_list import Role
from app.gui.panels.server_tile import ServerTile
from app.gui.workers.metrics_feed import MetricsFeed
from app.gui.workers.server_launcher import Launched, Outcome
from app.wire.events import SLOW_S, Samples
from app.wire.nouns import Server, ServerState

READY, STOPPED, FAILED = ServerState.READY, ServerState.STOPPED, ServerState.FAILED
DASH = "\N{EN DASH}"


def figures(tile: ServerTile) -> dict[str, str]:
    return {cell.label(): cell.text() for cell in tile.cells.values()}


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text) or 0)


def test_card_01_window_is_a_native_main_window_with_two_halves(desk: Desk) -> None:
    assert isinstance(desk.window, QMainWindow)
    assert desk.window.windowTitle() == "MLX Model Manager"
    models, servers = desk.window.parts.models_panel, desk.window.parts.servers_panel
    assert models.isVisible()
    assert servers.isVisible()
    assert models.geometry().right() <= servers.geometry().left()


def test_card_02_models_are_a_list_view_on_a_filter_proxy(desk: Desk) -> None:
    view = desk.window.parts.models_panel.view
    assert isinstance(view, QListView)
    proxy = view.model()
    assert isinstance(proxy, QSortFilterProxyModel)
    assert proxy.sourceModel() is not None
    assert proxy.rowCount() == len(desk.mirror.models)
    desk.keys("Ctrl+F")
    desk.write("tiny chat")
    found = [proxy.index(row, 0).data(Role.MODEL) for row in range(proxy.rowCount())]
    # Below stands what the hub says, which these tests do not reach.
    assert [model.name for model in found if model is not None] == ["Tiny-Chat-4bit"]


def test_card_03_profiles_are_a_combo_box_with_a_completer(desk: Desk) -> None:
    assert isinstance(desk.picker, QComboBox)
    assert desk.picker.isEditable()
    completer = desk.picker.completer()
    assert isinstance(completer, QCompleter)
    assert completer.filterMode() == Qt.MatchFlag.MatchContains
    assert [desk.picker.itemText(n) for n in range(desk.picker.count())] == ["Demo"]


def test_models_01_search_stays_in_place_while_the_list_scrolls(desk: Desk) -> None:
    panel = desk.window.parts.models_panel
    search, bar = panel.search, panel.view.verticalScrollBar()
    place = search.mapTo(desk.window, search.rect().topLeft())
    assert bar.maximum() > 0
    desk.keys("Ctrl+1")
    desk.keys("End")
    desk.until(lambda: bar.value() == bar.maximum())
    assert search.isVisible()
    assert search.visibleRegion().boundingRect() == search.rect()
    assert search.mapTo(desk.window, search.rect().topLeft()) == place
    desk.keys("Ctrl+F")
    assert QApplication.focusWidget() is search
    desk.write("no such model")
    assert search.mapTo(desk.window, search.rect().topLeft()) == place
    assert search.isVisible()


def test_models_03_tiles_show_no_progress_bar(desk: Desk) -> None:
    assert desk.mirror.models
    assert not desk.mirror.downloads
    assert not desk.window.findChildren(QProgressBar)
    view = desk.window.parts.models_panel.view
    spoken = [
        str(view.model().index(row, 0).data(Qt.ItemDataRole.AccessibleTextRole))
        for row in range(view.model().rowCount())
    ]
    assert all(spoken)
    assert not [text for text in spoken if "%" in text or "download" in text.lower()]


@pytest.mark.parametrize("part", ["tiny-ch", "HELPER"])
def test_server_01_profile_is_found_by_name_and_model_and_started(desk: Desk, part: str) -> None:
    file = write_profile(desk.home, "writer", "Writing helper", TINY)
    desk.until(lambda: "writer" in desk.mirror.profiles)
    desk.keys("Ctrl+L")
    desk.write(part)
    popup = desk.picker.completer().popup()
    desk.until(popup.isVisible)
    rows = popup.model()
    assert [rows.index(r, 0).data() for r in range(rows.rowCount())] == ["Writing helper"]
    desk.keys("Down")
    desk.keys("Return")
    assert not popup.isVisible()
    assert desk.picker.currentText() == "Writing helper"
    if part == "HELPER":
        desk.keys("Return")
    else:
        desk.click(desk.panel.header, "Start")
    desk.until_state("writer", READY)
    tile = desk.tile("writer")
    assert tile.name_label.text() == "Writing helper"
    assert tile.model_label.text() == "Tiny-Chat-4bit"
    assert tile.is_selected()
    assert desk.panel.header.start_button.text() == "Running"
    file.unlink()
    desk.until(lambda: "writer" not in desk.mirror.profiles)


def test_server_01_profile_is_chosen_with_the_mouse(desk: Desk) -> None:
    desk.picker.setCurrentIndex(-1)
    arrow = QPoint(desk.picker.width() - 12, desk.picker.height() // 2)
    desk.qtbot.mouseClick(desk.picker, LEFT, pos=arrow)
    view = desk.picker.view()
    desk.until(view.isVisible)
    row = desk.picker.findText("Demo")
    # A combo box takes a click right after the one that opened it for the end of that one.
    desk.qtbot.wait(QApplication.doubleClickInterval() + 50)
    place = view.visualRect(view.model().index(row, 0)).center()
    desk.qtbot.mouseMove(view.viewport(), place)
    desk.qtbot.mouseClick(view.viewport(), LEFT, pos=place)
    desk.until(lambda: desk.picker.currentText() == "Demo")
    assert desk.panel.header.start_button.isEnabled()


def test_server_02_tile_shows_nine_live_items_and_stop_and_restart_work(desk: Desk) -> None:
    tile = desk.start("Demo", "demo")
    assert tile.name_label.text() == "Demo"
    assert tile.model_label.text() == "demo"
    desk.until(lambda: figures(tile)["CPU"] != DASH)
    idle = figures(tile)
    assert re.fullmatch(r"\d+ MB", idle["Memory"])
    assert re.fullmatch(r"\d+ %", idle["CPU"])
    if desk.mirror.engine is not None and not desk.mirror.engine.machine.has_gpu:
        assert idle["GPU"] == DASH
        assert tile.cells["gpu_percent"].toolTip() == (
            "This computer does not report GPU use for each program."
        )
    uptime, tokens = tile.time_label.text(), tile.tokens_label.text()
    assert re.fullmatch(r"\d+ s", uptime)
    seen: dict[str, set[str]] = {}

    def has_moved() -> bool:
        for label, text in figures(tile).items():
            seen.setdefault(label, set()).add(text)
        rates = [float(t) for t in seen["Tokens/s"] if t != DASH]
        return max(rates, default=0) > 0 and tile.tokens_label.text() != tokens

    assert desk.chat("Demo", tokens=200)["usage"]["completion_tokens"] > 0
    desk.until(has_moved)
    desk.until(lambda: has_moved() and all(len(seen[k]) > 1 for k in ("Tokens/s", "CPU")))
    desk.until(lambda: tile.time_label.text() != uptime)
    assert number(tile.tokens_label.text()) > number(tokens)
    desk.until(lambda: tile.plots.has_plots)
    assert tile.button_texts() == ["Stop", "Restart"]

    first = psutil.Process(desk.pid("demo"))
    desk.click(tile, "Restart")
    desk.until(lambda: desk.state("demo") is READY and desk.pid("demo") != first.pid)
    assert is_gone(first)
    assert desk.tile("demo") is tile
    second = psutil.Process(desk.pid("demo"))
    desk.click(tile, "Stop")
    desk.until_state("demo", STOPPED)
    assert is_gone(second)
    assert desk.tile("demo") is tile
    assert tile.button_texts() == ["Start", "Remove"]
    assert figures(tile)["Memory"] == DASH


def test_server_03_scroll_offset_stays_through_live_updates(desk: Desk) -> None:
    for n in range(12):
        write_profile(desk.home, f"gone{n}", f"Gone {n:02}", f"/nowhere/model-{n}")
    desk.until(lambda: len(desk.mirror.profiles) >= 13)
    desk.start("Demo", "demo")
    for n in range(11):
        desk.window.parts.session.start(f"gone{n}")
        desk.until_state(f"gone{n}", FAILED)
    bar = desk.panel.grid.verticalScrollBar()
    desk.until(lambda: bar.maximum() > 0)
    bar.setValue(bar.maximum() // 2 + 7)
    place, moves, ticks = bar.value(), [], []
    bar.valueChanged.connect(moves.append)
    desk.mirror.sampled.connect(ticks.append)
    desk.chat("Demo", tokens=200)
    desk.window.parts.session.start("gone11")
    desk.until_state("gone11", FAILED)
    desk.window.parts.session.restart("demo")
    desk.until(lambda: desk.state("demo") is not READY)
    desk.until_state("demo", READY)
    desk.window.parts.session.stop("demo")
    desk.until_state("demo", STOPPED)
    desk.until(lambda: len(ticks) >= 3)
    assert bar.value() == place
    assert moves == []
    bar.valueChanged.disconnect(moves.append)
    desk.mirror.sampled.disconnect(ticks.append)
    for n in range(12):
        (desk.home / "profiles" / f"gone{n}.toml").unlink()


def test_card_04_launcher_and_feed_run_on_qthreads(desk: Desk) -> None:
    launched: list[Launched] = []
    told_in: list[QThread] = []
    signal = desk.window.parts.session.launches.launched
    signal.connect(launched.append)
    signal.connect(lambda _: told_in.append(QThread.currentThread()))
    gui = QApplication.instance()
    assert gui is not None
    desk.start("Demo", "demo")
    desk.until(lambda: launched)
    assert launched[0].outcome is Outcome.READY
    assert isinstance(launched[0].thread, QThread)
    assert launched[0].thread is not gui.thread()
    # What the worker found out is used in the thread of the window.
    assert told_in == [gui.thread()]
    feeds = [w for w in desk.window.parts.session.crew.workers() if isinstance(w, MetricsFeed)]
    assert len(feeds) == 1
    assert isinstance(feeds[0], QThread)
    assert feeds[0].isRunning()
    assert feeds[0] is not gui.thread()
    applied_in: list[QThread] = []
    desk.mirror.sampled.connect(lambda _: applied_in.append(QThread.currentThread()))
    desk.until(lambda: applied_in)
    assert set(applied_in) == {gui.thread()}
    assert threading.current_thread() is threading.main_thread()


def test_minimised_window_gets_figures_rarely_and_at_once_when_it_is_shown(desk: Desk) -> None:
    times: list[float] = []
    links: list[LinkState] = []

    def note(samples: Samples) -> None:
        times.append(samples.at)

    desk.mirror.sampled.connect(note)
    desk.mirror.link_changed.connect(links.append)
    pace = desk.window.parts.dashboard.pace
    usual_ms = pace.grace.interval()
    pace.grace.setInterval(0)
    desk.window.showMinimized()
    desk.until(lambda: len(times) > 1 and times[-1] - times[-2] > SLOW_S - 1, 4 * SLOW_S)
    desk.window.showNormal()
    shown_at = time.time()
    desk.until(lambda: times[-1] - times[-2] < 2)
    # Well before the next rare ones.
    assert times[-2] - shown_at < SLOW_S - 1
    # The stream is opened anew each time, which nobody needs to know.
    assert not links
    pace.grace.setInterval(usual_ms)
    desk.mirror.sampled.disconnect(note)
    desk.mirror.link_changed.disconnect(links.append)


class PaintCount(QObject):
    """Counts paint events by widget."""

    def __init__(self, widgets: dict[str, QWidget]) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._names = {widget: name for name, widget in widgets.items()}
        for widget in self._names:
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.Paint and watched in self._names:
            self.counts[self._names[watched]] += 1
        return False


def test_bugfix_04_updates_repaint_only_what_changed(desk: Desk) -> None:
    tile = desk.start("Demo", "demo")
    desk.until(lambda: tile.plots.has_plots)
    ticks: list[object] = []
    desk.mirror.sampled.connect(ticks.append)
    desk.until(lambda: len(ticks) >= 2)
    panel = desk.window.parts.models_panel
    watched = {
        "name": tile.name_label,
        "model": tile.model_label,
        "gpu": tile.cells["gpu_percent"],
        "models": panel.view.viewport(),
        "search": panel.search,
        "picker": desk.picker,
        "status": desk.window.parts.status,
    }
    ticks.clear()
    paints = PaintCount(watched)
    QApplication.processEvents()
    paints.counts.clear()
    desk.until(lambda: len(ticks) >= 4)
    assert dict(paints.counts) == {}
    desk.mirror.sampled.disconnect(ticks.append)


def test_start_of_a_missing_model_shows_reason_and_hint_on_its_tile(desk: Desk) -> None:
    file = write_profile(desk.home, "lost", "Lost model", "/nowhere/at/all")
    desk.until(lambda: "lost" in desk.mirror.profiles)
    desk.choose("lost model")
    desk.keys("Ctrl+Return")
    desk.until_state("lost", FAILED)
    tile = desk.tile("lost")
    assert tile.failure_box.isVisible()
    assert tile.failure_box.text() == (
        "The model folder /nowhere/at/all does not exist.\nChoose another folder in the profile."
    )
    assert tile.button_texts() == ["Start again", "Edit profile…", "Dismiss"]
    # The tile says it; a notice would say it twice.
    assert desk.window.parts.notice.text == ""
    desk.click(tile, "Dismiss")
    desk.until(lambda: desk.panel.tile("lost") is None)
    file.unlink()
    desk.until(lambda: "lost" not in desk.mirror.profiles)


def test_broken_profile_is_shown_with_its_line_and_cannot_be_started(desk: Desk) -> None:
    file = desk.home / "profiles" / "broken.toml"
    text = 'schema = 1\nname = "Broken one"\nmodel = "demo"\n[options]\nmax_tokens = "many"\n'
    file.write_text(text)
    desk.until(lambda: "broken" in desk.mirror.profiles)
    desk.choose("broken")
    notice, start = desk.panel.header.notice, desk.panel.header.start_button
    assert notice.isVisible()
    assert "(line 5)" in notice.message_label.text()
    assert "max_tokens" in notice.message_label.text()
    assert notice.path_label.text() == str(file)
    assert not start.isEnabled()
    assert "line 5" in start.toolTip()
    desk.keys("Ctrl+Return")
    desk.keys("Return")
    desk.qtbot.mouseClick(start, LEFT)
    ticks: list[object] = []
    desk.mirror.sampled.connect(ticks.append)
    desk.until(lambda: ticks)
    assert desk.state("broken") is None
    assert file.read_text() == text
    file.unlink()
    desk.until(lambda: "broken" not in desk.mirror.profiles)


def test_new_profile_form_saves_a_file_and_says_when_a_name_is_taken(desk: Desk) -> None:
    desk.keys("Ctrl+N")
    desk.until(lambda: desk.has_dialog(ProfileForm))
    form = desk.dialog(ProfileForm)
    desk.until(form.isActiveWindow)
    desk.qtbot.keyClicks(form.name_field, "demo")
    line = form.model_field.lineEdit()
    assert line is not None
    desk.qtbot.keyClicks(line, TINY)
    desk.qtbot.mouseClick(form.save_button, LEFT)
    desk.until(lambda: form.error_label.text())
    assert form.error_label.text() == (
        "There is already a profile named “Demo”. Choose another name."
    )
    form.name_field.selectAll()
    desk.qtbot.keyClicks(form.name_field, "Night shift")
    desk.qtbot.mouseClick(form.save_button, LEFT)
    desk.until(lambda: not desk.has_dialog(ProfileForm))
    file = desk.home / "profiles" / "night-shift.toml"
    saved = tomllib.loads(file.read_text())
    assert (saved["name"], saved["model"]) == ("Night shift", TINY)
    desk.until(lambda: desk.picker.currentText() == "Night shift")
    file.unlink()
    desk.until(lambda: "night-shift" not in desk.mirror.profiles)


def test_run_on_an_installed_model_makes_a_profile_and_starts_it(desk: Desk) -> None:
    panel = desk.window.parts.models_panel
    desk.keys("Ctrl+F")
    desk.write("tiny")
    desk.keys("Down")
    assert QApplication.focusWidget() is panel.view
    desk.keys("Ctrl+Shift+Return")
    desk.until_state("tiny-chat-4bit", READY)
    saved = tomllib.loads((desk.home / "profiles" / "tiny-chat-4bit.toml").read_text())
    assert saved["model"] == TINY
    assert desk.tile("tiny-chat-4bit").model_label.text() == "Tiny-Chat-4bit"
    assert desk.picker.currentText() == "Tiny-Chat-4bit"
    assert desk.chat("Tiny-Chat-4bit", tokens=8)["choices"]
    index = panel.view.model().index(0, 0)
    assert index.data(Role.ACTIVITY) == READY
    desk.window.parts.session.stop("tiny-chat-4bit")
    desk.until_state("tiny-chat-4bit", STOPPED)
    # A second Run starts the same profile.
    desk.keys("Ctrl+1")
    desk.keys("Ctrl+Shift+Return")
    desk.until_state("tiny-chat-4bit", READY)
    (desk.home / "profiles" / "tiny-chat-4bit.toml").unlink()


def test_gui_thread_is_never_blocked_during_start_traffic_and_stop(desk: Desk) -> None:
    with Heartbeat() as heart:
        desk.start("Demo", "demo")
        desk.chat("Demo", tokens=100)
        desk.window.parts.session.stop("demo")
        desk.until_state("demo", STOPPED)
    # 40 to 90 ms here; a call of the engine in this thread would add seconds.
    assert heart.longest_ms < 1500


def test_start_that_is_cancelled_ends_the_process_and_leaves_a_stopped_tile(desk: Desk) -> None:
    # By the signal: a look every few milliseconds may miss a state that lasts less than a second.
    starting: list[Server] = []

    def note(server: Server) -> None:
        if server.state is ServerState.STARTING and server.pid is not None:
            starting.append(server)

    desk.mirror.server_changed.connect(note)
    desk.choose("Demo")
    desk.keys("Ctrl+Return")
    desk.until(lambda: starting)
    desk.mirror.server_changed.disconnect(note)
    process = psutil.Process(desk.pid("demo"))
    desk.click(desk.tile("demo"), "Cancel")
    desk.until_state("demo", STOPPED)
    desk.until(lambda: is_gone(process))
    assert desk.window.parts.notice.text == ""


def test_card_08_every_key_is_used_once_and_none_is_ambiguous(desk: Desk) -> None:
    keys = Counter(c.keys for _, commands in MENUS for c in commands if c.keys)
    assert [key for key, count in keys.items() if count > 1] == []


def test_card_08_shortcuts_reach_search_picker_and_halves(desk: Desk) -> None:
    panel = desk.window.parts.models_panel
    for keys, widget in (
        ("Ctrl+F", panel.search),
        ("Ctrl+L", desk.picker),
        ("Ctrl+1", panel.view),
        ("Ctrl+2", desk.picker),
    ):
        desk.keys(keys)
        focus = QApplication.focusWidget()
        assert focus is widget or focus is desk.picker.lineEdit(), keys


def test_card_08_shortcuts_open_forms_and_windows(desk: Desk) -> None:
    desk.choose("Demo")
    for keys, kind in (
        ("Ctrl+N", ProfileForm),
        ("Ctrl+E", ProfileForm),
        ("Ctrl+,", SettingsDialog),
    ):
        desk.keys(keys)
        desk.until(lambda kind=kind: desk.has_dialog(kind))
        dialog = desk.dialog(kind)
        desk.until(dialog.isActiveWindow)
        desk.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
        desk.until(lambda kind=kind: not desk.has_dialog(kind))
    desk.window.parts.actions_by_id["about"].trigger()
    desk.until(lambda: desk.has_dialog(AboutDialog))


def test_card_08_shortcuts_start_restart_log_copy_stop_and_remove(desk: Desk) -> None:
    desk.choose("Demo")
    assert not desk.window.parts.actions_by_id["stop"].isEnabled()
    desk.keys("Ctrl+Return")
    desk.until_state("demo", READY)
    desk.keys("Ctrl+Shift+C")
    engine = desk.mirror.engine
    assert engine is not None
    assert QApplication.clipboard().text() == f"{engine.gateway_url}/v1"
    desk.keys("Ctrl+Shift+L")
    page: Any = desk.window.parts.inspector.page
    assert (page.title, page.tab) == ("Demo", "log")
    lines = page.current().lines
    desk.until(lambda: any("Starting httpd" in text for text in lines.visible_texts()))
    desk.keys("Escape")
    assert desk.window.parts.inspector.page is None
    first = desk.pid("demo")
    desk.keys("Ctrl+R")
    desk.until(lambda: desk.state("demo") is READY and desk.pid("demo") != first)
    desk.keys("Ctrl+Shift+.")
    desk.until_state("demo", STOPPED)
    desk.window.parts.actions_by_id["remove"].trigger()
    desk.until(lambda: desk.panel.tile("demo") is None)


def test_status_line_names_engine_address_and_key_state(desk: Desk) -> None:
    engine = desk.mirror.engine
    assert engine is not None
    assert desk.mirror.link is LinkState.LIVE
    texts = [label.text() for label in desk.window.parts.status.findChildren(QLabel)]
    assert any(text.startswith("Engine running on") for text in texts)
    assert "This computer only, no key" in texts
    address = desk.window.parts.status.findChildren(QPushButton)[0]
    assert address.text().strip() == f"{engine.gateway_url}/v1"
    desk.qtbot.mouseClick(address, LEFT)
    assert QApplication.clipboard().text() == f"{engine.gateway_url}/v1"
    assert desk.window.parts.notice.text == f"Copied {engine.gateway_url}/v1"


def test_restart_while_a_start_is_under_way_is_not_lost(desk: Desk) -> None:
    desk.choose("Demo")
    desk.click(desk.panel.header, "Start")
    desk.until(lambda: desk.state("demo") and desk.mirror.servers["demo"].pid is not None)
    first = desk.pid("demo")
    desk.keys("Ctrl+R")
    desk.until(lambda: desk.state("demo") is READY and desk.pid("demo") != first)


def test_restart_in_the_moment_of_ready_is_not_lost(desk: Desk) -> None:
    first: list[int] = []

    def press(server: Server) -> None:
        if server.state is READY and not first:
            first.append(desk.pid("demo"))
            desk.window.parts.session.restart("demo")

    desk.mirror.server_changed.connect(press)
    try:
        desk.choose("Demo")
        desk.click(desk.panel.header, "Start")
        desk.until(lambda: first and desk.state("demo") is READY and desk.pid("demo") != first[0])
    finally:
        desk.mirror.server_changed.disconnect(press)


def test_start_after_a_cancelled_start_is_not_lost_and_a_later_cancel_counts(desk: Desk) -> None:
    session, mirror = desk.window.parts.session, desk.mirror
    desk.choose("Demo")
    desk.click(desk.panel.header, "Start")
    desk.until(lambda: desk.state("demo") and mirror.servers["demo"].pid is not None)
    first = desk.pid("demo")
    session.stop("demo")
    session.launch("demo")
    desk.until(lambda: desk.state("demo") is READY and desk.pid("demo") != first)
    second = desk.pid("demo")
    session.restart("demo")
    session.restart("demo")
    session.stop("demo")
    desk.until(lambda: desk.state("demo") is STOPPED)
    desk.until(lambda: not session.launches.are_under_way())
    assert desk.state("demo") is STOPPED
    assert not psutil.pid_exists(second)
