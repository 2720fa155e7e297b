"""Starts that do not fit: the preview in the memory strip, the question, and dropped models."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from panel_kit import CODER, FIGURES, GIB, LEFT, LLAMA, Engine, panel_of, server
from patience import DEADLINE_MS
from PySide6.QtCore import QByteArray, QEvent, QMimeData, QPointF, Qt
from PySide6.QtGui import QAction, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.gui.dialogs.start_plan import StartPlanDialog
from app.gui.main_window import starting as starting_module
from app.gui.main_window.dashboard import name_commands
from app.gui.main_window.starting import Starting
from app.gui.models.model_list import MIME
from app.gui.panels.servers_panel import ServersPanel
from app.gui.widgets import notice_bar
from app.gui.widgets.notice_bar import NoticeBar
from app.wire.errors import AppError, ErrorCode
from app.wire.events import Upsert
from app.wire.fit import fit
from app.wire.hub import Verdict
from app.wire.nouns import Model, ModelSource, Profile, ServerState
from app.wire.plan import StartPlan
from app.wire.shape import ModelShape

TOO_BIG = StartPlan(
    "chat", Verdict.TOO_BIG, "It needs 30.0 GB, 29.1 of 48.0 GB are free.", 32_768,
    weights_bytes=28 * GIB, cache_bytes=GIB, runtime_bytes=GIB, needed_bytes=30 * GIB,
    others_bytes={"coding": int(18.9 * GIB)}, limit_bytes=48 * GIB, stop_first=("coding",),
)  # fmt: skip
FITS = StartPlan("chat", Verdict.FITS, "It fits.", 32_768, needed_bytes=GIB, limit_bytes=48 * GIB)


class Heard:
    """A signal that keeps what it was given."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def emit(self, value: object) -> None:
        self.heard.append(value)


class FakeSession:
    """Answers the one question of these tests when the test says so."""

    connection = object()

    def __init__(self, engine: Engine) -> None:
        self.mirror = engine.mirror
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.answer: Callable[[StartPlan], object] = lambda _plan: None
        self.failed, self.refused = Heard(), Heard()
        self.refuse: Callable[[AppError], object] = lambda _error: None

    def call(self, _name: str, _work: Any, on_success: Any, on_failure: Any = None) -> None:
        self.answer, self.refuse = on_success, on_failure

    def launch(self, profile_id: str) -> None:
        self.started.append(profile_id)

    def stop(self, server_id: str) -> None:
        self.stopped.append(server_id)


def starting_of(qtbot: QtBot, engine: Engine) -> tuple[Starting, FakeSession]:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    session = FakeSession(engine)
    starting = Starting(session, window)  # pyright: ignore[reportArgumentType]
    return starting, session


def press(starting: Starting, text: str) -> None:
    assert starting.dialog is not None
    buttons = starting.dialog.findChildren(QPushButton)
    next(b for b in buttons if b.text() == text).click()


def test_start_that_fits_goes_on_at_once(qtbot: QtBot) -> None:
    starting, session = starting_of(qtbot, Engine())
    begun: list[object] = []
    starting.begun.connect(begun.append)
    starting.start("chat")
    assert (session.started, begun) == ([], [])
    session.answer(FITS)
    assert (session.started, begun) == (["chat"], ["chat"])
    assert starting.dialog is None


def test_start_waits_for_a_plan_that_takes_long_and_says_so(qtbot: QtBot) -> None:
    engine = Engine(server())
    panel = panel_of(qtbot, engine)
    starting, session = starting_of(qtbot, engine)
    starting.checking.connect(panel.header.show_checked)
    panel.last_profile_id = "chat"
    starting.start("chat")
    qtbot.waitUntil(lambda: panel.header.start_button.text() == "Checking…")
    assert panel.header.start_button.toolTip() == "Checking memory for Fast chat…"
    assert not panel.header.start_button.isEnabled()
    starting.start("chat")
    assert session.started == []
    session.answer(TOO_BIG)
    assert panel.header.start_button.text() == "Start"
    assert starting.dialog is not None
    assert session.started == []


@pytest.mark.parametrize("agrees", [True, False])
def test_start_without_an_answer_asks_before_it_goes_on(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    monkeypatch.setattr(starting_module, "_DEADLINE_MS", 50)
    reasons: list[str] = []

    def ask(_window: QWidget, name: str, reason: str) -> bool:
        reasons.append(f"{name}: {reason}")
        return agrees

    monkeypatch.setattr(starting_module, "may_start_unchecked", ask)
    starting, session = starting_of(qtbot, Engine())
    starting.start("chat")
    qtbot.waitUntil(lambda: bool(reasons))
    assert reasons == ["Fast chat: The engine did not say in time whether it fits."]
    assert session.started == (["chat"] if agrees else [])
    session.answer(TOO_BIG)
    assert starting.dialog is None


def test_start_that_the_engine_refuses_to_look_at_is_told(qtbot: QtBot) -> None:
    starting, session = starting_of(qtbot, Engine())
    starting.start("chat")
    refusal = AppError("There is no profile “chat”.", code=ErrorCode.NOT_FOUND)
    session.refuse(refusal)
    assert session.started == []
    assert session.failed.heard == [refusal]


def test_second_start_that_does_not_fit_is_asked_about_after_the_first(qtbot: QtBot) -> None:
    starting, session = starting_of(qtbot, Engine(server()))
    starting.start("chat")
    session.answer(TOO_BIG)
    first = starting.dialog
    starting.start("demo")
    session.answer(msgspec.structs.replace(TOO_BIG, profile="demo"))
    assert starting.dialog is first
    press(starting, "Cancel")
    session.answer(msgspec.structs.replace(TOO_BIG, profile="demo"))
    assert starting.dialog is not None
    assert "Demo needs more memory than is free" in starting.dialog.texts()


def test_memory_that_ran_out_is_freed_by_the_largest_server_though_all_fits(qtbot: QtBot) -> None:
    starting, session = starting_of(qtbot, Engine(server()))
    starting.make_room("chat")
    session.answer(msgspec.structs.replace(FITS, others_bytes={"coding": GIB, "x": 5}))
    press(starting, "Stop Coding assistant and start")
    assert session.stopped == ["coding"]


def test_start_beyond_the_limit_shows_the_sum_and_stops_another_server_first(qtbot: QtBot) -> None:
    engine = Engine(server())
    starting, session = starting_of(qtbot, engine)
    starting.start("chat")
    session.answer(TOO_BIG)
    dialog = starting.dialog
    assert isinstance(dialog, StartPlanDialog)
    texts = dialog.texts()
    assert "Fast chat needs more memory than is free" in texts
    assert TOO_BIG.sentence in texts
    assert texts[texts.index("Model weights") + 1] == "28.0 GB"
    assert texts[texts.index("Coding assistant") + 1] == "18.9 GB"
    assert texts[texts.index("In all") + 1] == "48.9 GB"
    assert texts[texts.index("Short by") + 1] == "922 MB"
    press(starting, "Stop Coding assistant and start")
    assert (session.stopped, session.started) == (["coding"], [])
    engine.put(server(state=ServerState.STOPPING))
    assert session.started == []
    engine.put(server(state=ServerState.STOPPED))
    assert session.started == ["chat"]
    engine.put(server(state=ServerState.STOPPED))
    assert session.started == ["chat"]


@pytest.mark.parametrize(("text", "started"), [("Start anyway", ["chat"]), ("Cancel", [])])
def test_start_beyond_the_limit_can_be_forced_or_given_up(
    qtbot: QtBot, text: str, started: list[str]
) -> None:
    starting, session = starting_of(qtbot, Engine(server()))
    starting.start("chat")
    session.answer(TOO_BIG)
    # Its tile takes presses again, whatever the answer will be.
    assert session.refused.heard == ["chat"]
    press(starting, text)
    assert session.started == started
    assert session.stopped == []


def test_start_that_waits_for_room_is_not_made_at_another_engine(qtbot: QtBot) -> None:
    engine = Engine(server())
    starting, session = starting_of(qtbot, engine)
    starting.start("chat")
    session.answer(TOO_BIG)
    press(starting, "Stop Coding assistant and start")
    starting.forget()
    # The first snapshot of the other engine.
    engine.remove("coding")
    assert (session.stopped, session.started) == (["coding"], [])


def put_model(engine: Engine, model_id: str, gib: float, *, problem: str | None = None) -> None:
    size = int(gib * GIB)
    name = model_id.rpartition("/")[2]
    model = Model(
        model_id, name, "org", ModelSource.HUB, "/m", size, problem=problem, shape=ModelShape(size)
    )
    engine.seq += 1
    engine.mirror.apply(Upsert(engine.seq, "model", msgspec.Raw(msgspec.json.encode(model))))


def test_preview_guesses_by_the_model_and_is_corrected_by_the_plan(qtbot: QtBot) -> None:
    engine = Engine(server())
    put_model(engine, LLAMA, 2.4)
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES})
    strip, preview = panel.memory_strip, panel.preview
    with qtbot.waitSignal(preview.plan_wanted, timeout=DEADLINE_MS) as wanted:
        preview.show_profile("chat")
        # Weights and runtime, as on every other screen; nobody knows its cache.
        assert strip.total_text() == "With Fast chat: 35.6 of 64 GB"
    assert wanted.args == ["chat"]
    preview.take_plan(msgspec.structs.replace(FITS, needed_bytes=3 * GIB))
    assert strip.total_text() == "With Fast chat: 35.5 of 64 GB"
    preview.take_plan(TOO_BIG)
    shown = strip.preview()
    assert shown is not None
    assert shown.is_too_big
    preview.show_profile(None)
    assert strip.total_text() == "32.5 of 64 GB"
    found = fit(ModelShape(int(2.4 * GIB)), limit_bytes=64 * GIB, others_bytes=0)
    preview.show_model(LLAMA, found)
    assert strip.total_text().startswith("With Llama-3.2-3B-Instruct-4bit: 35.6")
    preview.show_model(LLAMA)
    assert strip.preview() is None
    preview.show_model(CODER, found)
    assert strip.preview() is None


def test_preview_shows_nothing_for_what_runs_already(qtbot: QtBot) -> None:
    engine = Engine(server())
    put_model(engine, CODER, 18.0)
    panel = panel_of(qtbot, engine)
    engine.sample({"coding": FIGURES})
    for ask in (panel.preview.show_profile, panel.preview.show_model):
        ask("coding" if ask == panel.preview.show_profile else CODER)
        assert panel.memory_strip.preview() is None


def test_preview_follows_the_pointer_in_the_list_of_profiles(qtbot: QtBot) -> None:
    engine = Engine()
    put_model(engine, LLAMA, 2.4)
    panel = panel_of(qtbot, engine)
    engine.sample({})
    picker = panel.header.picker
    panel.last_profile_id = "chat"
    assert panel.memory_strip.preview() is None
    picker.showPopup()
    picker.highlighted.emit(picker.findText("Fast chat"))
    assert panel.memory_strip.preview() is not None
    picker.hidePopup()
    assert panel.memory_strip.preview() is None
    QApplication.sendEvent(panel.header.start_button, QEvent(QEvent.Type.Enter))
    QApplication.sendEvent(panel.header.start_button, QEvent(QEvent.Type.Leave))
    assert panel.memory_strip.preview() is None


def test_strip_tells_what_servers_are_about_to_take(qtbot: QtBot) -> None:
    loading = server("chat", name="Fast chat", model=LLAMA, state=ServerState.STARTING)
    engine = Engine(server(), loading)
    put_model(engine, LLAMA, 10)
    panel = panel_of(qtbot, engine)
    figures = FIGURES | {"mlx_peak_bytes": 21.0 * GIB}
    engine.sample({"coding": figures, "chat": {"memory_bytes": 4.0 * GIB}})
    growth = {g.name: round(g.size_bytes / GIB, 1) for g in panel.memory_strip.growth()}
    assert growth == {"Coding assistant": 2.1, "Fast chat": 6.0}
    assert panel.memory_strip.total_text() == "32.5 of 64 GB"


def carry(panel: ServersPanel, data: QMimeData) -> QDragEnterEvent:
    action, button, keys = (
        Qt.DropAction.CopyAction, LEFT, Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    event = QDragEnterEvent(QPointF(300, 300).toPoint(), action, data, button, keys)
    event.ignore()
    panel.dragEnterEvent(event)
    return event


def drop(panel: ServersPanel, data: QMimeData) -> None:
    keys = Qt.KeyboardModifier.NoModifier
    panel.dropEvent(QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, data, LEFT, keys))


def model_data(model_id: str) -> QMimeData:
    data = QMimeData()
    data.setData(MIME, QByteArray(model_id.encode()))
    return data


def test_model_that_is_dropped_is_run(qtbot: QtBot) -> None:
    engine = Engine()
    put_model(engine, LLAMA, 2.4)
    panel = panel_of(qtbot, engine)
    data = model_data(LLAMA)
    assert carry(panel, data).isAccepted()
    assert panel._drop.text() == "Run Llama-3.2-3B-Instruct-4bit"
    panel.dragLeaveEvent(QDragLeaveEvent())
    assert panel._drop.text() == ""
    carry(panel, data)
    with qtbot.waitSignal(panel.run_requested, timeout=DEADLINE_MS) as asked:
        drop(panel, data)
    assert asked.args == [LLAMA]
    assert panel._drop.text() == ""


def test_model_that_cannot_be_run_and_other_things_are_refused(qtbot: QtBot) -> None:
    engine = Engine()
    put_model(engine, LLAMA, 2.4, problem="It has no weights.")
    panel = panel_of(qtbot, engine)
    data = model_data(LLAMA)
    assert not carry(panel, data).isAccepted()
    assert panel._drop.text() == "Llama-3.2-3B-Instruct-4bit cannot be run"
    with qtbot.assertNotEmitted(panel.run_requested):
        drop(panel, data)
    other = QMimeData()
    other.setText("some text")
    assert not carry(panel, other).isAccepted()
    assert panel._drop.text() == ""


def test_commands_name_the_selected_server_and_the_chosen_profile(qtbot: QtBot) -> None:
    names = ("restart", "stop", "log", "remove", "start")
    actions = {name: QAction(name) for name in names}
    name_commands(actions, server(name="R&D assistant"), Profile("chat", "Fast chat", LLAMA))
    assert [actions[name].text() for name in names] == [
        "Restart R&&D assistant", "Stop R&&D assistant", "Show log of R&&D assistant",
        "Remove tile of R&&D assistant", "Start Fast chat",
    ]  # fmt: skip
    name_commands(actions, None, None)
    assert actions["restart"].text() == "Restart selected server"
    assert actions["start"].text() == "Start chosen profile"


def floating(qtbot: QtBot) -> tuple[QWidget, NoticeBar]:
    host, foot = QWidget(), QWidget()
    foot.setParent(host)
    foot.setGeometry(0, 576, 900, 24)
    qtbot.addWidget(host)
    host.resize(900, 600)
    bar = NoticeBar()
    bar.float_over(host, above=foot)
    host.show()
    return host, bar


def test_notice_floats_above_the_status_line_and_follows_the_window(qtbot: QtBot) -> None:
    host, bar = floating(qtbot)
    bar.show_notice("Copied http://127.0.0.1:8799/v1", is_bad=False)
    assert bar.geometry().bottom() < 576
    assert abs(bar.geometry().center().x() - 450) <= 1
    assert bar.height() < 60
    host.resize(700, 500)
    QApplication.processEvents()
    assert host.rect().contains(bar.geometry())
    long = "A model could not be loaded because of something that takes a while to tell. " * 3
    bar.show_notice(long)
    assert bar.height() > 60
    assert host.rect().contains(bar.geometry())


def test_notice_leaves_the_widget_beside_it_free(qtbot: QtBot) -> None:
    host, bar = floating(qtbot)
    side = QWidget(host)
    side.setGeometry(300, 0, 600, 576)
    bar.float_over(host, above=host.findChildren(QWidget)[0], beside=side)
    bar.show_notice("The engine does not answer.", action_text="Connect again", action=bar.hide)
    wide = bar.geometry()
    assert wide.right() > 300
    side.show()
    assert bar.geometry().right() <= 300
    (button,) = [b for b in bar.findChildren(QPushButton) if b.text() == "Connect again"]
    assert button.width() >= button.sizeHint().width(), "its words are not cut"
    side.hide()
    assert bar.geometry() == wide


def test_good_news_goes_by_itself_and_trouble_stays(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bar = floating(qtbot)
    monkeypatch.setattr(notice_bar, "_LIFE_MS", 20)
    monkeypatch.setattr(notice_bar, "_OFFER_LIFE_MS", 30)
    bar.show_notice("Copied", is_bad=False)
    qtbot.waitUntil(bar.isHidden)
    bar.show_notice("It is ready", is_bad=False, action_text="Run", action=lambda: None)
    qtbot.waitUntil(bar.isHidden)
    bar.show_notice("It is gone")
    assert not bar._life.isActive()


def test_second_trouble_waits_until_the_first_was_read(qtbot: QtBot) -> None:
    _, bar = floating(qtbot)
    bar.show_notice("The disk is full.")
    bar.show_notice("The port is taken.")
    bar.show_notice("The port is taken.")
    assert bar.text == "The disk is full."
    assert any(label.text() == "1 more" for label in bar.findChildren(QLabel) if label.isVisible())
    bar.show_notice("Copied", is_bad=False)
    assert bar.text == "Copied"
    shown: list[str] = []
    while bar.text:
        shown.append(bar.text)
        bar.findChildren(QPushButton)[-1].click()
    assert shown == ["Copied", "The disk is full.", "The port is taken."]
    bar.show_notice("The disk is full.")
    bar.show_notice("The port is taken.")
    bar.clear()
    assert bar.text == ""
    bar.show_notice("The engine was killed.", action_text="Start again", action=lambda: None)
    bar.show_notice("The connection broke.")
    assert bar.text == "The engine was killed."
    bar.clear()
    bar.show_notice("Copied", is_bad=False)
    assert bar.text == "Copied"


def test_notice_spares_what_stands_at_the_left_while_there_is_room(qtbot: QtBot) -> None:
    host, bar = floating(qtbot)
    left = QWidget(host)
    left.setGeometry(0, 0, 350, 576)
    left.show()
    bar.float_over(host, above=host, spares=left)
    host.resize(900, 1200)
    bar.show_notice("A model could not be loaded because of something. " * 4)
    assert bar.geometry().left() >= 350
    host.resize(600, 1200)
    QApplication.processEvents()
    assert bar.geometry().left() < 350
