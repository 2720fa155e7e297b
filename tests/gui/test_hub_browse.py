"""Browsing the hub in the models panel: questions, answers, states, filters, pages, downloads."""

import msgspec
import pytest
from hub_kit import (
    browse,
    button_of,
    hub_model,
    hub_models,
    ids,
    index_of,
    installed,
    looked_up,
    open_browser,
    rows,
    said,
    search,
    snapshot,
    texts_of,
)
from patience import DEADLINE_MS
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QMenu, QPushButton
from pytestqt.qtbot import QtBot

from app.gui.mirror import LinkState, Mirror
from app.gui.models.facets import Facets
from app.gui.models.model_filter import Segment
from app.gui.models.model_rows import Offer, RowKind
from app.gui.panels import hub_results
from app.gui.panels.models_panel import ModelsPanel
from app.wire.errors import AppError, ErrorCode
from app.wire.hub import Fit, HubDetails, HubSort, Verdict
from app.wire.nouns import Download, DownloadState

LEFT = Qt.MouseButton.LeftButton
OFFLINE = AppError("The hub cannot be reached.", hint="Check it.", code=ErrorCode.HUB_OFFLINE)


def press(qtbot: QtBot, panel: ModelsPanel, name: str) -> None:
    index = index_of(panel, name)
    panel.view.reveal(index)
    qtbot.mouseClick(panel.view.viewport(), LEFT, pos=button_of(panel, index))


def put(mirror: Mirror, *downloads: Download) -> None:
    mirror.downloads = {d.id: d for d in downloads}
    mirror.downloads_changed.emit()


def begun(name: str, **fields: object) -> Download:
    known = {"total_bytes": 4_600_000_000, "done_bytes": 46_000_000, **fields}
    return Download(f"mlx-community/{name}", DownloadState.DOWNLOADING, **known)  # type: ignore[arg-type]


# Questions


def test_hub_is_asked_once_when_the_typing_rests(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    panel.search.setFocus()
    qtbot.keyClicks(panel.search, "qwen")
    assert hub.questions == []
    qtbot.waitUntil(lambda: bool(hub.questions))
    assert [q.query.text for q in hub.questions] == ["qwen"]


def test_enter_asks_at_once_and_then_leads_to_the_rows(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    panel.search.setFocus()
    qtbot.keyClicks(panel.search, "qwen")
    qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert [q.query.text for q in hub.questions] == ["qwen"]
    hub.answer(*hub_models(3))
    qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert panel.view.hasFocus()
    assert panel.view.currentIndex().data() == "Hub-00000-4bit"


def test_segment_all_asks_the_hub_only_for_a_search(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, installed("Own-4bit"))
    QTest.qWait(2 * hub_results.DEBOUNCE_MS)
    assert hub.questions == []
    browse(panel)
    assert hub.last.text == ""
    assert hub.last.sort is HubSort.TRENDING
    panel.show_segment(Segment.INSTALLED)
    assert ids(panel) == ["Own-4bit"]


def test_late_answer_of_an_earlier_search_is_dropped(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    search(qtbot, panel, hub, "old")
    search(qtbot, panel, hub, "new")
    hub.answer(hub_model("New"))
    hub.answer(hub_model("Old"), at=0)
    hub.refuse(OFFLINE, at=0)
    assert ids(panel) == ["New"]
    assert texts_of(panel, RowKind.NOTE) == ""


def test_no_answer_at_all_ends_in_a_sentence(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_results, "_TIMEOUT_MS", 50)
    panel, _, hub = open_browser(qtbot)
    search(qtbot, panel, hub, "qwen")
    qtbot.waitUntil(lambda: "does not answer in time" in texts_of(panel, RowKind.NOTE))
    hub.answer(hub_model("Late"))
    assert ids(panel) == []


@pytest.mark.parametrize(
    "text", ["mlx-community/Qwen3-4bit", "https://huggingface.co/mlx-community/Qwen3-4bit/tree/main"]
)  # fmt: skip
def test_pasted_id_or_address_is_a_row_like_any_other(qtbot: QtBot, text: str) -> None:
    panel, _, hub = open_browser(qtbot)
    search(qtbot, panel, hub, text)
    assert hub.last.text == text
    hub.answer(hub_model("Qwen3-4bit"))
    with qtbot.waitSignal(panel.download_requested) as asked:
        press(qtbot, panel, "Qwen3-4bit")
    assert asked.args == ["mlx-community/Qwen3-4bit"]


def test_pasted_address_of_an_installed_model_finds_it(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, installed("Own-4bit"), installed("Other-4bit"))
    search(qtbot, panel, hub, "https://huggingface.co/mlx-community/Own-4bit")
    hub.answer(hub_model("Own-4bit"))
    assert ids(panel) == ["Own-4bit"]
    assert rows(panel)[0].offer is Offer.RUN


# Rows


def test_all_shows_installed_first_then_the_hub_under_its_title(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, installed("Hub-00001-4bit"), installed("Zed-4bit"))
    search(qtbot, panel, hub, "hub")
    assert texts_of(panel, RowKind.HEADER) == "Hugging Face Searching…"
    hub.answer(*hub_models(3))
    kinds = [row.kind for row in rows(panel)]
    assert kinds == [RowKind.INSTALLED, RowKind.HEADER, RowKind.HUB, RowKind.HUB]
    assert ids(panel) == ["Hub-00001-4bit", "Hub-00000-4bit", "Hub-00002-4bit"]
    assert texts_of(panel, RowKind.HEADER) == "Hugging Face 2 models, trending first"
    browse(panel)
    hub.answer(*hub_models(3))
    assert ids(panel) == ["Hub-00000-4bit", "Hub-00001-4bit", "Hub-00002-4bit"]


@pytest.mark.parametrize(
    ("fields", "offer", "words"),
    [
        ({}, Offer.DOWNLOAD, "can be downloaded"),
        ({"gated": True}, Offer.ASK, "access must be asked for"),
        ({"gated": True, "granted": True}, Offer.DOWNLOAD, "can be downloaded"),
        (
            {
                "gated": True,
                "fit": Fit(Verdict.UNKNOWN, "weights 1.0 = 1.0 of 9.0 GB", 0, weights_bytes=2**30),
            },
            Offer.ASK,
            "may fit, access must be asked for",
        ),
        ({"supported": False, "reason": "No llama9."}, Offer.NOTHING, "unsupported: No llama9."),
    ],
)
def test_row_offers_what_can_be_done_or_says_why_not(
    qtbot: QtBot, fields: dict[str, object], offer: Offer, words: str
) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(hub_model("One-4bit", **fields))
    index = index_of(panel, "One-4bit")
    assert rows(panel)[0].offer is offer
    assert words in index.data(Qt.ItemDataRole.AccessibleTextRole)
    if offer is Offer.NOTHING:
        assert "No llama9." in index.data(Qt.ItemDataRole.ToolTipRole)


def test_gated_row_leads_to_its_page_and_its_menu_still_downloads(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(hub_model("One-4bit", gated=True))
    with qtbot.waitSignal(panel.open_page_requested) as asked:
        press(qtbot, panel, "One-4bit")
    assert asked.args == ["mlx-community/One-4bit"]
    place = panel.view.visualRect(index_of(panel, "One-4bit")).center()
    reason = QContextMenuEvent.Reason.Mouse
    panel.view.contextMenuEvent(
        QContextMenuEvent(reason, place, panel.view.viewport().mapToGlobal(place))
    )
    menu = [m for m in panel.findChildren(QMenu) if m.isVisible()][-1]
    texts = [action.text() for action in menu.actions() if action.text()]
    assert texts[0] == "Download"
    assert {"Ask for access", "Inspect", "Copy id", "Open on Hugging Face"} <= set(texts)
    with qtbot.waitSignal(panel.download_requested):
        menu.actions()[0].trigger()
    menu.close()


def test_size_and_fit_are_looked_up_for_rows_in_view_two_at_a_time(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(30))
    assert "not known yet" in index_of(panel, "Hub-00000-4bit").data(Qt.ItemDataRole.ToolTipRole)
    qtbot.waitUntil(lambda: len(hub.lookups) == 2)
    names = [look.id.rpartition("/")[2] for look in hub.lookups]
    assert names == ["Hub-00000-4bit", "Hub-00001-4bit"]
    model = hub_models(1)[0]
    known = msgspec.structs.replace(model, **looked_up(model, verdict=Verdict.TIGHT))
    hub.lookups[0].answer(HubDetails(known))
    assert len(hub.lookups) == 3
    tip = index_of(panel, "Hub-00000-4bit").data(Qt.ItemDataRole.ToolTipRole)
    assert "Download of 4.6 GB" in tip
    assert "Tight: weights 4.3 + runtime 0.9" in tip
    spoken = index_of(panel, "Hub-00000-4bit").data(Qt.ItemDataRole.AccessibleTextRole)
    assert "4.6 gigabytes" in spoken
    assert "tight" in spoken


def test_rows_that_left_the_view_are_not_looked_up(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(200))
    qtbot.waitUntil(lambda: len(hub.lookups) == 2)
    panel.view.verticalScrollBar().setValue(100 * 92)
    panel.view.moved.emit()
    QTest.qWait(300)
    for look in list(hub.lookups):
        look.refuse(AppError("No.", code=ErrorCode.HUB_FAILED))
    qtbot.waitUntil(lambda: len(hub.lookups) == 4)
    later = [int(look.id.split("-")[2]) for look in hub.lookups[2:]]
    assert all(number >= 100 for number in later)


def test_refused_lookups_stop_until_the_hub_answers_again(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(30))
    qtbot.waitUntil(lambda: len(hub.lookups) == 2)
    for look in list(hub.lookups):
        look.refuse(AppError("Later.", code=ErrorCode.HUB_LIMITED))
    panel.view.verticalScrollBar().setValue(600)
    QTest.qWait(400)
    assert len(hub.lookups) == 2


# States


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OFFLINE, "The hub cannot be reached."),
        (AppError("The hub has trouble.", hint="Try later.", code=ErrorCode.HUB_FAILED), "trouble"),
        (
            AppError(
                "The hub limits requests. Try again in 42 s.",
                hint="Users who are logged in may ask it more often.",
                code=ErrorCode.HUB_LIMITED,
            ),
            "Try again in 42 s.",
        ),
    ],
)
def test_failure_is_told_with_the_installed_models_in_sight_and_can_be_tried_again(
    qtbot: QtBot, error: AppError, words: str
) -> None:
    panel, _, hub = open_browser(qtbot, installed("Own-4bit"))
    search(qtbot, panel, hub, "own")
    hub.refuse(error)
    assert ids(panel) == ["Own-4bit"]
    assert words in texts_of(panel, RowKind.NOTE)
    assert not any("No model" in text for text in said(panel))
    note = next(n for n, row in enumerate(rows(panel)) if row.kind is RowKind.NOTE)
    index = panel.view.model().index(note, 0)
    qtbot.mouseClick(panel.view.viewport(), LEFT, pos=button_of(panel, index))
    assert len(hub.questions) == 2
    hub.answer(hub_model("Own-8bit"))
    assert ids(panel) == ["Own-4bit", "Own-8bit"]
    assert texts_of(panel, RowKind.NOTE) == ""


def test_failure_with_nothing_else_to_show_fills_the_page(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, installed("Own-4bit"))
    browse(panel)
    assert "Searching Hugging Face…" in said(panel)
    hub.refuse(OFFLINE)
    assert "The hub cannot be reached." in said(panel)
    again = next(b for b in panel.findChildren(QPushButton) if b.text() == "Try again")
    qtbot.mouseClick(again, LEFT)
    assert len(hub.questions) == 2
    hub.answer(hub_model("One"))
    assert ids(panel) == ["One"]
    assert panel.view.isVisible()


def test_seconds_of_a_rate_limit_are_counted_down(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    limited = "The hub limits requests. Try again in 2 s."
    hub.refuse(AppError(limited, code=ErrorCode.HUB_LIMITED))
    assert "Try again in 2 s." in said(panel)
    qtbot.waitUntil(lambda: "Try again in 1 s." in said(panel), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: not any("Try again in" in t for t in said(panel)), timeout=DEADLINE_MS)
    assert "The hub limits requests." in said(panel)


def test_rejected_token_is_told_above_the_results(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    notice = "Your Hugging Face token was rejected, so the hub is asked without it."
    hub.answer(*hub_models(2), notice=notice)
    assert [row.kind for row in rows(panel)] == [RowKind.NOTE, RowKind.HUB, RowKind.HUB]
    assert "token was rejected" in texts_of(panel, RowKind.NOTE)


def test_nothing_found_is_said_only_when_the_hub_has_said_so(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    search(qtbot, panel, hub, "zzz")
    assert not any("No model" in text for text in said(panel))
    hub.answer()
    assert "No model matches “zzz”" in said(panel)


def test_hub_is_not_asked_without_an_engine(qtbot: QtBot) -> None:
    panel, mirror, hub = open_browser(qtbot)
    mirror.set_link(LinkState.STALE, "No engine listens.", 1.0)
    browse(panel)
    QTest.qWait(2 * hub_results.DEBOUNCE_MS)
    assert hub.questions == []
    mirror.set_link(LinkState.LIVE)
    assert len(hub.questions) == 1


# Pages


def test_next_page_comes_when_the_end_comes_into_view_without_doubles(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(30), cursor="two")
    QTest.qWait(50)
    assert len(hub.questions) == 1
    panel.view.setCurrentIndex(index_of(panel, "Hub-00028-4bit"))
    bar = panel.view.verticalScrollBar()
    bar.setValue(bar.maximum())
    qtbot.waitUntil(lambda: len(hub.questions) == 2)
    assert hub.last.cursor == "two"
    place = panel.view.visualRect(index_of(panel, "Hub-00028-4bit")).top()
    hub.answer(*hub_models(30, start=25))
    panel.view.grab()
    assert ids(panel) == [f"Hub-{n:05}-4bit" for n in range(55)]
    assert panel.view.visualRect(index_of(panel, "Hub-00028-4bit")).top() == place
    assert panel.view.currentIndex().data() == "Hub-00028-4bit"
    assert texts_of(panel, RowKind.FOOT) == ""


def test_failed_page_keeps_what_is_there_and_can_be_tried_again(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(5), cursor="two")
    qtbot.waitUntil(lambda: len(hub.questions) == 2)
    hub.refuse(OFFLINE)
    assert len(ids(panel)) == 5
    foot = panel.view.model().index(panel.view.model().rowCount() - 1, 0)
    assert "cannot be reached" in texts_of(panel, RowKind.FOOT)
    panel.view.setCurrentIndex(foot)
    panel.view.setFocus()
    qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert hub.last.cursor == "two"
    hub.answer(*hub_models(5, start=5))
    assert len(ids(panel)) == 10


def test_pages_of_which_the_filters_leave_nothing_end_in_a_question(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    panel.head.filter_button.changed.emit(Facets(licence="mit"))
    hub.answer(*hub_models(3), cursor="1")
    for number in range(1, 5):
        qtbot.waitUntil(lambda n=number: len(hub.questions) == n + 1)
        hub.answer(*hub_models(3, start=3 * number), cursor=str(number + 1))
    QTest.qWait(100)
    count = len(hub.questions)
    assert "Nothing more yet among 15 models" in texts_of(panel, RowKind.FOOT)
    foot = panel.view.model().index(panel.view.model().rowCount() - 1, 0)
    qtbot.mouseClick(panel.view.viewport(), LEFT, pos=button_of(panel, foot))
    assert len(hub.questions) == count + 1


def test_search_without_the_chosen_row_selects_no_other_and_gives_it_back(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(10))
    panel.view.setCurrentIndex(index_of(panel, "Hub-00004-4bit"))
    search(qtbot, panel, hub, "other")
    hub.answer(*hub_models(3, start=100))
    assert not panel.view.currentIndex().isValid()
    panel.search.clear()
    qtbot.waitUntil(lambda: hub.last.text == "")
    hub.answer(*hub_models(10))
    assert panel.view.currentIndex().data() == "Hub-00004-4bit"


def test_answers_stay_in_sight_while_the_engine_is_lost(qtbot: QtBot) -> None:
    panel, mirror, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(10))
    mirror.set_link(LinkState.STALE, "No engine listens.", 1.0)
    assert len(ids(panel)) == 10
    panel.search.setText("00003")
    assert ids(panel) == ["Hub-00003-4bit"]
    with qtbot.assertNotEmitted(panel.download_requested):
        press(qtbot, panel, "Hub-00003-4bit")


# Filters and sort


def test_filters_go_into_the_question_as_far_as_the_hub_can_filter(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    changed = panel.head.filter_button.changed
    changed.emit(Facets(quantization="8-bit", tags=frozenset(["vision"]), supported=True))
    assert (hub.last.quantization, hub.last.tag, hub.last.supported) == ("8-bit", "vision", True)
    assert hub.last.details == 0
    changed.emit(Facets(fits=True))
    assert hub.last.details == 30


def test_fits_filter_leaves_out_what_does_not_fit(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, installed("Huge-4bit", 90 * 10**9), installed("Own-4bit"))
    search(qtbot, panel, hub, "4bit")
    panel.head.filter_bar.changed.emit(Facets(fits=True))
    models = {
        verdict: hub_model(f"Is-{verdict.value}-4bit")
        for verdict in (Verdict.FITS, Verdict.TIGHT, Verdict.TOO_BIG)
    }
    known = [msgspec.structs.replace(m, **looked_up(m, verdict=v)) for v, m in models.items()]
    guess = hub_model("Guess-200B-4bit", parameters=200 * 10**9)
    hub.answer(*known, guess)
    assert ids(panel) == ["Own-4bit", "Is-fits-4bit", "Is-tight-4bit"]


def test_chips_show_filters_in_use_and_take_them_away(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, width=520)
    assert not panel.head.filter_bar.isVisible()
    browse(panel)
    bar = panel.head.filter_bar
    assert bar.isVisible()
    qtbot.mouseClick(bar.chip("4-bit"), LEFT)
    assert hub.last.quantization == "4-bit"
    assert bar.in_use == ["4-bit"]
    clear = panel.findChild(QPushButton, "filterClear")
    assert clear.text() == "1 filter · Clear"
    qtbot.mouseClick(bar.chip("Vision"), LEFT)
    assert clear.text() == "2 filters · Clear"
    qtbot.mouseClick(bar.chip("4-bit"), LEFT)
    assert hub.last.quantization == ""
    assert hub.last.tag == "vision"
    qtbot.mouseClick(clear, LEFT)
    assert bar.in_use == []
    assert hub.last.tag == ""


def test_filter_menu_offers_what_the_rows_have(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(hub_model("A", family="gemma3", licence="gemma"), hub_model("B", licence="mit"))
    menu = panel.head.filter_button.menu()
    menu.aboutToShow.emit()
    submenus = {m.title(): [a.text() for a in m.actions()] for m in menu.findChildren(QMenu)}
    assert submenus["Family"] == ["Any", "Gemma3", "Qwen3"]
    assert submenus["Licence"] == ["Any", "gemma", "mit"]
    licence = next(m for m in menu.findChildren(QMenu) if m.title() == "Licence")
    next(a for a in licence.actions() if a.text() == "mit").trigger()
    assert ids(panel) == ["B"]


def test_no_model_passes_the_filters_offers_to_clear_them(qtbot: QtBot) -> None:
    panel, _, _ = open_browser(qtbot, installed("Own-4bit"))
    panel.head.filter_button.changed.emit(Facets(quantization="8-bit"))
    assert "No model passes the filters" in said(panel)
    button = next(b for b in panel.findChildren(QPushButton) if b.text() == "Clear filters")
    qtbot.mouseClick(button, LEFT)
    assert ids(panel) == ["Own-4bit"]


@pytest.mark.parametrize(
    ("text", "sort"),
    [("Most downloads first", HubSort.DOWNLOADS), ("Smallest first", HubSort.SIZE)],
)
def test_sort_of_the_hub_asks_it_again(qtbot: QtBot, text: str, sort: HubSort) -> None:
    panel, _, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(3))
    menu = panel.head.sort.menu()
    visible = [a.text() for a in menu.actions() if a.isVisible() and a.text()]
    assert "Sort by name" not in visible
    next(a for a in menu.actions() if a.text() == text).trigger()
    assert hub.last.sort is sort
    assert hub.last.details == (30 if sort is HubSort.SIZE else 0)


# Segments and keys


def test_segments_are_walked_with_the_arrow_keys(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, installed("Own-4bit"))
    segments = panel.head.segments
    segments.button(0).setFocus()
    qtbot.keyClick(segments.button(0), Qt.Key.Key_Right)
    assert panel.head.segment is Segment.INSTALLED
    qtbot.keyClick(segments.button(1), Qt.Key.Key_Right)
    assert panel.head.segment is Segment.HUB
    assert segments.button(2).hasFocus()
    assert len(hub.questions) == 1


def test_arrow_down_from_the_last_installed_row_passes_the_title(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, installed("Own-4bit"))
    search(qtbot, panel, hub, "4bit")
    hub.answer(*hub_models(2))
    panel.focus_list()
    assert panel.view.currentIndex().data() == "Own-4bit"
    qtbot.keyClick(panel.view, Qt.Key.Key_Down)
    assert panel.view.currentIndex().data() == "Hub-00000-4bit"
    with qtbot.waitSignal(panel.inspect_requested) as asked:
        qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert asked.args == ["mlx-community/Hub-00000-4bit"]


# Downloads


@pytest.mark.parametrize("number", [40, 5000])
def test_models_02_download_of_a_hub_row_shows_its_tile_at_once_and_moves_nothing_else(
    qtbot: QtBot, number: int
) -> None:
    panel, mirror, hub = open_browser(qtbot, installed("Own-4bit"))
    browse(panel)
    hub.answer(*hub_models(6000))
    name = f"Hub-{number:05}-4bit"
    panel.view.reveal(index_of(panel, name))
    panel.view.settle()
    before = tops(panel)
    with qtbot.waitSignal(panel.download_requested):
        press(qtbot, panel, name)
    put(mirror, begun(name))
    assert panel.downloads.isVisible()
    assert name not in ids(panel)
    after = tops(panel)
    same = [key for key, top in after.items() if before.get(key) == top]
    assert len(same) >= 5
    assert {abs(top - before[key]) for key, top in after.items() if key in before} <= {0, 92}
    for segment in Segment:
        panel.show_segment(segment)
        assert name not in ids(panel)


def test_models_02_tile_of_a_download_stands_above_a_search_that_does_not_match(
    qtbot: QtBot,
) -> None:
    panel, mirror, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(60))
    press(qtbot, panel, "Hub-00040-4bit")
    panel.search.setText("no model has this name")
    put(mirror, begun("Hub-00040-4bit"))
    assert panel.downloads.isVisible()
    assert panel.downloads.model.rowCount() == 1
    assert panel.downloads.mapTo(panel, QPoint(0, 0)).y() < 200
    panel.search.clear()
    assert "Hub-00040-4bit" not in ids(panel)


def test_pressed_row_says_so_until_its_download_is_there(qtbot: QtBot) -> None:
    panel, mirror, hub = open_browser(qtbot)
    browse(panel)
    hub.answer(*hub_models(2))
    asked: list[str] = []
    panel.download_requested.connect(asked.append)
    press(qtbot, panel, "Hub-00001-4bit")
    assert [row.offer for row in rows(panel)] == [Offer.DOWNLOAD, Offer.WAIT]
    press(qtbot, panel, "Hub-00001-4bit")
    assert asked == ["mlx-community/Hub-00001-4bit"]
    panel.view.setCurrentIndex(index_of(panel, "Hub-00001-4bit"))
    put(mirror, begun("Hub-00001-4bit"))
    # The keyboard goes on from the next row.
    assert panel.view.currentIndex().data() == "Hub-00000-4bit"
    put(mirror)
    assert [row.offer for row in rows(panel)] == [Offer.DOWNLOAD, Offer.DOWNLOAD]


def test_end_of_a_download_turns_the_hub_row_into_run_in_the_same_frame(qtbot: QtBot) -> None:
    panel, mirror, hub = open_browser(qtbot)
    search(qtbot, panel, hub, "hub")
    hub.answer(*hub_models(3))
    put(mirror, begun("Hub-00001-4bit"))
    model = installed("Hub-00001-4bit")
    mirror.models = {model.id: model}
    mirror.models_changed.emit()
    assert "Hub-00001-4bit" not in ids(panel)
    put(mirror)
    assert ids(panel) == ["Hub-00001-4bit", "Hub-00000-4bit", "Hub-00002-4bit"]
    assert rows(panel)[0].offer is Offer.RUN
    browse(panel)
    hub.answer(*hub_models(3))
    assert rows(panel)[1].offer is Offer.RUN
    with qtbot.waitSignal(panel.run_requested) as asked:
        press(qtbot, panel, "Hub-00001-4bit")
    assert asked.args == [model.id]


def test_one_model_has_one_size_on_every_surface(qtbot: QtBot) -> None:
    panel, mirror, hub = open_browser(qtbot)
    browse(panel)
    one = hub_model("One-4bit")
    hub.answer(msgspec.structs.replace(one, **looked_up(one, size=4_640_000_000)))
    # What came is a little larger than what the hub's list said.
    model = installed("One-4bit", 4_750_000_000)
    mirror.models = {model.id: model}
    mirror.models_changed.emit()
    index = index_of(panel, "One-4bit")
    tip, spoken = (
        index.data(role)
        for role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole)
    )
    assert rows(panel)[0].size_bytes == model.size_bytes
    assert "4.8 GB" in tip
    assert "4.6 GB" not in tip
    assert "4.8 gigabytes" in spoken
    put(mirror, begun("One-4bit", total_bytes=4_640_000_000))
    assert ids(panel) == []
    assert "4.6 GB" in panel.downloads.model.index(0).data(Qt.ItemDataRole.ToolTipRole)


def test_ctrl_d_asks_for_the_selected_row_of_the_hub_only(qtbot: QtBot) -> None:
    panel, _, hub = open_browser(qtbot, installed("Own-4bit"))
    search(qtbot, panel, hub, "4bit")
    hub.answer(hub_model("New-4bit"), hub_model("Odd-4bit", supported=False))
    asked: list[str] = []
    panel.download_requested.connect(asked.append)
    for name in ("Own-4bit", "Odd-4bit", "New-4bit"):
        panel.view.setCurrentIndex(index_of(panel, name))
        panel.download_current()
    assert asked == ["mlx-community/New-4bit"]


# Rules


def test_answers_change_rows_by_id_and_hold_to_the_rules_of_qt(qtbot: QtBot) -> None:
    panel, mirror, hub = open_browser(qtbot, installed("Own-4bit"))
    proxy = panel.view.model()
    fatal = QAbstractItemModelTester.FailureReportingMode.Fatal
    testers = [
        QAbstractItemModelTester(model, fatal, panel)
        for model in (proxy.sourceModel(), proxy)  # type: ignore[attr-defined]
    ]
    resets: list[bool] = []
    proxy.modelReset.connect(lambda: resets.append(True))
    browse(panel)
    hub.answer(*hub_models(20), cursor="2")
    panel.view.setCurrentIndex(index_of(panel, "Hub-00012-4bit"))
    search(qtbot, panel, hub, "hub-0001")
    hub.answer(*reversed(hub_models(10, start=10)))
    assert panel.view.currentIndex().data() == "Hub-00012-4bit"
    put(mirror, begun("Hub-00011-4bit"))
    panel.show_segment(Segment.ALL)
    hub.answer(*hub_models(10, start=12))
    mirror.apply(snapshot(installed("Hub-00015-4bit")))
    panel.search.clear()
    panel.show_segment(Segment.INSTALLED)
    assert ids(panel) == ["Hub-00015-4bit"]
    assert resets == []
    assert len(testers) == 2


def tops(panel: ModelsPanel) -> dict[str, int]:
    """Return where each row in view begins on the screen."""
    view = panel.view
    view.grab()
    origin = view.viewport().mapTo(panel, QPoint(0, 0)).y()
    indexes = [view.model().index(n, 0) for n in view.visible_rows()]
    return {i.data(): origin + view.visualRect(i).top() for i in indexes}
