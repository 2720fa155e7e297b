"""Models on the disk in the real window: deleted, damaged and repaired."""

import html
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import StandInHub
from model_kit import make_folder
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QLabel, QMenu, QStyleOptionViewItem
from pytestqt.qtbot import QtBot
from window_kit import TINY, Desk, furnish, open_window, write_profile

from app import paths
from app.gui import format as fmt
from app.gui.delegates.download_tile import DownloadAction
from app.gui.delegates.model_tile import ModelTile
from app.gui.dialogs.delete_sheet import DeleteSheet
from app.gui.dialogs.settings import SettingsDialog
from app.gui.inspector.model.page import ModelPage
from app.gui.models import download_text
from app.gui.models.model_list import Role
from app.gui.models.model_rows import Offer
from app.gui.models.model_text import fit_word
from app.gui.models.palette_list import PaletteEntry

RUNS = "acme/Runs-4bit"

DEMO_FILES = {f.name: f.read_bytes() for f in paths.demo_model().iterdir() if f.suffix != ".md"}


@pytest.fixture
def lone(home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A window of its own: what these tests delete is gone."""
    furnish(home)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    with open(home / "settings.toml", "a") as file:  # noqa: PTH123
        file.write(f'model_folders = "{home}/disk"\n')
    make_folder(home / "disk/acme/Copy", DEMO_FILES)
    write_profile(home, "coding", "Coding", TINY)
    with open_window() as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: TINY in desk.mirror.models)
        desk.until(lambda: len(desk.mirror.models[TINY].locations) == 2)
        desk.until_live()
        yield desk


def spoil(file: Path) -> None:
    """Turn the last byte, so that only a checksum can tell."""
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def blobs(home: Path, repo_id: str) -> Path:
    return home / f"hf/hub/models--{repo_id.replace('/', '--')}/blobs"


def row(desk: Desk, model_id: str) -> QModelIndex:
    rows = desk.window.parts.models_panel.view.model()
    for place in range(rows.rowCount()):
        if rows.index(place, 0).data(Role.ROW).id == model_id:
            return rows.index(place, 0)
    return QModelIndex()


def press(desk: Desk, index: QModelIndex) -> None:
    """Press the button of a row."""
    view = desk.window.parts.models_panel.view
    view.reveal(index)
    option = QStyleOptionViewItem()
    option.rect, option.widget = view.visualRect(index), view
    tile = view.itemDelegate()
    assert isinstance(tile, ModelTile)
    place = tile.button_rect(option, index).center().toPoint()
    desk.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def page_of(desk: Desk, model_id: str) -> ModelPage:
    desk.window.parts.inspecting.show_model(model_id)
    page = desk.window.parts.inspector.page
    assert isinstance(page, ModelPage)
    return page


@pytest.fixture
def fetched(
    home: Path, standin: StandInHub, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """A window with one model that came from the hub."""
    furnish(home)
    monkeypatch.setenv("HF_ENDPOINT", standin.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    standin.add_model(RUNS, DEMO_FILES)
    with open_window() as window:
        desk = Desk(window, home, qtbot)
        desk.until_live()
        window.parts.downloads.begin(RUNS)
        desk.until(lambda: RUNS in desk.mirror.models)
        yield desk


def test_model_that_a_check_found_damaged_is_repaired_from_its_row(
    fetched: Desk, allow_log: Callable[[str], None]
) -> None:
    allow_log("download")
    largest = max(blobs(fetched.home, RUNS).iterdir(), key=lambda file: file.stat().st_size)
    intact = largest.read_bytes()
    spoil(largest)
    fetched.window.parts.model_actions.check(RUNS)
    fetched.until(lambda: row(fetched, RUNS).data(Role.ROW).offer is Offer.REPAIR)
    spoken = row(fetched, RUNS).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "cannot run: model.safetensors is damaged" in spoken
    page = page_of(fetched, RUNS)
    assert page.problem.text().startswith("model.safetensors is damaged")
    assert page.problem.button.text() == "Repair"
    assert "damaged" not in page.note.text()
    assert not page.memory.isVisible()
    assert not page.buttons.main.isEnabled()
    press(fetched, row(fetched, RUNS))
    fetched.until(lambda: RUNS in fetched.mirror.downloads or largest.read_bytes() == intact)
    fetched.until(lambda: row(fetched, RUNS).isValid())
    fetched.until(lambda: row(fetched, RUNS).data(Role.ROW).offer is Offer.RUN)
    assert largest.read_bytes() == intact
    fetched.until(page.memory.isVisible)
    assert not page.problem.text()


def test_model_that_is_cut_short_says_so_once_and_is_repaired_from_its_page(
    fetched: Desk, allow_log: Callable[[str], None]
) -> None:
    allow_log("download")
    largest = max(blobs(fetched.home, RUNS).iterdir(), key=lambda file: file.stat().st_size)
    size = largest.stat().st_size
    os.truncate(largest, size // 2)
    fetched.window.parts.session.call("scan", lambda api: api.scan_models())
    fetched.until(lambda: row(fetched, RUNS).data(Role.ROW).offer is Offer.REPAIR)
    page = page_of(fetched, RUNS)
    fetched.until(lambda: page.subject.details is not None)
    shown = [w.text() for w in page.findChildren(QLabel) if w.isVisible()]
    assert sum("is cut short" in text for text in shown) == 1
    assert not any("ot supported" in text for text in shown)
    assert page.memory.isHidden()
    fetched.click(page.problem, "Repair")
    fetched.until(lambda: largest.stat().st_size == size)
    fetched.until(lambda: row(fetched, RUNS).isValid())
    fetched.until(lambda: row(fetched, RUNS).data(Role.ROW).offer is Offer.RUN)


def question(desk: Desk) -> DeleteSheet:
    desk.window.parts.model_actions.delete(TINY)
    desk.until(lambda: desk.has_dialog(DeleteSheet))
    return desk.dialog(DeleteSheet)


def said(sheet: DeleteSheet) -> list[str]:
    return [label.text() for label in sheet.texts]


def test_delete_of_a_model_in_two_places_says_what_each_gives_back(lone: Desk) -> None:
    sheet = question(lone)
    first, does, second, goes = said(sheet)
    assert first.endswith("hf/hub/models--acme--Tiny-Chat-4bit")
    assert "are free at once" in does
    assert second.endswith("disk/acme/Copy")
    assert "go to the trash" in goes
    assert sheet.note.text() == ("The profile Coding uses it. It cannot start without it.")
    assert sheet.button.text() == "Delete anyway"
    assert sheet.cancel.isDefault()
    lone.click(sheet, "Delete anyway")
    lone.until(lambda: not any("Tiny" in m.name for m in lone.mirror.models.values()))
    notice = lone.window.parts.notice
    lone.until(lambda: notice.text.startswith("Tiny-Chat-4bit is deleted; "))
    assert "are free again; " in notice.text
    assert notice.text.endswith("are free when the trash is emptied")
    assert not (lone.home / "disk/acme/Copy").exists()
    assert not (lone.home / "hf/hub/models--acme--Tiny-Chat-4bit").exists()


def test_delete_of_one_copy_keeps_the_other(lone: Desk) -> None:
    sheet = question(lone)
    sheet.ticks[0].click()
    assert sheet.note.text() == "The profile Coding uses it."
    lone.click(sheet, "Delete anyway")
    notice = lone.window.parts.notice
    lone.until(lambda: notice.text.startswith("Tiny-Chat-4bit is in the trash; "))
    assert "free again" not in notice.text
    assert notice.text.endswith("models--acme--Tiny-Chat-4bit stays")
    lone.until(lambda: len(lone.mirror.models[TINY].locations) == 1)
    assert not (lone.home / "disk/acme/Copy").exists()


def test_enter_deletes_nothing_for_good(lone: Desk) -> None:
    sheet = question(lone)
    lone.keys("Return")
    lone.until(lambda: not lone.has_dialog(DeleteSheet))
    assert sheet is not None
    assert (lone.home / "hf/hub/models--acme--Tiny-Chat-4bit").exists()


def test_unfinished_files_are_cleared_in_the_settings(home: Path, qtbot: QtBot) -> None:
    furnish(home)
    orphan = blobs(home, TINY) / f"{'a' * 64}.1234abcd.incomplete"
    orphan.write_bytes(b"x" * 2_000_000)
    # What was written to lately may be another program's download.
    os.utime(orphan, (1e9, 1e9))
    with open_window() as window:
        desk = Desk(window, home, qtbot)
        desk.until_live()
        window.parts.settings.open_at("hub_token")
        dialog = desk.dialog(SettingsDialog)
        assert dialog.windowTitle() == "Models & storage"
        row = dialog.leftovers
        desk.until(row.button.isEnabled)
        shown = " ".join(label.text() for label in row.findChildren(QLabel))
        assert "2.0 MB of downloads that nobody goes on with: acme/Tiny-Chat-4bit." in shown
        desk.click(row, "Remove")
        desk.until(lambda: not orphan.exists())
        desk.until(lambda: window.parts.notice.text == "2.0 MB are free again")
        assert not row.button.isEnabled()
        dialog.close()


def test_page_offers_the_revisions_of_the_hub_and_downloads_the_chosen_one(
    fetched: Desk, standin: StandInHub, allow_log: Callable[[str], None]
) -> None:
    allow_log("download")
    other = "acme/Other-4bit"
    standin.add_model(other, DEMO_FILES).tags += ["v1.0", "v2/beta"]
    standin.rate = 100_000
    page = page_of(fetched, other)
    fetched.until(lambda: page.subject.details is not None)
    assert "v1.0 and v2/beta" in [fact.text for fact in page.facts.facts()]
    menu = page.buttons.menu()
    (choices,) = [a.menu() for a in menu.actions() if a.text() == "Download revision"]
    assert isinstance(choices, QMenu)
    next(a for a in choices.actions() if a.text().startswith("v1.0 · ")).trigger()
    menu.deleteLater()
    fetched.until(lambda: other in fetched.mirror.downloads)
    assert fetched.mirror.downloads[other].revision == "v1.0"
    standin.rate = None
    fetched.until(lambda: other in fetched.mirror.models)


def test_pasted_address_of_a_revision_downloads_that_revision(
    fetched: Desk, standin: StandInHub, allow_log: Callable[[str], None]
) -> None:
    allow_log("download")
    other = "acme/Other-4bit"
    standin.add_model(other, DEMO_FILES).tags.append("v1.0")
    standin.rate = 100_000
    panel = fetched.window.parts.models_panel
    panel.search.setText(f"{standin.url}/{other}/tree/v1.0")
    fetched.until(lambda: row(fetched, other).isValid())
    press(fetched, row(fetched, other))
    fetched.until(lambda: other in fetched.mirror.downloads)
    assert fetched.mirror.downloads[other].revision == "v1.0"
    standin.rate = None
    fetched.until(lambda: other in fetched.mirror.models)


def test_surfaces_never_differ_in_the_size_or_the_state_of_a_model(
    fetched: Desk, standin: StandInHub, allow_log: Callable[[str], None]
) -> None:
    allow_log("download")
    parts = fetched.window.parts
    page = page_of(fetched, RUNS)
    fetched.until(lambda: page.subject.folder is not None)
    fetched.until(lambda: page.subject.details is not None)
    size = fmt.file_size(fetched.mirror.models[RUNS].size_bytes)
    assert_alike(fetched, page, size, "Run")
    largest = max(blobs(fetched.home, RUNS).iterdir(), key=lambda file: file.stat().st_size)
    spoil(largest)
    parts.model_actions.check(RUNS)
    fetched.until(lambda: fetched.mirror.models[RUNS].is_damaged)
    assert_alike(fetched, page, size, "Repair")
    other = "acme/Other-4bit"
    standin.add_model(other, DEMO_FILES)
    standin.rate = 20_000
    page = page_of(fetched, other)
    fetched.until(lambda: page.subject.details is not None)
    planned = page.subject.size_bytes
    parts.downloads.begin(other)
    fetched.until(lambda: other in fetched.mirror.downloads)
    fetched.until(lambda: fetched.mirror.downloads[other].total_bytes)
    download = fetched.mirror.downloads[other]
    assert download.total_bytes == planned
    assert not row(fetched, other).isValid()
    strip = parts.models_panel.downloads.model
    line = download_text.line(fetched.mirror.downloads[other])
    assert line in strip.index(0).data(Qt.ItemDataRole.ToolTipRole)
    assert page.buttons.state.text() == line
    assert not any(other in entry.id for entry in palette(fetched))
    parts.downloads.act((DownloadAction.CANCEL, other))
    fetched.until(lambda: other not in fetched.mirror.downloads)


def palette(desk: Desk) -> list[PaletteEntry]:
    return list(desk.window.parts.quick.palette._entries())


def assert_alike(desk: Desk, page: ModelPage, size: str, offer: str) -> None:
    """Compare a model's row, tool-tip, page, palette and terminal."""
    index = row(desk, RUNS)
    shown = index.data(Role.ROW)
    fault = desk.mirror.models[RUNS].problem or ""
    assert fmt.file_size(shown.size_bytes) == size
    assert shown.offer is {"Run": Offer.RUN, "Repair": Offer.REPAIR}[offer]
    assert fault in html.unescape(index.data(Qt.ItemDataRole.ToolTipRole))
    (fact,) = [f.text for f in page.facts.facts() if f.label == "On the disk"]
    assert fact.startswith(f"{size} · ")
    assert page.files.aside.text().endswith(size)
    assert page.problem.text() == fault
    entries = {entry.id: entry for entry in palette(desk)}
    assert entries[f"show:{RUNS}"].detail.endswith(size)
    assert (f"run:{RUNS}" in entries) is (offer == "Run")
    found = index.data(Role.FIT)
    assert (found is None) is bool(fault)
    if found is not None:
        desk.until(lambda: page.memory.pill.text() == fit_word(found))
