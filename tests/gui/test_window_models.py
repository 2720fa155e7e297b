"""Models on the disk in the real window: deleted, damaged and repaired."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from model_kit import make_folder
from pytestqt.qtbot import QtBot
from window_kit import START_S, TINY, Desk, furnish, open_window, write_profile

from app import paths
from app.gui.dialogs.delete_sheet import DeleteSheet

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
        desk.until(lambda: TINY in desk.mirror.models, START_S)
        desk.until(lambda: len(desk.mirror.models[TINY].locations) == 2, START_S)
        desk.until_live()
        yield desk


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
    lone.until(lambda: not any("Tiny" in m.name for m in lone.mirror.models.values()), START_S)
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
    lone.until(lambda: notice.text.startswith("Tiny-Chat-4bit is in the trash; "), START_S)
    assert "free again" not in notice.text
    assert notice.text.endswith("models--acme--Tiny-Chat-4bit stays")
    lone.until(lambda: len(lone.mirror.models[TINY].locations) == 1, START_S)
    assert not (lone.home / "disk/acme/Copy").exists()


def test_enter_deletes_nothing_for_good(lone: Desk) -> None:
    sheet = question(lone)
    lone.keys("Return")
    lone.until(lambda: not lone.has_dialog(DeleteSheet))
    assert sheet is not None
    assert (lone.home / "hf/hub/models--acme--Tiny-Chat-4bit").exists()
