"""The editor's live answers, the import sheet, renaming, dropping files, and the order of use."""

from pathlib import Path

import pytest
from form_kit import MODELS, RUNTIME, field, form, texts
from panel_kit import engine
from patience import DEADLINE_MS
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QMainWindow
from pytestqt.qtbot import QtBot

from app.gui.dialogs.import_sheet import ImportSheet
from app.gui.dialogs.model_picker import SIZE_ROLE, VERDICT_ROLE, ModelPicker
from app.gui.dialogs.option_row import OptionRow, detail_text
from app.gui.dialogs.profile_form import ProfileForm
from app.gui.dialogs.rename_sheet import RenameSheet
from app.gui.main import make_application
from app.gui.main_window.dropping import DropTarget
from app.gui.mirror import Mirror
from app.gui.models.profile_list import ProfileList
from app.gui.theme import theme
from app.wire.events import Snapshot
from app.wire.hub import Fit, Verdict
from app.wire.nouns import Profile
from app.wire.options import Option, OptionKind
from app.wire.portable import (
    Consent,
    FieldProblem,
    ImportEntry,
    ImportPreview,
    ImportRequest,
    ImportValue,
    LaunchPreview,
    PythonFacts,
)

LEFT = Qt.MouseButton.LeftButton
QWEN = MODELS[0].id
PYTHON = PythonFacts("", "mlx-lm 0.32.2 · mlx 0.32.4 · Python 3.11")


def editing(qtbot: QtBot) -> ProfileForm:
    return form(qtbot, Profile("x", "Coding", QWEN, options={"temp": 0.5}, revision="r"))


def test_form_asks_about_its_draft_after_a_moment_of_rest(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    with qtbot.waitSignal(dialog.draft_changed, timeout=DEADLINE_MS) as blocker:
        field(dialog, "max_tokens").setText("100")
    assert blocker.args is not None
    draft = blocker.args[0]
    assert (draft.options, draft.revision) == ({"temp": 0.5, "max_tokens": 100}, "r")


def test_form_asks_without_the_field_that_is_wrong(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    with qtbot.waitSignal(dialog.draft_changed, timeout=DEADLINE_MS) as blocker:
        field(dialog, "temp").setText("hot")
    assert blocker.args is not None
    assert blocker.args[0].options == {}


def test_form_shows_the_command_and_copies_it(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    assert not dialog.launch_card.copy_button.isEnabled()
    dialog.show_preview(LaunchPreview("mlx_lm.server --model x", (), PYTHON))
    assert dialog.launch_card.facts_label.text() == PYTHON.text
    qtbot.mouseClick(dialog.launch_card.copy_button, LEFT)
    assert QGuiApplication.clipboard().text() == "mlx_lm.server --model x"


def test_form_shows_the_engines_word_at_its_field_and_takes_it_back(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    problems = (FieldProblem("name", "Name is taken."), FieldProblem("temp", "Too hot."))
    dialog.show_preview(LaunchPreview("", problems))
    assert {"Name is taken.", "Too hot."} <= set(texts(dialog))
    dialog.show_preview(LaunchPreview("x", ()))
    assert not {"Name is taken.", "Too hot."} & set(texts(dialog))


def test_form_blames_nobody_for_an_empty_field(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    problems = (FieldProblem("name", "Needs a name."), FieldProblem("model", "Needs a model."))
    dialog.show_preview(LaunchPreview("", problems))
    assert not {"Needs a name.", "Needs a model."} & set(texts(dialog))


def test_form_greys_out_what_the_python_does_not_know(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    row, own = dialog.rows["max_tokens"], dialog.rows["temp"]
    reason = "mlx-lm 0.1 has no --x."
    facts = PythonFacts("/p", "mlx-lm 0.1", "", {"max_tokens": reason, "temp": reason})
    dialog.show_preview(LaunchPreview("x", (), facts))
    assert not row.control.isEnabled()
    assert any(f"Not available: {reason}" in text for text in texts(dialog))
    # What is set must be possible to take out.
    assert own.control.isEnabled()
    dialog.show_preview(LaunchPreview("x", (), PYTHON))
    assert row.control.isEnabled()


def test_form_leaves_it_to_the_engine_whether_a_python_knows_the_model(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    dialog.model_field.setEditText("someone/Newborn")
    assert not any("newborn" in text for text in texts(dialog))
    dialog.show_preview(LaunchPreview("x", (FieldProblem("model", "Not with this Python."),)))
    assert "Not with this Python." in texts(dialog)


def test_form_opens_at_the_field_that_a_tile_names(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    control = field(dialog, "cache")
    assert not control.isVisible()
    dialog.activateWindow()
    dialog.show_field("cache")
    qtbot.waitUntil(lambda: control.isVisible() and not control.visibleRegion().isEmpty())
    assert dialog.focusWidget() is control


def test_models_are_offered_with_size_and_verdict_for_the_draft_model_too(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    draft = dialog.rows["draft_model"].control
    assert isinstance(draft, ModelPicker)
    for picker in (dialog.model_field, draft):
        rows = picker.model()
        row = picker.findText(QWEN)
        assert rows.index(row, 0).data(SIZE_ROLE) == "1 B"
        assert rows.index(row, 0).data(VERDICT_ROLE) == Verdict.TIGHT
        matches = picker.completer()
        assert matches is not None
        matches.setCompletionPrefix("qwen3")
        assert matches.completionModel().index(0, 0).data(VERDICT_ROLE) == Verdict.TIGHT
    assert dialog.model_field.currentText() == QWEN
    assert draft.currentText() == ""
    draft.setEditText("some/draft")
    assert dialog.draft().options["draft_model"] == "some/draft"
    dialog.show_preview(LaunchPreview("", (FieldProblem("draft_model", "It is not there."),)))
    dialog.all_button.setChecked(True)
    assert "It is not there." in texts(dialog)


def test_form_shows_whether_the_chosen_model_fits(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    fit = Fit(Verdict.TIGHT, "weights 3.0 = 3.0 of 3.2 GB", 4096)
    dialog.show_fit("another/model", fit)
    assert dialog.fit_line.isHidden()
    dialog.show_fit(QWEN, fit)
    assert dialog.fit_line.pill.text() == "Tight"
    assert "Weights 3.0 = 3.0 of 3.2\N{NO-BREAK SPACE}GB" in texts(dialog)
    dialog.model_field.setEditText("else/where")
    assert dialog.fit_line.isHidden()


def test_form_shows_the_beginning_of_a_long_model_once_it_is_chosen(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    line = dialog.model_field.lineEdit()
    assert line is not None
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    line.setFocus()
    line.clear()
    qtbot.keyClicks(line, f"somebody/{'long-' * 20}4bit")
    assert dialog.model_field.toolTip() == line.text()
    dialog.name_field.setFocus()
    qtbot.waitUntil(lambda: line.cursorPosition() == 0)


def test_form_says_search_models_as_readably_as_the_other_fields(qtbot: QtBot) -> None:
    make_application()
    theme().set_mode("light")
    dialog = form(qtbot)
    line = dialog.model_field.lineEdit()
    assert line is not None
    inks = {f.palette().placeholderText().color().name() for f in (line, dialog.name_field)}
    assert inks == {theme().color("tx3").name()}


def test_form_tells_range_default_and_reason_of_every_option(qtbot: QtBot) -> None:
    dialog = editing(qtbot)
    row = dialog.rows["max_tokens"]
    assert "512 tokens" in row.toolTip()
    assert not any("Default: 512 tokens. From" in text for text in texts(dialog))
    qtbot.mouseClick(dialog.all_button, LEFT)
    assert any("Default: 512 tokens. From 1 to 1,000,000." in text for text in texts(dialog))
    assert row.toolTip() == ""
    assert "1 to 1,000,000" in row.control.accessibleDescription()


def test_detail_of_an_option_ends_with_its_reason() -> None:
    option = Option(
        "a", "--a", OptionKind.INT, "A", "Help.", default=3, minimum=1, maximum=9, why="It is odd."
    )
    assert detail_text(option) == "Default: 3. From 1 to 9. It is odd."
    flag = Option("b", "--b", OptionKind.FLAG, "B", "Help.", default=False, why="Safe.")
    assert detail_text(flag) == "Default: off. Safe."


def test_new_profile_starts_with_what_the_settings_want(qtbot: QtBot) -> None:
    wanted = Profile("", "", "", policy={"start_on_request": True, "idle_stop_minutes": 30})
    dialog = form(qtbot, wanted)
    assert dialog.windowTitle() == "New profile"
    assert dialog.save_button.text() == "Create"
    assert dialog.draft().policy == {"start_on_request": True, "idle_stop_minutes": 30}


CODE = ImportValue("0.trust", "Run code", "on", "off", Consent.CODE)
FOLDER = ImportValue("1.model", "Model folder", "/m/x", "not set", Consent.PATHS)
ENTRIES = (
    ImportEntry(0, "Coding 2", "Coding", QWEN, (
        ImportValue("0.temp", "Temperature", "0.7", "0"), CODE,
    ), ("This app has no option “future”, so it is left out.",)),
    ImportEntry(1, "Local", "Local", "/m/x", (FOLDER,)),
    ImportEntry(2, "Half", "Half", "", problem="“model” is missing or not text."),
)  # fmt: skip


@pytest.fixture
def sheet(qtbot: QtBot) -> ImportSheet:
    dialog = ImportSheet("team.mlxprofile", ImportPreview(ENTRIES), frozenset({QWEN}))
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitExposed(dialog)
    return dialog


def submitted(qtbot: QtBot, sheet: ImportSheet) -> ImportRequest:
    with qtbot.waitSignal(sheet.submitted, timeout=DEADLINE_MS) as blocker:
        qtbot.mouseClick(sheet.import_button, LEFT)
    assert blocker.args is not None
    return blocker.args[0]


def test_import_allows_nothing_that_was_not_ticked(qtbot: QtBot, sheet: ImportSheet) -> None:
    wanted = submitted(qtbot, sheet)
    # The one without a model, and the one whose model is a folder, are not chosen by themselves.
    assert (wanted.chosen, wanted.allow) == ((0,), ())


def test_import_shows_a_name_with_an_ampersand_whole(qtbot: QtBot) -> None:
    entry = ImportEntry(0, "Q&A", "Q&A", QWEN, ())
    dialog = ImportSheet("team.mlxprofile", ImportPreview((entry,)), frozenset({QWEN}))
    qtbot.addWidget(dialog)
    # A single & would be taken for a key, and not be shown.
    assert dialog.cards[0].tick.text() == "Q&&A"


def test_import_hands_out_what_was_ticked(qtbot: QtBot, sheet: ImportSheet) -> None:
    sheet.cards[0].consents["0.trust"].setChecked(True)
    sheet.cards[1].tick.setChecked(True)
    assert sheet.cards[1].consents["1.model"].isChecked()
    assert sheet.import_button.text() == "Import 2 profiles"
    wanted = submitted(qtbot, sheet)
    assert (wanted.chosen, wanted.allow) == ((0, 1), ("0.trust", "1.model"))


def test_import_of_a_folder_that_is_forbidden_takes_the_profile_with_it(
    sheet: ImportSheet,
) -> None:
    card = sheet.cards[1]
    card.tick.setChecked(True)
    card.consents["1.model"].setChecked(False)
    assert not card.is_chosen


def test_import_shows_names_models_differences_and_troubles(sheet: ImportSheet) -> None:
    shown = [label.text() for label in sheet.findChildren(QLabel)]
    assert "“Coding” is taken here, so it gets this name." in shown
    assert "“model” is missing or not text." in shown
    assert "This app has no option “future”, so it is left out." in shown
    assert "default 0" in shown
    assert "Runs Python files of the model with all your rights." in shown
    assert not sheet.cards[2].tick.isEnabled()


def test_import_that_fails_says_why_and_can_be_tried_again(
    qtbot: QtBot, sheet: ImportSheet
) -> None:
    submitted(qtbot, sheet)
    assert not sheet.import_button.isEnabled()
    sheet.show_error("The disk is full.")
    assert sheet.error_label.text() == "The disk is full."
    assert sheet.import_button.isEnabled()


def test_rename_wants_a_new_name_that_is_free(qtbot: QtBot) -> None:
    dialog = RenameSheet("Coding", {"chat"})
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
    qtbot.addWidget(dialog)
    dialog.show()
    assert not dialog.button.isEnabled()
    dialog.field.setText(" CHAT ")
    assert not dialog.button.isEnabled()
    assert dialog.note.text() == "There is already a profile of this name."
    dialog.field.setText(" Writing ")
    with qtbot.waitSignal(dialog.submitted, timeout=DEADLINE_MS) as blocker:
        qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    assert blocker.args == ["Writing"]


def drag(window: QMainWindow, *names: str) -> tuple[QDragEnterEvent, QDropEvent]:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(name) for name in names])
    action, keys = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(9, 9), action, data, LEFT, keys)
    QApplication.sendEvent(window, enter)
    drop = QDropEvent(QPoint(9, 9), action, data, LEFT, keys)
    drop.ignore()
    # The events keep no reference to what is dragged.
    window.setProperty("dragged", data)
    QApplication.sendEvent(window, drop)
    return enter, drop


def test_exported_files_can_be_dropped_on_the_window(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    target = DropTarget(window)
    window.show()
    got: list[list[Path]] = []
    target.dropped.connect(got.append)
    enter, drop = drag(window, "/x/a.mlxprofile", "/x/photo.png", "/x/b.mlxprofile")
    assert enter.isAccepted()
    assert drop.isAccepted()
    assert got == [[Path("/x/a.mlxprofile"), Path("/x/b.mlxprofile")]]
    assert target.veil.isHidden()


def test_other_files_are_not_taken(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    target = DropTarget(window)
    got: list[object] = []
    target.dropped.connect(got.append)
    _, drop = drag(window, "/x/photo.png")
    assert not drop.isAccepted()
    assert got == []


def test_profiles_that_were_used_last_come_first(qtbot: QtBot) -> None:
    names = [Profile(x, x.upper(), "m") for x in ("a", "b", "c", "d")]
    mirror = Mirror()
    mirror.apply(Snapshot(1, engine(), tuple(names), (), (), ()))
    profiles = ProfileList(mirror)
    resets: list[object] = []
    profiles.modelReset.connect(lambda: resets.append(1))

    def shown() -> list[str]:
        return [str(profiles.index(row).data()) for row in range(profiles.rowCount())]

    assert shown() == ["A", "B", "C", "D"]
    profiles.put_first("c")
    profiles.put_first("b")
    assert shown() == ["B", "C", "A", "D"]
    assert profiles.recent == ("b", "c")
    profiles.set_recent(["d", "gone", "a"])
    assert shown() == ["D", "A", "B", "C"]
    assert resets == []


def test_option_row_of_a_path_is_a_field_with_a_button(qtbot: QtBot) -> None:
    option = Option("python", "", OptionKind.PATH, "Python", "Which.", why="One for all.")
    row = OptionRow(option, None)
    qtbot.addWidget(row)
    row.set_unavailable("No.")
    assert isinstance(row.control, QLineEdit)
    assert not row.control.isEnabled()


def test_runtime_that_lacks_an_option_greys_it_from_the_start(qtbot: QtBot) -> None:
    import msgspec

    runtime = msgspec.structs.replace(RUNTIME, unsupported={"temp": "No --temp."})
    dialog = ProfileForm(runtime, None, MODELS, {})
    qtbot.addWidget(dialog)
    assert not dialog.rows["temp"].control.isEnabled()
