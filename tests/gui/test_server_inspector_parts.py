"""The parts of a server's page without an engine: charts, log, requests, answers, snippets."""

import time
from collections.abc import Callable
from math import isnan, nan
from typing import Any

import msgspec
import pytest
from panel_kit import LEFT, Engine, engine, server
from PySide6.QtCore import QEvent, QPoint, QRect, Qt, QUrl
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QToolTip, QWidget
from pytestqt.qtbot import QtBot

from app.gui.format import UNKNOWN
from app.gui.inspector.server import markdown_view
from app.gui.inspector.server.chart_data import CHARTS, Timeline, curve, timeline, top
from app.gui.inspector.server.connect import ConnectTab
from app.gui.inspector.server.facts import facts
from app.gui.inspector.server.log import LogTab
from app.gui.inspector.server.log_text import ERROR, PLAIN, WARNING, Block, Level, LogText
from app.gui.inspector.server.log_words import parts_of
from app.gui.inspector.server.markdown_view import MarkdownView
from app.gui.inspector.server.overview import OverviewTab
from app.gui.inspector.server.page import ServerPage
from app.gui.inspector.server.page_scroll import PageScroll
from app.gui.inspector.server.request_rows import Column, RequestRows, seconds
from app.gui.inspector.server.requests import RequestsTab
from app.gui.inspector.server.thinking import spoken
from app.gui.inspector.server.try_chat import TryTab
from app.gui.inspector.server.turn import Turn, end_parts
from app.gui.mirror import LinkState, Mirror, Series
from app.gui.theme import theme
from app.gui.workers.chat import ChatEnd
from app.gui.workers.connection import Connection
from app.gui.workers.thread import Crew
from app.wire.errors import AppError
from app.wire.history import ServerHistory
from app.wire.keys import NamedKey, NewKey
from app.wire.nouns import PublicPort, ServerState
from app.wire.requests import RequestRecord, RequestState, RequestTexts
from app.wire.server_log import LogPiece, LogRun
from app.wire.snippets import HIDDEN_KEY

INFO = b"2026-01-02 10:00:00,000 - INFO - "
POLL = b'127.0.0.1 - - [02/Jan/2026 10:00:00] "GET /health HTTP/1.0" 200 -\n'
ASKED = b'127.0.0.1 - - [02/Jan/2026 10:00:01] "POST /v1/chat/completions HTTP/1.0" 200 -\n'


class FakeApi:
    """An engine whose answers a test sets; it remembers what it was asked."""

    def __init__(self) -> None:
        self.log = b""
        self.version = "1"
        self.records: list[RequestRecord] = []
        self.texts: list[RequestTexts] = []
        self.error: AppError | None = None
        self.sent_bytes: list[int] = []
        self.made: list[str] = []

    def create_key(self, name: str) -> NewKey:
        self.made.append(name)
        return NewKey(NamedKey("1", name, time.time()), "mlxm-made")

    def server_log_piece(
        self, server_id: str, *, offset: int | None = None, max_bytes: int, run: str = ""
    ) -> LogPiece:
        if self.error is not None:
            raise self.error
        begin = max(0, len(self.log) - max_bytes) if offset is None else offset
        data = self.log[begin : begin + max_bytes]
        self.sent_bytes.append(len(data))
        return LogPiece(data, begin, len(self.log), f"{self.version}{run}")

    def server_log_runs(self, server_id: str) -> list[LogRun]:
        return [LogRun("", len(self.log), time.time(), "/nowhere/p.log")]

    def server_history(self, server_id: str, *, span_s: int) -> ServerHistory:
        if self.error is not None:
            raise self.error
        return ServerHistory(time.time() - span_s, span_s / 10, {"memory_bytes": [1e9] * 10})

    def requests(
        self, *, last: int, server_id: str, before: int | None = None
    ) -> list[RequestRecord]:
        if self.error is not None:
            raise self.error
        return [r for r in self.records if before is None or r.id < before][:last]

    def request_texts(self, request_id: int) -> RequestTexts:
        found = next((t for t in self.texts if t.id == request_id), None)
        if found is None:
            raise AppError("No text of this request is kept.")
        return found

    def delete_texts(self) -> None:
        self.texts.clear()


class FakeHost:
    """What a page uses of a session; calls are answered at once, in this thread."""

    def __init__(self, mirror: Mirror, api: FakeApi, key: str | None = None) -> None:
        self.mirror = mirror
        self.crew = Crew()
        self.api = api
        self.started: list[str] = []
        assert mirror.engine is not None
        self.connection = Connection("http://127.0.0.1:1", key, mirror.engine)

    def call(
        self,
        name: str,
        work: Callable[[Any], Any],
        on_success: Callable[[Any], object] | None = None,
        on_failure: Callable[[AppError], object] | None = None,
    ) -> None:
        try:
            answer = work(self.api)
        except AppError as error:
            assert on_failure is not None
            on_failure(error)
            return
        assert on_success is not None
        on_success(answer)

    def start(self, profile_id: str) -> None:
        self.started.append(profile_id)


@pytest.fixture
def feed() -> Engine:
    return Engine(server(port=40_001, pid=4711))


@pytest.fixture
def host(feed: Engine) -> FakeHost:
    return FakeHost(feed.mirror, FakeApi())


@pytest.fixture
def show(qtbot: QtBot, host: FakeHost) -> Callable[..., Any]:
    def make(kind: Callable[..., Any], *, height: int = 500) -> Any:
        tab = kind(host, "coding")
        qtbot.addWidget(tab)
        tab.resize(420, height)
        tab.show()
        qtbot.waitExposed(tab)
        return tab

    return make


def record(number: int, **fields: object) -> RequestRecord:
    base = RequestRecord(
        time.time(), "127.0.0.1", "coding", "Coding assistant", "org/model", RequestState.DONE,
        12, 34, 0.2, 1.5, 25.0, number,
    )  # fmt: skip
    return msgspec.structs.replace(base, **fields)


def tick(memory: float | None) -> dict[str, float | None]:
    return {"memory_bytes": memory, "tokens_per_s": 5.0}


def test_live_figures_follow_the_history_without_overlap() -> None:
    series, now = Series(), 1000.0
    for second in range(10):
        series.append(tick(2e9), now - 9 + second)
    history = ServerHistory(now - 99, 1.0, {"memory_bytes": [1e9] * 100})
    data = timeline(history, series, 300, now)
    assert data.times == sorted(set(data.times))
    assert len(data.times) == 100
    assert data.values["memory_bytes"].count(2e9) == 10


def test_silence_between_figures_is_a_gap() -> None:
    series, now = Series(), 1000.0
    for at in (now - 60, now - 59, now - 2, now - 1):
        series.append(tick(1e9), at)
    values = timeline(None, series, 300, now).values["memory_bytes"]
    unknown = [isnan(value) for value in values]
    assert unknown[:2] == unknown[-2:] == [False, False]
    assert set(unknown[2:-2]) == {True}


def test_figures_that_come_rarely_stand_for_the_seconds_before_them() -> None:
    series, now = Series(), 1000.0
    for at in (now - 10, now - 5, now):
        series.append(tick(now - at), at)
    assert [*series.history("memory_bytes")][-11:] == [10.0] + [5.0] * 5 + [0.0] * 5
    assert [*series.times()][-11:] == [now - 10 + second for second in range(11)]


def test_figures_out_of_the_span_are_left_out() -> None:
    history = ServerHistory(0.0, 10.0, {"memory_bytes": [1e9] * 100})
    assert min(timeline(history, None, 300, 990.0).times) >= 690.0


def test_lone_figure_between_gaps_is_drawn_as_a_dash() -> None:
    xs, ys = curve([0.0, 1.0, 2.0], [nan, 5.0, nan])
    assert [y for y in ys if not isnan(y)] == [5.0, 5.0]
    assert len(xs) == 4


def test_memory_is_shown_against_the_limit_and_percent_against_whole_cores() -> None:
    machine = engine().machine
    assert top("memory", 1e9, machine) == machine.gpu_limit_bytes
    assert top("percent", 180.0, machine) == 200.0
    assert top("rate", 0.0, machine) == 20.0
    assert top("rate", 130.0, machine) >= 130.0


def test_curves_of_one_chart_differ_by_more_than_colour() -> None:
    for chart in CHARTS:
        kinds = {(line.is_dashed, bool(line.label)) for line in chart.lines}
        assert len(kinds) == len(chart.lines)


def test_overview_without_figures_says_so(show: Callable[..., Any], host: FakeHost) -> None:
    host.api.error = AppError("The engine is busy.")
    tab = show(OverviewTab)
    assert tab.moment.text() == "The engine is busy."
    assert tab.charts[0].read_out()[0][1] == UNKNOWN
    assert tab.charts[0].drawn() == []


def test_overview_stands_in_two_columns_where_there_is_room(show: Callable[..., Any]) -> None:
    tab = show(OverviewTab)
    assert tab.charts[0].y() < tab.charts[1].y()
    tab.resize(900, 500)
    QApplication.processEvents()
    assert tab.charts[0].y() == tab.charts[1].y()


def test_facts_name_the_options_that_differ(feed: Engine) -> None:
    rows = dict(facts(feed.mirror.engine, feed.mirror.servers["coding"],
                      feed.mirror.profiles["coding"]))  # fmt: skip
    assert rows["Process"] == "4711"
    assert rows["Own port"] == "40001, for the gateway only"
    assert rows["Last trouble"] == ""
    assert rows["Restarts"] == "0"


def test_lines_are_told_apart_by_level_and_noise() -> None:
    text = LogText()
    text.append(Block(
        INFO + b"Starting httpd\n" + INFO + b"Prompt Cache: 1 sequences, 0.00 GB\n" + POLL + ASKED
        + b"2026-01-02 10:00:02,000 - WARNING - cut\n"
        + b"2026-01-02 10:00:03,000 - ERROR - broke\nTraceback (most recent call last):\n"
        + b'  File "x.py", line 3\nValueError: no\n' + INFO + b"goes on\n"
    ))  # fmt: skip
    text.set_filter(Level.ALL, with_chatter=False)
    assert [text.level(row) for row in range(len(text))] == [
        PLAIN, PLAIN, WARNING, ERROR, ERROR, ERROR, ERROR, PLAIN,
    ]  # fmt: skip
    text.set_filter(Level.ERRORS, with_chatter=False)
    assert text.join(0, 99).startswith("2026-01-02 10:00:03,000 - ERROR - broke\nTraceback")
    text.set_filter(Level.ALL, with_chatter=True)
    assert len(text) == text.lines == 10
    assert text.exporter()().count("\n") == 10


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("2026-01-02 10:00:00,123 - INFO - Starting", ("10:00:00", "", "Starting")),
        ("2026-01-02 10:00:00,123 ERROR   server: it ended", ("10:00:00", "Error", "it ended")),
        ('127.0.0.1 - - [02/Jan/2026 10:00:01] "POST /v1/x HTTP/1.0" 200 -',
         ("10:00:01", "", "POST /v1/x  200")),
        ("ValueError: no", ("", "", "ValueError: no")),
    ],
)  # fmt: skip
def test_line_is_shown_by_its_parts(line: str, parts: tuple[str, str, str]) -> None:
    assert tuple(parts_of(line)) == parts


def many_lines(count: int, begin: int = 0) -> bytes:
    return b"".join(INFO + b"line %d\n" % n for n in range(begin, begin + count))


def test_log_begins_at_its_end_and_has_all_of_it(show: Callable[..., Any], host: FakeHost) -> None:
    host.api.log = many_lines(60_000)
    tab = show(LogTab)
    assert host.api.sent_bytes[0] < 300_000
    assert tab.lines.visible_texts()[-1].endswith("line 59999")
    assert tab.feed.missing_bytes == 0
    assert tab._text.lines == 60_000
    assert tab._text.join(0, 0) == (INFO + b"line 0\n").decode()


def test_following_a_log_costs_the_new_bytes_only(show: Callable[..., Any], host: FakeHost) -> None:
    host.api.log = many_lines(30_000)
    tab = show(LogTab)
    for begin in range(30_000, 30_040, 4):
        more = many_lines(4, begin)
        host.api.log += more
        host.api.sent_bytes.clear()
        tab.feed.read()
        assert sum(host.api.sent_bytes) == len(more)
    assert tab.lines.visible_texts()[-1].endswith("line 30039")


def test_half_a_line_is_completed_later(show: Callable[..., Any], host: FakeHost) -> None:
    host.api.log = INFO + b"half"
    tab = show(LogTab)
    assert tab.lines.visible_texts() == [(INFO + b"half").decode()]
    host.api.log += b" and whole\n"
    tab.feed.read()
    assert tab.lines.visible_texts() == [(INFO + b"half and whole").decode()]


def test_what_is_read_stays_while_the_log_grows(show: Callable[..., Any], host: FakeHost) -> None:
    host.api.log = many_lines(3000)
    tab = show(LogTab)
    bar = tab.lines.verticalScrollBar()
    bar.triggerAction(bar.SliderAction.SliderPageStepSub)
    assert not tab.follow_box.isChecked()
    seen = tab.lines.visible_texts()
    host.api.log += many_lines(500, 3000)
    tab.feed.read()
    assert tab.lines.visible_texts() == seen
    bar.triggerAction(bar.SliderAction.SliderToMaximum)
    assert tab.follow_box.isChecked()


def test_log_of_another_run_is_read_anew(show: Callable[..., Any], host: FakeHost) -> None:
    host.api.log = many_lines(100)
    tab = show(LogTab)
    host.api.log, host.api.version = INFO + b"a new run\n", "2"
    tab.feed.read()
    assert tab.lines.visible_texts() == [(INFO + b"a new run").decode()]


def test_search_finds_all_and_goes_round(
    show: Callable[..., Any], host: FakeHost, qtbot: QtBot
) -> None:
    host.api.log = many_lines(50_000)
    tab = show(LogTab)
    tab.find_field.setText("LINE 4999")
    qtbot.waitUntil(lambda: not tab.finder.is_searching)
    assert len(tab.finder.spots) == 11
    assert tab.finder.number == 11
    tab.go_to_find(1)
    assert tab.finder.number == 1
    assert any(t.endswith("line 4999") for t in tab.lines.visible_texts())
    assert not tab.follow_box.isChecked()
    tab.level_box.setCurrentIndex(2)
    qtbot.waitUntil(lambda: not tab.finder.is_searching)
    assert tab.finder.spots == []
    assert tab.empty.isVisible()
    qtbot.mouseClick(tab.empty.button, LEFT)
    assert tab.lines.isVisible()


def test_selected_lines_are_copied_as_they_are(show: Callable[..., Any], host: FakeHost) -> None:
    host.api.log = many_lines(5)
    tab = show(LogTab)
    tab.lines.select_all()
    tab.lines.copy()
    assert QApplication.clipboard().text().encode() == host.api.log


def test_empty_and_unreadable_logs_say_so(show: Callable[..., Any], host: FakeHost) -> None:
    tab = show(LogTab)
    assert tab.empty.isVisible()
    assert "No log yet" in tab.empty._title.text()
    host.api.error = AppError("The disk is gone.")
    tab.feed.restart()
    assert "The disk is gone." in tab.empty._text.text()


def test_requests_change_by_id_and_keep_their_place(show: Callable[..., Any]) -> None:
    rows = RequestRows()
    waiting = record(2, state=RequestState.WAITING, duration_s=None, prompt_read=0.625)
    assert rows.sync([waiting, record(1)]) == 2
    assert rows.index(0, Column.STATE).data() == "Reading prompt 62%"
    assert rows.sync([record(3), record(2), record(1)]) == 1
    assert [r.id for r in rows.records] == [3, 2, 1]
    assert rows.index(1, Column.STATE).data() == "Done"
    rows.add_older([record(0)])
    assert rows.index(3, Column.DURATION).data() == "1.5 s"


def test_reason_of_a_refusal_comes_before_the_client_where_room_is_scarce(
    show: Callable[..., Any], host: FakeHost
) -> None:
    host.api.records = [
        record(1, state=RequestState.REFUSED, error="max_tokens must be at least 1")
    ]
    tab = show(RequestsTab)
    tab.resize(660, 500)
    tab.poll()
    assert tab.table.isVisible()
    assert tab.table.isColumnHidden(Column.CLIENT)
    assert tab.table.columnWidth(Column.STATE) > 200
    left = tab.table.mapTo(tab, QPoint(0, 0)).x()
    assert left == tab.width() - left - tab.table.width() > 0, "inside the margins of the page"


def test_nobody_asked_yet_and_no_text_is_kept(show: Callable[..., Any]) -> None:
    tab = show(RequestsTab)
    assert tab.empty.isVisible()
    assert "never the text" in tab.empty._text.text()


def test_recording_is_told_and_shows_and_deletes_texts(
    show: Callable[..., Any], host: FakeHost, qtbot: QtBot
) -> None:
    host.api.records = [record(2), record(1)]
    tab = show(RequestsTab)
    assert tab.note.text() == ""
    tab.table.selectRow(0)
    assert not tab.texts.isVisible()
    host.api.texts = [RequestTexts(2, "user: Why?", "Because.", is_cut=True)]
    assert host.mirror.engine is not None
    host.mirror.engine = msgspec.structs.replace(host.mirror.engine, records_texts=True)
    tab.table.clearSelection()
    tab.table.selectRow(0)
    assert "recorded" in tab.note.text()
    assert tab.texts.isVisible()
    assert "Why?" in tab.texts.toPlainText()
    assert "Because." in tab.texts.toPlainText()
    assert "Answer, cut" in tab.texts.toPlainText()
    tab.table.selectRow(1)
    assert tab.texts.toPlainText() == "No text of this request was recorded."
    host.mirror.engine = msgspec.structs.replace(host.mirror.engine, records_texts=False)
    tab.table.selectRow(0)
    assert "recorded earlier" in tab.note.text()
    qtbot.mouseClick(tab.note.button, LEFT)
    (box,) = tab.findChildren(QMessageBox)
    (delete,) = [b for b in box.buttons() if b.text() == "Delete"]
    qtbot.mouseClick(delete, LEFT)
    assert host.api.texts == []
    assert not tab.texts.isVisible()
    assert tab.note.text() == ""


def test_older_requests_come_by_scrolling_down(show: Callable[..., Any], host: FakeHost) -> None:
    host.api.records = [record(number) for number in range(350, 0, -1)]
    tab = show(RequestsTab)
    assert tab.count.text() == "100+ requests"
    bar = tab.table.verticalScrollBar()
    while not tab._has_all:
        before = len(tab.rows.records)
        bar.setValue(bar.maximum())
        QApplication.processEvents()
        assert len(tab.rows.records) > before
    assert [r.id for r in tab.rows.records] == list(range(350, 0, -1))


def test_failed_request_gives_its_reason_and_its_figures(
    show: Callable[..., Any], host: FakeHost
) -> None:
    host.api.records = [record(1, state=RequestState.FAILED, error="The server crashed.")]
    tab = show(RequestsTab)
    assert tab.rows.index(0, Column.STATE).data() == "Failed: The server crashed."
    tab.table.selectAll()
    tab.copy_rows()
    assert "The server crashed." in QApplication.clipboard().text()


@pytest.mark.parametrize(
    ("text", "reasoning", "expected"),
    [
        ("Hello", "", ("", "Hello", False)),
        ("<think>hm</think>\nHello", "", ("hm", "Hello", False)),
        ("hm</think>Hello", "", ("hm", "Hello", False)),
        ("<think>still", "", ("still", "", True)),
        ("<thi", "", ("", "", True)),
        ("", "by itself", ("by itself", "", True)),
        ("Hello", "by itself", ("by itself", "Hello", False)),
    ],
)
def test_reasoning_is_told_from_the_answer(
    text: str, reasoning: str, expected: tuple[str, str, bool]
) -> None:
    assert tuple(spoken(text, reasoning)) == expected


def test_answer_loads_nothing_and_opens_links_by_a_click_only(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        markdown_view.QDesktopServices, "openUrl", lambda url: opened.append(url.toString())
    )
    view = MarkdownView()
    qtbot.addWidget(view)
    view.resize(300, 100)
    view.show()
    view.show_markdown(
        "A ![cat](http://127.0.0.1:1/cat.png) and <img src='http://127.0.0.1:1/x'> "
        "[here](https://example.org) [there](file:///etc/passwd)\n\n```\n" + "x" * 500 + "\n```"
    )
    assert "cat" in view.toPlainText()
    assert "<img" in view.toPlainText()
    assert view.loadResource(2, QUrl("http://127.0.0.1:1/cat.png")) is None
    assert opened == []
    for url in ("https://example.org", "file:///etc/passwd", "javascript:alert(1)"):
        view.anchorClicked.emit(QUrl(url))
    assert opened == ["https://example.org"]
    # Long lines of code break; nothing is wider than the view.
    assert view.document().idealWidth() <= 300


def test_server_that_does_not_run_is_started_in_place(
    show: Callable[..., Any], feed: Engine, host: FakeHost, qtbot: QtBot
) -> None:
    feed.put(server(state=ServerState.STOPPED))
    tab = show(TryTab)
    assert not tab.prompt.isEnabled()
    qtbot.mouseClick(tab.empty.button, LEFT)
    assert host.started == ["coding"]
    feed.put(server(state=ServerState.STARTING))
    tab.refresh()
    assert "is starting" in tab.empty._title.text()


def test_options_of_an_answer_are_checked(show: Callable[..., Any]) -> None:
    tab = show(TryTab)
    tab.prompt.setPlainText("Hello")
    assert tab.send_button.isEnabled()
    for text, works in (("hot", False), ("9", False), ("0", True), ("0,7", True), ("", True)):
        tab.temperature.setText(text)
        assert tab.send_button.isEnabled() is works, text


def test_help_of_a_chart_is_in_its_head_and_covers_no_curve(
    show: Callable[..., Any], qtbot: QtBot
) -> None:
    tab = show(OverviewTab)
    chart = tab.charts[0]
    helped: list[bool] = []
    for place in (chart.area().center(), QPoint(30, 15)):
        event = QHelpEvent(QEvent.Type.ToolTip, place, chart.mapToGlobal(place))
        QApplication.sendEvent(chart, event)
        helped.append(QToolTip.isVisible())
    qtbot.mouseMove(chart, chart.area().center())
    qtbot.waitUntil(lambda: not QToolTip.isVisible())
    assert helped == [False, True]


def test_pointer_tints_the_whole_row_of_a_request(show: Callable[..., Any], qtbot: QtBot) -> None:
    theme().set_mode("light")
    tab = show(RequestsTab)
    tab.rows.sync([record(2), record(1)])
    tab.refresh()
    table = tab.table
    QApplication.processEvents()
    before = table.viewport().grab().toImage()
    place = table.visualRect(tab.rows.index(0, 0)).center()
    qtbot.mouseMove(table.viewport(), place)
    qtbot.waitUntil(lambda: table.hovered_row == 0)
    after = table.viewport().grab().toImage()
    shown = [c for c in Column if not table.isColumnHidden(c)]
    for row, is_tinted in ((0, True), (1, False)):
        corners = [table.visualRect(tab.rows.index(row, c)).topLeft() for c in shown]
        points = [corner + QPoint(2, 4) for corner in corners]
        changed = [before.pixelColor(p) != after.pixelColor(p) for p in points]
        assert changed == [is_tinted] * len(shown)
    tab.rows.sync([record(3), record(2), record(1)])
    assert table.hovered_row == -1


@pytest.mark.parametrize("width", [380, 460, 900])
@pytest.mark.parametrize("words", [3, 40, 200])
def test_question_of_any_length_is_seen_whole(qtbot: QtBot, width: int, words: int) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    page = PageScroll(holder, spacing=18)
    turn = Turn("The cache holds what the model has read. " * (words // 8) + "And so on", page)
    page.column.addWidget(turn)
    page.column.addStretch(1)
    page.resize(width, 500)
    holder.show()
    qtbot.waitExposed(holder)
    bubble = next(label for label in turn.findChildren(QLabel) if label.text() == turn.question)
    edges = bubble.contentsMargins()
    room = QRect(0, 0, bubble.width() - edges.left() - edges.right(), 10**6)
    flags = Qt.TextFlag.TextWordWrap
    needed = bubble.fontMetrics().boundingRect(room, flags, bubble.text()).height()
    qtbot.waitUntil(lambda: bubble.height() >= needed + edges.top() + edges.bottom())
    assert bubble.geometry().right() == turn.rect().right()


def test_narrowest_inspector_names_options_and_segments_in_full(show: Callable[..., Any]) -> None:
    theme().set_mode("light")
    tab = show(TryTab)
    tab.resize(340, 500)
    QApplication.processEvents()
    names = ("Temperature", "Longest answer")
    labels = [label for label in tab.findChildren(QLabel) if label.text() in names]
    assert len(labels) == len(names)
    assert all(label.width() >= label.sizeHint().width() for label in labels)
    overview = show(OverviewTab)
    overview.resize(340, 500)
    overview.moment.setText("18:28:07, 1 min 10 s ago")
    QApplication.processEvents()
    assert overview.moment.width() >= overview.moment.sizeHint().width()
    spans = [overview.spans.button(number) for number in range(3)]
    needed = [span.fontMetrics().horizontalAdvance(span.text()) for span in spans]
    assert all(span.width() > width for span, width in zip(spans, needed, strict=True))


def test_key_is_shown_only_when_the_user_asks(qtbot: QtBot, feed: Engine, host: FakeHost) -> None:
    assert feed.mirror.engine is not None
    info = msgspec.structs.replace(feed.mirror.engine, key_required=True,
                                   gateway_url="http://127.0.0.1:2")  # fmt: skip
    feed.mirror.engine = info
    host.connection = Connection("http://127.0.0.1:1", "sk-secret-1", info)
    tab = ConnectTab(host, "coding")
    qtbot.addWidget(tab)
    tab.show()
    for index in range(tab.program.count()):
        tab.program.setCurrentIndex(index)
        assert "sk-secret-1" not in tab.snippet.toPlainText()
        assert HIDDEN_KEY in tab.snippet.toPlainText()
    assert tab.rows["key"].text() == HIDDEN_KEY
    assert "sk-secret-1" not in tab.rows["key"].accessibleName()
    qtbot.mouseClick(tab.copy_button, LEFT)
    assert "sk-secret-1" in QApplication.clipboard().text()
    qtbot.mouseClick(tab.key_button, LEFT)
    assert tab.rows["key"].text() == "sk-secret-1"
    assert "sk-secret-1" in tab.snippet.toPlainText()
    qtbot.mouseClick(tab.key_button, LEFT)
    assert "sk-secret-1" not in tab.snippet.toPlainText()


def test_server_with_a_port_of_its_own_is_reached_there_or_the_page_says_why_not(
    qtbot: QtBot, feed: Engine, host: FakeHost
) -> None:
    assert feed.mirror.engine is not None
    facts = msgspec.structs.replace(feed.mirror.engine, gateway_url="http://127.0.0.1:8799")
    tab = ConnectTab(host, "coding")
    qtbot.addWidget(tab)
    own = PublicPort("coding", 9001, url="http://127.0.0.1:9001")
    taken = PublicPort("coding", 9001, note="Port 9001 cannot be opened: it is taken by nginx.")
    other = msgspec.structs.replace(own, profile="chat")
    for port, url, note in (
        (own, "http://127.0.0.1:9001/v1", ""),
        (taken, "http://127.0.0.1:8799/v1", "taken by nginx. The address above is the common one."),
        (other, "http://127.0.0.1:8799/v1", ""),
    ):
        feed.mirror.engine = msgspec.structs.replace(facts, public_ports=(port,))
        feed.mirror.engine_changed.emit(feed.mirror.engine)
        assert tab.rows["url"].text() == url
        assert url in tab.snippet.toPlainText()
        assert tab.state.text().endswith(note)
        assert bool(tab.state.text()) is bool(note)


def test_key_that_nobody_knows_can_be_made_in_place(
    qtbot: QtBot, feed: Engine, host: FakeHost
) -> None:
    assert feed.mirror.engine is not None
    feed.mirror.engine = msgspec.structs.replace(feed.mirror.engine, key_required=True)
    tab = ConnectTab(host, "coding")
    qtbot.addWidget(tab)
    tab.show()
    assert "knows none" in tab.rows["key"].text()
    qtbot.mouseClick(tab.make_button, LEFT)
    assert host.api.made == ["Coding assistant"]
    assert tab.rows["key"].text() == "mlxm-made"
    assert "mlxm-made" in tab.snippet.toPlainText()
    assert not tab.make_button.isVisible()


def test_page_says_when_the_engine_is_lost(qtbot: QtBot, feed: Engine, host: FakeHost) -> None:
    page = ServerPage(host, "coding", "requests")
    qtbot.addWidget(page)
    page.show()
    assert page._pill.text() == "Ready"
    feed.lose()
    assert page._pill.text() == "Unknown"
    assert "last figures" in page._since.text()
    assert not page.current().can_ask
    feed.mirror.set_link(LinkState.LIVE)
    assert page._pill.text() == "Ready"


def test_timeline_of_nothing_is_empty() -> None:
    assert timeline(None, None, 300, 1000.0).is_empty
    assert Timeline([], {}).nearest(5.0) is None


@pytest.mark.parametrize(("took_s", "rate"), [(2.25, "10.0 tok/s"), (0.26, None)])
def test_answer_tells_its_rate_unless_it_came_in_a_moment(took_s: float, rate: str | None) -> None:
    parts = end_parts(ChatEnd("stop", 0.25, took_s, 7, 21))
    assert parts[-2:] == ["7 → 21 tokens", f"took {seconds(took_s)}"]
    assert [part for part in parts if "tok/s" in part] == ([rate] if rate else [])
