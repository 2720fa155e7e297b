"""Downloads in the models panel, with a mirror that the test writes."""

import re
import time
from collections.abc import Callable

import pytest
from patience import DEADLINE_MS
from PySide6.QtCore import QAbstractItemModel, QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from app.gui.delegates.download_tile import DownloadAction, remedy
from app.gui.main import make_application
from app.gui.mirror import LinkState, Mirror
from app.gui.models import download_text
from app.gui.models.download_list import DownloadList, DownloadRole
from app.gui.models.hub_text import hub_id, wanted_revision
from app.gui.models.model_list import Role
from app.gui.panels.models_panel import ModelsPanel
from app.wire.errors import ErrorCode
from app.wire.nouns import Download, DownloadState, Failure, Model, ModelSource

GB = 1_000_000_000


def model(number: int) -> Model:
    name = f"Model-{number:04}-4bit"
    return Model(f"mlx-community/{name}", name, "mlx-community", ModelSource.HUB, "/m", GB)


def download(number: int, **fields: object) -> Download:
    known = {
        "total_bytes": 17 * GB, "done_bytes": 10 * GB, "bytes_per_s": 48.2e6, "eta_s": 140.0,
        "added_at": float(number), "state": DownloadState.DOWNLOADING, **fields,
    }  # fmt: skip
    return Download(model(number).id, **known)  # type: ignore[arg-type]


@pytest.fixture
def mirror() -> Mirror:
    make_application()
    one = Mirror()
    one.models = {m.id: m for m in (model(n) for n in range(60))}
    one.link = LinkState.LIVE
    return one


@pytest.fixture
def panel(mirror: Mirror, qtbot: QtBot) -> ModelsPanel:
    one = ModelsPanel(mirror)
    qtbot.addWidget(one)
    one.resize(400, 800)
    one.show()
    qtbot.waitExposed(one)
    return one


def put(mirror: Mirror, *downloads: Download) -> None:
    mirror.downloads = {d.id: d for d in downloads}
    mirror.downloads_changed.emit()


def buttons(panel: ModelsPanel) -> dict[DownloadAction, QRectF]:
    """Return where the buttons of the first download are."""
    strip, option = panel.downloads, QStyleOptionViewItem()
    option.rect = strip.view.visualRect(strip.model.index(0))
    option.widget = strip.view
    return strip.tile.button_rects(option, strip.model.index(0).data(DownloadRole.DOWNLOAD))


def press(qtbot: QtBot, panel: ModelsPanel, action: DownloadAction) -> None:
    place = buttons(panel)[action].center().toPoint()
    qtbot.mouseClick(panel.downloads.view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def shown(view_model: QAbstractItemModel) -> list[str]:
    return [view_model.index(row, 0).data(Role.MODEL).id for row in range(view_model.rowCount())]


def test_models_02_download_of_a_row_far_down_is_seen_at_once_and_its_tile_hidden(
    panel: ModelsPanel, mirror: Mirror, qtbot: QtBot
) -> None:
    panel.search.setText("no model has this name")
    put(mirror, download(40))
    assert panel.downloads.isVisible()
    assert panel.downloads.model.rowCount() == 1
    assert panel.downloads.mapTo(panel, QPoint(0, 0)).y() < 200
    panel.search.clear()
    assert model(40).id not in shown(panel.view.model())
    assert len(shown(panel.view.model())) == 59


def test_models_02_rows_stay_on_the_screen_while_a_download_comes_and_goes(
    panel: ModelsPanel, mirror: Mirror, qtbot: QtBot
) -> None:
    panel.view.verticalScrollBar().setValue(2000)
    before = tops(panel)
    put(mirror, download(59))
    assert panel.downloads.isVisible()
    after = tops(panel)
    assert len(after) > 4
    assert all(before[name] == top for name, top in after.items())
    put(mirror)
    assert not panel.downloads.isVisible()
    assert tops(panel) == before


@pytest.mark.parametrize("place", [0, 1, 3, 5])
def test_models_02_download_of_a_row_in_view_moves_only_what_closes_its_gap(
    panel: ModelsPanel, mirror: Mirror, place: int
) -> None:
    panel.view.verticalScrollBar().setValue(2000)
    before = tops(panel)
    number = int(list(before)[place].split("-")[2])
    put(mirror, download(number))
    moves = [top - before[name] for name, top in tops(panel).items() if name in before]
    # The tile is as high as a row: it goes to the top, and only the rows between make room.
    assert set(moves) <= {0, 92, -92}
    assert moves.count(0) >= len(moves) / 2


def tops(panel: ModelsPanel) -> dict[str, int]:
    """Return where each row in view begins on the screen."""
    view = panel.view
    view.grab()
    indexes = [view.model().index(row, 0) for row in view.visible_rows()]
    origin = view.viewport().mapTo(panel, QPoint(0, 0)).y()
    return {i.data(Role.MODEL).id: origin + view.visualRect(i).top() for i in indexes}


def test_end_of_a_download_shows_its_model_in_the_same_frame(
    panel: ModelsPanel, mirror: Mirror
) -> None:
    put(mirror, download(3))
    assert model(3).id not in shown(panel.view.model())
    put(mirror)
    assert model(3).id in shown(panel.view.model())
    assert not panel.downloads.isVisible()


def test_keyboard_goes_from_the_downloads_to_the_list_by_tab_and_at_their_end(
    panel: ModelsPanel, mirror: Mirror, qtbot: QtBot
) -> None:
    put(mirror, download(1))
    panel.activateWindow()
    panel.view.setFocus()
    qtbot.waitUntil(panel.view.hasFocus)
    qtbot.keyClick(panel.view, Qt.Key.Key_Backtab)
    assert panel.downloads.view.hasFocus()
    qtbot.keyClick(panel.downloads.view, Qt.Key.Key_Tab)
    assert panel.view.hasFocus()
    panel.downloads.view.setFocus()
    put(mirror)
    assert panel.view.hasFocus()


def test_strip_is_at_most_three_tiles_high(panel: ModelsPanel, mirror: Mirror) -> None:
    put(mirror, *(download(n) for n in range(7)))
    assert panel.downloads.view.height() == 3 * 92
    assert panel.downloads.view.verticalScrollBar().maximum() > 0
    assert panel.downloads.more.text() == "4 more"


def stopped(number: int, state: DownloadState = DownloadState.PAUSED) -> Download:
    return download(number, bytes_per_s=None, eta_s=None, state=state)


def tiles_in_sight(panel: ModelsPanel) -> list[str]:
    view = panel.downloads.view
    view.grab()
    return [view.model().index(row, 0).data() for row in view.visible_rows()]


@pytest.mark.parametrize("number", [40, 4999])
@pytest.mark.parametrize("height", [500, 860])
@pytest.mark.parametrize("others", [stopped, download])
def test_models_02_new_download_is_in_sight_beside_many_others(
    mirror: Mirror, qtbot: QtBot, number: int, height: int, others: Callable[[int], Download]
) -> None:
    mirror.models = {m.id: m for m in (model(n) for n in range(5000))}
    panel = ModelsPanel(mirror)
    qtbot.addWidget(panel)
    panel.resize(400, height)
    panel.show()
    qtbot.waitExposed(panel)
    before = [others(n) for n in range(6)]
    put(mirror, *before)
    panel.search.setText("no model has this name")
    new = download(number, state=DownloadState.QUEUED, place=9, added_at=1e9)
    put(mirror, *before, new)
    assert new.id in tiles_in_sight(panel)
    assert panel.downloads.more.isVisible()
    panel.search.clear()
    assert new.id not in shown(panel.view.model())


def test_stopped_downloads_go_below_the_others_but_not_under_the_pointer(
    panel: ModelsPanel, mirror: Mirror
) -> None:
    put(mirror, download(1), download(2), download(3))
    view = panel.downloads.view
    place = QPointF(view.rect().center())
    QApplication.sendEvent(view, QEnterEvent(place, place, place))
    put(mirror, stopped(1), download(2), download(3))
    assert tiles_in_sight(panel) == [model(n).id for n in (1, 2, 3)]
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    QApplication.sendEvent(view.viewport(), QEvent(QEvent.Type.Leave))
    assert tiles_in_sight(panel) == [model(n).id for n in (2, 3, 1)]


def test_stopped_downloads_leave_half_of_a_low_window_to_the_list(
    panel: ModelsPanel, mirror: Mirror
) -> None:
    panel.resize(400, 545)
    put(mirror, *(stopped(n) for n in range(3)))
    panel.grab()
    assert panel.downloads.view.height() == 92
    assert panel.view.height() > 545 / 2
    assert panel.downloads.more.text() == "2 more"
    panel.downloads.more.click()
    assert tiles_in_sight(panel) == [model(1).id]


def test_progress_changes_one_row_and_resets_nothing(
    panel: ModelsPanel, mirror: Mirror, qtbot: QtBot
) -> None:
    put(mirror, download(1), download(2))
    source = panel.downloads.model
    resets: list[bool] = []
    changed: list[int] = []
    source.modelReset.connect(lambda: resets.append(True))
    source.dataChanged.connect(lambda first, last, _: changed.append(first.row()))
    put(mirror, download(1), download(2, done_bytes=11 * GB))
    assert (resets, changed) == ([], [1])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ["10.0 of 17.0 GB", "48 MB/s", "2 min 20 s left"]),
        ({"eta_s": None, "bytes_per_s": None}, ["10.0 of 17.0 GB"]),
        ({"eta_s": 480.0}, ["8 min left"]),
        ({"eta_s": 7200.0}, ["2 h left"]),
    ],
)
def test_line_says_amount_speed_and_time_left(
    panel: ModelsPanel, mirror: Mirror, fields: dict[str, object], words: list[str]
) -> None:
    put(mirror, download(1, **fields))
    index = panel.downloads.model.index(0)
    spoken = index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert all(word in spoken for word in ["58%", *words])


def test_failure_is_told_with_its_hint(panel: ModelsPanel, mirror: Mirror) -> None:
    failure = Failure(ErrorCode.DISK_FULL, "The disk is full (1.2 GB short).", "Free some space.")
    broken = Download(model(1).id, DownloadState.BLOCKED, failure=failure)
    put(mirror, broken)
    tip = panel.downloads.model.index(0).data(Qt.ItemDataRole.ToolTipRole)
    assert "1.2 GB short" in tip
    assert "Free some space." in tip


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (DownloadState.DOWNLOADING, DownloadAction.PAUSE),
        (DownloadState.PAUSED, DownloadAction.RESUME),
        (DownloadState.FAILED, DownloadAction.RETRY),
    ],
)
def test_buttons_ask_for_what_they_show(
    panel: ModelsPanel, mirror: Mirror, qtbot: QtBot, state: DownloadState, action: DownloadAction
) -> None:
    one = Download(model(1).id, state, total_bytes=GB, done_bytes=5)
    put(mirror, one)
    asked: list[tuple[DownloadAction, str]] = []
    panel.download_action_requested.connect(asked.append)
    for pressed in list(buttons(panel)):
        press(qtbot, panel, pressed)
    assert asked == [(action, one.id), (DownloadAction.CANCEL, one.id)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mlx-community/Qwen3-8B-4bit", "mlx-community/Qwen3-8B-4bit"),
        (" https://huggingface.co/mlx-community/Qwen3-8B-4bit ", "mlx-community/Qwen3-8B-4bit"),
        ("https://huggingface.co/a/b/tree/main?x=1", "a/b"),
        ("qwen 8b", None),
        ("a/b/c", None),
        ("../etc", None),
        ("https://huggingface.co/", None),
    ],
)
def test_hub_id_is_read_from_ids_and_addresses(text: str, expected: str | None) -> None:
    assert hub_id(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://huggingface.co/a/b/tree/v1.0?x=1", "a/b@v1.0"),
        ("https://huggingface.co/a/b/commit/abc", "a/b@abc"),
        ("https://huggingface.co/a/b/tree/", "a/b"),
        ("https://huggingface.co/a/c/tree/v1.0", "a/b"),
        ("a/b", "a/b"),
    ],
)
def test_address_of_a_revision_keeps_it(text: str, expected: str) -> None:
    assert wanted_revision(text, "a/b") == expected


def test_model_holds_to_the_rules_of_qt(mirror: Mirror) -> None:
    source = DownloadList()
    tester = QAbstractItemModelTester(source, QAbstractItemModelTester.FailureReportingMode.Warning)
    source.sync({d.id: d for d in (download(1), download(2))})
    source.sync({d.id: d for d in (download(2, done_bytes=0), download(3))})
    source.sync({})
    assert source.rowCount() == 0
    assert tester.model() is source


def test_strip_leaves_room_for_the_list_in_a_low_window(
    panel: ModelsPanel, mirror: Mirror, qtbot: QtBot
) -> None:
    put(mirror, *(download(n) for n in range(7)))

    def is_laid_out(rows: int) -> bool:
        top = panel.view.mapTo(panel, QPoint()).y()
        is_below = top > panel.downloads.geometry().bottom()
        is_high = panel.downloads.view.height() == rows * 92
        return is_high and is_below and panel.view.height() >= 150

    for height, rows in ((500, 1), (546, 2), (900, 3)):
        panel.resize(400, height)
        qtbot.waitUntil(lambda rows=rows: is_laid_out(rows), timeout=DEADLINE_MS)


@pytest.mark.parametrize(
    ("code", "words", "where"),
    [
        (ErrorCode.ACCESS_NEEDED, "Ask for access", "page"),
        (ErrorCode.TOKEN_NEEDED, "Add token…", "hub_token"),
        (ErrorCode.DISK_FULL, "Free up space…", "model_folders"),
        (ErrorCode.HUB_FAILED, "Try again", "retry"),
    ],
)
def test_stopped_download_has_a_worded_button_for_the_way_out(
    panel: ModelsPanel, mirror: Mirror, qtbot: QtBot, code: ErrorCode, words: str, where: str
) -> None:
    failure = Failure(code, "No.", "Do this first.")
    put(mirror, Download(model(1).id, DownloadState.BLOCKED, failure=failure))
    action, text = remedy(failure)
    assert text == words
    assert "Do this first." in panel.downloads.model.index(0).data(
        Qt.ItemDataRole.AccessibleTextRole
    )
    asked: list[object] = []
    panel.open_page_requested.connect(lambda _: asked.append("page"))
    panel.downloads.setting_requested.connect(asked.append)
    panel.download_action_requested.connect(lambda wish: asked.append(wish[0].value))
    press(qtbot, panel, action)
    assert asked == [where]
    # A click at the same place of one that goes on asks for nothing.
    place = buttons(panel)[action].center().toPoint()
    put(mirror, download(1))
    qtbot.mouseClick(panel.downloads.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert asked == [where] or action is DownloadAction.RETRY


def test_waiting_download_counts_down_and_can_be_paused(
    panel: ModelsPanel, mirror: Mirror, qtbot: QtBot
) -> None:
    limited = download(
        1, state=DownloadState.WAITING, waiting="The hub limits requests", retry_at=time.time() + 42
    )
    put(mirror, limited)
    assert re.fullmatch(r"The hub limits requests; again in 4[12] s", download_text.line(limited))
    asked: list[object] = []
    panel.download_action_requested.connect(lambda wish: asked.append(wish[0]))
    press(qtbot, panel, DownloadAction.PAUSE)
    press(qtbot, panel, DownloadAction.RETRY)
    assert asked == [DownloadAction.PAUSE, DownloadAction.RETRY]
    later = download(1, state=DownloadState.WAITING, waiting="Waits until 22:00", place=1,
                     retry_at=time.time() + 4200)  # fmt: skip
    assert download_text.line(later) == "Waits until 22:00"


def test_rejected_token_is_told_on_the_line() -> None:
    notice = "Your Hugging Face token was rejected, so this download goes on without it."
    text = download_text.line(download(1, notice=notice))
    assert text.startswith("Your Hugging Face token was rejected · 10.0 of 17.0 GB")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("{} needs a login at the hub.", "Needs a login at the hub."),
        ("Download of {} stopped: the disk is full.", "The disk is full."),
        ("The authors of {} must allow you to download it.",
         "The authors must allow you to download it."),
        ("There is no model {} on the hub.", "There is no such model on the hub."),
    ],
)  # fmt: skip
def test_line_says_why_without_the_name_that_stands_above_it(message: str, shown: str) -> None:
    failure = Failure(ErrorCode.DISK_FULL, message.format(model(1).id))
    stopped = Download(model(1).id, DownloadState.BLOCKED, failure=failure)
    assert download_text.line(stopped) == shown
