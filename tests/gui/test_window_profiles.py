"""Profiles in the real window: copied, renamed, deleted and brought back, exported and imported."""

import sqlite3
import tomllib
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot
from window_kit import DEADLINE_S, TINY, Desk, furnish, open_window, wait_until

from app.gui.dialogs.import_sheet import ImportSheet
from app.gui.dialogs.profile_form import ProfileForm
from app.gui.dialogs.rename_sheet import RenameSheet
from app.gui.widgets.question import Question
from app.wire.nouns import ServerState

LEFT = Qt.MouseButton.LeftButton
TEXT = '# for work\nname = "Coding" # short\nmodel = "demo"\n\n[options]\n# warm\ntemp = 0.5\n'


def write(desk: Desk, profile_id: str, text: str) -> Path:
    file = desk.home / "profiles" / f"{profile_id}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    desk.until(lambda: profile_id in desk.mirror.profiles)
    return file


def command(desk: Desk, name: str) -> None:
    desk.window.parts.actions_by_id[name].trigger()


def drop(desk: Desk, profile_id: str) -> None:
    (desk.home / "profiles" / f"{profile_id}.toml").unlink(missing_ok=True)
    desk.until(lambda: profile_id not in desk.mirror.profiles)


def test_delete_asks_nothing_and_undo_brings_the_file_back(desk: Desk) -> None:
    file = write(desk, "coding", TEXT)
    desk.choose("Coding")
    command(desk, "delete_profile")
    notice = desk.window.parts.notice
    desk.until(lambda: notice.text == "Deleted Coding")
    assert not file.exists()
    desk.until(lambda: "coding" not in desk.mirror.profiles)
    desk.click(notice, "Undo")
    desk.until(lambda: "coding" in desk.mirror.profiles)
    assert file.read_text() == TEXT
    desk.until(lambda: desk.picker.currentText() == "Coding")
    drop(desk, "coding")


def test_delete_of_a_running_profile_asks_to_stop_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Question, "ask", lambda box, _yes: not asked.append(box.text()))
    file = write(desk, "coding", TEXT)
    desk.start("Coding", "coding")
    command(desk, "delete_profile")
    desk.until(lambda: not file.exists())
    assert asked == ["Stop Coding and delete its profile?"]
    desk.until(lambda: desk.window.parts.notice.text == "Deleted Coding")
    desk.until(lambda: "coding" not in desk.mirror.profiles)


def test_key_that_deletes_a_word_in_a_field_deletes_no_profile(desk: Desk) -> None:
    file = write(desk, "coding", TEXT)
    desk.choose("Coding")
    picker = desk.picker.lineEdit()
    assert picker is not None
    search = desk.window.parts.models_panel.search
    for focus, field in (("Ctrl+F", search), ("Ctrl+L", picker)):
        desk.keys(focus)
        desk.write("two words")
        desk.keys("Ctrl+Backspace")
        assert field.text() == "two "
    desk.keys("Escape")
    desk.keys("Ctrl+1")
    desk.keys("Ctrl+Backspace")
    desk.until(lambda: not file.exists())
    desk.until(lambda: "coding" not in desk.mirror.profiles)


def test_duplicate_makes_a_copy_and_chooses_it(desk: Desk) -> None:
    write(desk, "coding", TEXT)
    desk.choose("Coding")
    command(desk, "duplicate_profile")
    desk.until(lambda: desk.picker.currentText() == "Coding copy")
    assert desk.window.parts.notice.text == "Made Coding copy"
    saved = tomllib.loads((desk.home / "profiles" / "coding-copy.toml").read_text())
    assert saved["options"] == {"temp": 0.5}
    desk.click(desk.window.parts.notice, "Edit")
    desk.until(lambda: desk.has_dialog(ProfileForm))
    desk.dialog(ProfileForm).reject()
    for profile_id in ("coding", "coding-copy"):
        drop(desk, profile_id)


def test_rename_changes_the_name_alone_and_keeps_comments(desk: Desk) -> None:
    file = write(desk, "coding", TEXT)
    desk.choose("Coding")
    command(desk, "rename_profile")
    desk.until(lambda: desk.has_dialog(RenameSheet))
    sheet = desk.dialog(RenameSheet)
    sheet.field.selectAll()
    desk.qtbot.keyClicks(sheet.field, "Writing")
    desk.qtbot.keyClick(sheet.field, Qt.Key.Key_Return)
    desk.until(lambda: desk.picker.currentText() == "Writing")
    text = file.read_text()
    assert "# for work" in text
    assert "# warm" in text
    drop(desk, "coding")


def test_rename_whose_sheet_is_closed_before_the_answer_still_counts(desk: Desk) -> None:
    write(desk, "coding", TEXT)
    desk.choose("Coding")
    command(desk, "rename_profile")
    desk.until(lambda: desk.has_dialog(RenameSheet))
    sheet = desk.dialog(RenameSheet)
    sheet.field.setText("Writing")
    sheet.button.click()
    sheet.reject()
    desk.until(lambda: desk.picker.currentText() == "Writing")
    drop(desk, "coding")


def test_editor_shows_the_real_command_and_the_real_fit(desk: Desk) -> None:
    write(desk, "coding", TEXT)
    desk.choose("Coding")
    command(desk, "edit_profile")
    desk.until(lambda: desk.has_dialog(ProfileForm))
    form = desk.dialog(ProfileForm)
    desk.until(lambda: "--temp=0.5" in form.launch_card.command_view.toPlainText())
    desk.until(lambda: form.fit_line.pill.text() == "Fits")
    form.name_field.setText("demo")
    desk.until(lambda: "already a profile" in form._name_row._error.text())
    form.name_field.setText("Coding")
    form.reject()
    assert not desk.has_dialog(ProfileForm)
    drop(desk, "coding")


@pytest.mark.parametrize("choice", ["Keep mine", "Take the file's"])
def test_hand_edit_while_the_editor_is_open_blames_no_name_and_loses_no_input(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    asked: list[str] = []

    def choose(box: Question, *_texts: str, **_options: bool) -> str:
        asked.append(box.text())
        return choice

    monkeypatch.setattr(Question, "choose", choose)
    file = write(desk, "coding", TEXT)
    desk.choose("Coding")
    command(desk, "edit_profile")
    desk.until(lambda: desk.has_dialog(ProfileForm))
    form = desk.dialog(ProfileForm)
    revision = desk.mirror.profiles["coding"].revision
    file.write_text(TEXT.replace("0.5", "0.9").replace("# warm", "# hot"))
    desk.until(lambda: desk.mirror.profiles["coding"].revision != revision)
    tokens = form.rows["max_tokens"].control
    assert isinstance(tokens, QLineEdit)
    tokens.setText("77")
    desk.until(lambda: "--max-tokens=77" in form.launch_card.command_view.toPlainText())
    assert not form._name_row._error.text()
    form.save_button.click()
    desk.until(lambda: bool(asked))
    assert asked == ["Coding was changed elsewhere while you edited it."]
    if choice == "Keep mine":
        desk.until(lambda: not desk.has_dialog(ProfileForm))
        saved = tomllib.loads(file.read_text())
        assert saved["options"] == {"temp": 0.5, "max_tokens": 77}
        assert "# hot" in file.read_text()
    else:
        desk.until(lambda: desk.dialog(ProfileForm) is not form)
        assert desk.dialog(ProfileForm).draft().options == {"temp": 0.9}
        desk.dialog(ProfileForm).reject()
    drop(desk, "coding")


def test_quit_asks_about_input_and_an_end_from_outside_does_not(
    home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(home)
    answers = [""]
    monkeypatch.setattr(Question, "choose", lambda *_, **__: answers.pop())
    with open_window() as window:
        own = Desk(window, home, qtbot)
        own.until_live()
        own.keys("Ctrl+N")
        own.until(lambda: own.has_dialog(ProfileForm))
        form = own.dialog(ProfileForm)
        form.name_field.setText("Half a name")
        window.request_quit()
        assert answers == []
        assert form.isVisible()
        # The end of this block is one from outside: a question more would find no answer.


def test_editor_with_input_asks_before_it_closes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["", "Discard changes"]
    monkeypatch.setattr(Question, "choose", lambda *_texts, **_options: answers.pop(0))
    write(desk, "coding", TEXT)
    desk.choose("Coding")
    command(desk, "edit_profile")
    desk.until(lambda: desk.has_dialog(ProfileForm))
    form = desk.dialog(ProfileForm)
    form.name_field.setText("Other")
    desk.qtbot.keyClick(form, Qt.Key.Key_Escape)
    assert form.isVisible()
    assert form.name_field.text() == "Other"
    desk.qtbot.keyClick(form, Qt.Key.Key_Escape)
    assert not desk.has_dialog(ProfileForm)
    assert answers == []
    drop(desk, "coding")


def test_hand_edit_appears_at_once_and_a_broken_one_tells_its_line(desk: Desk) -> None:
    file = write(desk, "coding", TEXT)
    file.write_text(TEXT.replace("Coding", "By hand"))
    desk.until(lambda: desk.mirror.profiles["coding"].name == "By hand")
    file.write_text(TEXT + "top_p = = 1\n")
    desk.until(lambda: desk.mirror.profiles["coding"].fault is not None)
    fault = desk.mirror.profiles["coding"].fault
    assert fault is not None
    assert fault.line == 8
    drop(desk, "coding")


def test_exported_file_is_imported_after_a_look_and_undone(desk: Desk, tmp_path: Path) -> None:
    write(desk, "coding", TEXT)
    profiles = desk.window.parts.profiles
    file = tmp_path / "coding.mlxprofile"
    profiles.transfer.export_to("coding", file)
    desk.until(file.exists)
    profiles.import_file(file)
    desk.until(lambda: desk.has_dialog(ImportSheet))
    sheet = desk.dialog(ImportSheet)
    assert sheet.cards[0].entry.name == "Coding 2"
    assert "coding-2" not in desk.mirror.profiles
    desk.qtbot.mouseClick(sheet.import_button, LEFT)
    desk.until(lambda: desk.picker.currentText() == "Coding 2")
    assert not desk.has_dialog(ImportSheet)
    notice = desk.window.parts.notice
    desk.until(lambda: notice.text == "Imported Coding 2")
    desk.click(notice, "Undo")
    desk.until(lambda: "coding-2" not in desk.mirror.profiles)
    drop(desk, "coding")


def test_file_that_cannot_be_imported_is_a_sentence_with_its_line(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "bad.mlxprofile"
    file.write_text("format = 1\nx = = 2\n")
    desk.window.parts.profiles.import_file(file)
    desk.until(lambda: "(line 2)" in desk.window.parts.notice.text)
    desk.window.parts.notice.dismiss()
    desk.window.parts.profiles.import_file(tmp_path / "gone.mlxprofile")
    desk.until(lambda: "gone.mlxprofile cannot be imported" in desk.window.parts.notice.text)
    assert not desk.has_dialog(ImportSheet)


def test_profile_that_was_started_last_comes_first(desk: Desk) -> None:
    write(desk, "aaa", f'name = "Aaa"\nmodel = "{TINY}"\n')
    desk.start("Demo", "demo")
    assert desk.picker.itemText(0) == "Demo"
    desk.window.parts.session.stop("demo")
    desk.until_state("demo", ServerState.STOPPED)
    drop(desk, "aaa")


def test_predecessor_is_offered_only_where_there_is_one(desk: Desk) -> None:
    assert not desk.window.parts.actions_by_id["import_predecessor"].isVisible()


def test_predecessor_is_imported_with_one_click(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, qapp: QApplication
) -> None:
    database = own_home / "old.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE server_profiles (id INTEGER, name TEXT, model_path TEXT)")
    connection.execute("INSERT INTO server_profiles VALUES (1, 'Old one', 'a/b')")
    connection.commit()
    connection.close()
    monkeypatch.setenv("MLX_MANAGER_DATABASE_PATH", str(database))
    monkeypatch.setenv("HF_HOME", str(own_home / "hf"))
    with open_window() as window:
        parts = window.parts
        button = parts.servers_panel.empty.import_button
        assert wait_until(button.isVisible, DEADLINE_S)
        assert parts.actions_by_id["import_predecessor"].isVisible()
        button.click()
        assert wait_until(lambda: parts.profiles.transfer.sheet is not None, DEADLINE_S)
        parts.profiles.transfer.sheet.import_button.click()
        assert wait_until(lambda: "old-one" in parts.mirror.profiles, DEADLINE_S)
        assert wait_until(lambda: not button.isVisible(), DEADLINE_S)
