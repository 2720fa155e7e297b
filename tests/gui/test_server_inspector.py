"""The inspector of a server as a person uses it: real window, real engine, demo model."""

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget
from window_kit import Desk, post_json, write_profile

from app import paths
from app.gui.inspector.server.conversation import Conversation, Past
from app.gui.inspector.server.page import ServerPage
from app.gui.inspector.server.request_rows import Column
from app.gui.inspector.server.tab import Tab
from app.wire.nouns import ServerState
from app.wire.requests import RequestState

READY, STOPPED = ServerState.READY, ServerState.STOPPED


@pytest.fixture(autouse=True)
def closed_inspector(desk: Desk) -> Any:
    yield
    desk.window.parts.inspector.close_page()
    desk.window.parts.inspecting._server_tab = ""


def page_of(desk: Desk) -> ServerPage:
    page = desk.window.parts.inspector.page
    assert isinstance(page, ServerPage), page
    return page


def tab_of(desk: Desk, name: str, server_id: str = "demo") -> Any:
    """Open a tab and return it."""
    desk.come_back()
    desk.window.parts.inspecting.show_server(server_id, name)
    tab = page_of(desk).current()
    desk.until(tab.isVisible)
    return tab


def texts(widget: QWidget) -> str:
    kinds = (QLabel, QPushButton)
    found = [w for kind in kinds for w in widget.findChildren(kind) if w.isVisible()]
    return "\n".join(w.text() for w in found)


def test_command_opens_and_closes_the_inspector_of_the_selected_tile(desk: Desk) -> None:
    desk.start("Demo", "demo")
    desk.keys("Ctrl+2")
    desk.keys("Ctrl+I")
    page = page_of(desk)
    assert (page.title, page.tab) == ("Demo", "overview")
    desk.until(lambda: "Ready" in page._pill.text())
    desk.keys("Ctrl+I")
    assert desk.window.parts.inspector.page is None
    desk.keys("Ctrl+I")
    desk.keys("Escape")
    assert desk.window.parts.inspector.page is None


def test_keys_walk_the_tabs_and_the_last_one_is_remembered(desk: Desk) -> None:
    desk.start("Demo", "demo")
    desk.window.parts.inspecting.show_server("demo")
    seen = [page_of(desk).tab]
    for _ in range(5):
        desk.keys("Ctrl+Tab")
        seen.append(page_of(desk).tab)
    assert seen == ["overview", "requests", "log", "try", "connect", "overview"]
    desk.keys("Ctrl+Shift+Tab")
    desk.window.parts.inspector.close_page()
    desk.window.parts.inspecting.show_server("demo")
    assert page_of(desk).tab == "connect"


def test_overview_draws_what_the_server_does_and_tells_its_facts(desk: Desk) -> None:
    desk.start("Demo", "demo")
    desk.chat("Demo", tokens=400)
    tab = tab_of(desk, "overview")
    rate, _, memory, *_ = tab.charts
    desk.until(lambda: any(v > 1e7 for curve in memory.drawn() for v in curve))
    desk.until(lambda: any(v > 0 for curve in rate.drawn() for v in curve))
    facts = tab.facts.text()
    assert f"Process: {desk.pid('demo')}" in facts
    assert f"Address: {desk.mirror.engine.gateway_url}/v1" in facts
    assert "Runs on: mlx-lm" in facts


def test_cursor_reads_all_charts_out_at_one_time(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "overview")
    desk.until(lambda: sum(1 for v in tab.charts[2].drawn()[:1] for x in v if x > 0) > 3)
    chart = tab.charts[2]
    desk.qtbot.mouseMove(chart, QPoint(chart.area().right() - 1, chart.area().center().y()))
    desk.until(lambda: all(c._cursor is not None for c in tab.charts))
    assert "ago" in tab.moment.text()
    assert len({c._cursor for c in tab.charts}) == 1
    assert chart.read_out()[0][1].endswith("MB")
    desk.qtbot.mouseMove(tab.spans, QPoint(2, 2))
    chart.leaveEvent(None)  # type: ignore[arg-type] - nothing of the event is read
    assert tab.moment.text() == ""


def test_spans_are_read_from_the_engine(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "overview")
    desk.until(lambda: 300 in tab._history)
    for index, span in ((1, 3600), (2, 86_400)):
        tab.spans.choose(index)
        desk.until(lambda span=span: span in tab._history)
        assert tab.charts[0]._span == span


def test_requests_show_figures_and_reasons_and_can_be_copied(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "requests")
    desk.chat("Demo", tokens=12)
    desk.until(lambda: tab.rows.records and tab.rows.records[0].completion_tokens == 12)
    cells = [tab.rows.index(0, column).data() for column in Column]
    assert cells[Column.STATE] == "Done"
    assert cells[Column.CLIENT] == "127.0.0.1"
    assert cells[Column.TOKENS].endswith("→ 12")
    desk.click(tab, "Copy")
    copied = QApplication.clipboard().text().splitlines()
    assert copied[0].startswith("Time\tState")
    assert copied[1].split("\t")[Column.TOKENS] == cells[Column.TOKENS]


def test_rows_stay_when_newer_requests_come_above(desk: Desk) -> None:
    desk.start("Demo", "demo")
    for _ in range(40):
        desk.chat("Demo", tokens=1)
    tab = tab_of(desk, "requests")
    desk.until(lambda: len(tab.rows.records) >= 40)
    bar = tab.table.verticalScrollBar()
    bar.setValue(200)
    top = tab.table.rowAt(0)
    first = tab.rows.records[top].id
    desk.chat("Demo", tokens=1)
    desk.until(lambda: tab.new_button.isVisible())
    assert tab.new_button.text() == "↑ 1 new"
    assert tab.rows.records[tab.table.rowAt(0)].id == first
    desk.qtbot.mouseClick(tab.new_button, Qt.MouseButton.LeftButton)
    assert bar.value() == 0
    desk.until(lambda: not tab.new_button.isVisible())


def test_log_shows_what_matters_and_the_rest_on_request(desk: Desk) -> None:
    desk.start("Demo", "demo")
    desk.keys("Ctrl+Shift+L")
    assert page_of(desk).tab == "log"
    tab: Any = page_of(desk).current()
    desk.chat("Demo", tokens=4)
    desk.until(lambda: any("POST /v1/chat" in t for t in tab.lines.visible_texts()))
    shown = "\n".join(tab.lines.visible_texts())
    assert "Prompt processing" not in shown
    assert "Prompt Cache" not in shown
    assert tab.routine_button.isVisible()
    desk.qtbot.mouseClick(tab.routine_button, Qt.MouseButton.LeftButton)
    desk.until(lambda: any("Prompt Cache" in t for t in tab.lines.visible_texts()))


def test_log_is_searched_by_its_own_key(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "log")
    desk.until(lambda: len(tab._text) > 0)
    tab.focus_first()
    desk.keys("Ctrl+F")
    assert tab.find_field.hasFocus()
    desk.write("STARTING HTTPD")
    desk.until(lambda: "1 of 1" in texts(tab))
    desk.qtbot.keyClick(tab.find_field, Qt.Key.Key_Return)
    assert tab.finder.current is not None


def test_log_offers_earlier_runs(desk: Desk) -> None:
    desk.start("Demo", "demo")
    desk.keys("Ctrl+R")
    first = desk.pid("demo")
    desk.until(lambda: desk.state("demo") is READY and desk.pid("demo") != first)
    tab = tab_of(desk, "log")
    desk.until(lambda: tab.run_box.count() > 1)
    assert tab.run_box.itemText(0) == "This run"
    assert tab.run_box.itemText(1).startswith("Run until")
    tab.run_box.setCurrentIndex(1)
    tab.run_box.activated.emit(1)
    desk.until(lambda: tab.feed.run == "1" and tab.feed.has_answer)
    assert not tab.follow_box.isChecked()


def test_try_streams_an_answer_and_remembers_the_turns(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "try")
    tab.longest.setText("24")
    assert tab.prompt.hasFocus()
    desk.write("Tell me a story")
    desk.keys("Return")
    desk.until(lambda: len(tab.turns) == 1 and not tab.is_answering)
    (turn,) = tab.turns
    assert turn.answer.toPlainText().strip()
    assert "→ 24 tokens" in turn.figures.text()
    assert "first token after" in turn.figures.text()
    desk.write("Go on")
    # Elsewhere it starts the chosen profile.
    desk.keys("Ctrl+Return")
    desk.until(lambda: len(tab.turns) == 2 and not tab.is_answering)
    first, second = (t.end.prompt_tokens for t in tab.turns)
    assert second > first
    desk.qtbot.mouseClick(tab.clear_button, Qt.MouseButton.LeftButton)
    assert not tab.turns


def test_conversation_is_on_the_disk_only_while_that_is_asked_for(desk: Desk) -> None:
    def kept() -> list[Path]:
        # The window of these tests lives in this process, with the home of the test itself.
        return list((paths.home() / "conversations").glob("*.json"))

    def again() -> Any:
        desk.window.parts.inspector.close_page()
        return tab_of(desk, "try")

    desk.start("Demo", "demo")
    tab = tab_of(desk, "try")
    tab.longest.setText("8")
    desk.write("Tell me a story")
    desk.keys("Return")
    desk.until(lambda: len(tab.turns) == 1 and not tab.is_answering)
    assert kept() == []
    assert again().turns == []

    tab = tab_of(desk, "try")
    desk.qtbot.mouseClick(tab.remember, Qt.MouseButton.LeftButton)
    desk.until(kept)
    tab.longest.setText("8")
    tab.prompt.setFocus()
    desk.write("Tell me another")
    desk.keys("Return")
    desk.until(lambda: len(tab.turns) == 1 and not tab.is_answering)
    answer, figures = tab.turns[0].text, tab.turns[0].figures.text()
    # Written by a worker: until then there is an empty conversation.
    desk.until(lambda: [answer in t["text"] for t in json.loads(kept()[0].read_text())] == [True])
    assert kept()[0].stat().st_mode & 0o777 == 0o600
    tab = again()
    assert tab.remember.isChecked()
    assert [(t.question, t.text, t.figures.text()) for t in tab.turns] == [
        ("Tell me another", answer, figures)
    ]
    desk.qtbot.mouseClick(tab.clear_button, Qt.MouseButton.LeftButton)
    desk.until(lambda: json.loads(kept()[0].read_text()) == [])
    desk.qtbot.mouseClick(tab.remember, Qt.MouseButton.LeftButton)
    desk.until(lambda: not kept())
    assert not again().remember.isChecked()


def test_conversation_that_is_remembered_is_bounded(desk: Desk) -> None:
    assert desk.mirror.engine is not None
    memory = Conversation(desk.mirror.engine, "long")
    memory.want([Past(f"question {n}", "x" * 30_000) for n in range(70)])
    memory.store()
    past = memory.read()
    assert past is not None
    assert past[-1].question == "question 69"
    assert 20 < len(past) <= 50
    memory.want(None)
    memory.store()
    assert memory.read() is None


def test_escape_cancels_the_answer_and_leaves_the_inspector(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "try")
    tab.longest.setText("100000")
    # The demo model ends an answer by itself; many turns are long enough to be cancelled in.
    desk.write("Tell me a story")
    desk.keys("Return")
    desk.until(lambda: tab.turns and tab.turns[0].text)
    if tab.is_answering:
        desk.keys("Escape")
        desk.until(lambda: not tab.is_answering)
        assert "Cancelled" in tab.turns[0].figures.text()
    assert page_of(desk).tab == "try"


def test_server_that_is_stopped_is_started_in_place(desk: Desk) -> None:
    desk.start("Demo", "demo")
    desk.window.parts.session.stop("demo")
    desk.until_state("demo", STOPPED)
    tab = tab_of(desk, "try")
    assert not tab.prompt.isEnabled()
    assert "Demo is not running" in texts(tab)
    desk.click(tab.empty, "Start")
    desk.until_state("demo", READY)
    desk.until(tab.prompt.isEnabled)


def test_leaving_in_the_middle_of_an_answer_ends_it(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "try")
    tab.longest.setText("100000")
    desk.write("Tell me a story")
    desk.keys("Return")
    desk.until(lambda: tab.turns and tab.turns[0].text)
    desk.window.parts.inspector.close_page()
    crew = desk.window.parts.session.crew
    desk.until(lambda: not any(w.objectName() == "chat" for w in crew.workers()))


def test_connect_has_address_name_and_snippets(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "connect")
    url = f"{desk.mirror.engine.gateway_url}/v1"
    assert tab.rows["url"].text() == url
    assert tab.rows["key"].text() == "Not needed"
    assert f"{url}/chat/completions" in tab.snippet.toPlainText()
    tab.program.setCurrentText("Cline (VS Code)")
    assert "Not tested" in texts(tab)
    desk.click(tab, "Copy")
    assert QApplication.clipboard().text() == tab.snippet.toPlainText()
    desk.click(tab, "Copy the address")
    assert QApplication.clipboard().text() == url


def test_tabs_ask_only_while_they_are_seen(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tabs: list[Tab] = [tab_of(desk, name) for name in ("requests", "log", "overview")]
    assert [tab.is_polling for tab in tabs] == [False, False, True]
    page_of(desk).hide()
    assert not tabs[-1].is_polling
    page_of(desk).show()
    assert tabs[-1].is_polling


def test_page_tells_a_stop_and_goes_with_its_profile(desk: Desk) -> None:
    file = write_profile(desk.home, "passing", "Passing", "demo")
    desk.until(lambda: "passing" in desk.mirror.profiles)
    desk.start("Passing", "passing")
    desk.window.parts.inspecting.show_server("passing", "overview")
    page: Any = page_of(desk)
    assert "Own port" in page.current().facts.text()
    desk.window.parts.session.stop("passing")
    desk.until(lambda: page._pill.text() == "Stopped")
    assert "Own port" not in page.current().facts.text()
    file.unlink()
    desk.window.parts.session.call("remove", lambda api: api.remove_server("passing"))
    desk.until(lambda: desk.window.parts.inspector.page is None)


def test_wrong_request_is_listed_with_its_reason(desk: Desk) -> None:
    desk.start("Demo", "demo")
    tab = tab_of(desk, "requests")
    url = f"{desk.mirror.engine.gateway_url}/v1/chat/completions"
    body = {"model": "Demo", "messages": [{"role": "user", "content": "x"}], "top_p": 7}

    def ask() -> None:
        with pytest.raises(Exception, match="400"):
            post_json(url, body)

    desk.await_result(ask)
    desk.until(lambda: any(r.state is RequestState.REFUSED for r in tab.rows.records))
    row = next(n for n, r in enumerate(tab.rows.records) if r.state is RequestState.REFUSED)
    assert tab.rows.index(row, Column.STATE).data().startswith("Refused")
