"""The profile form, as a user fills it."""

import pytest
from form_kit import MODELS, OPTIONS, RUNTIME, field, form, texts
from patience import DEADLINE_MS
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.gui.dialogs.option_row import parse_option
from app.gui.dialogs.profile_form import ProfileForm
from app.gui.theme import theme
from app.gui.widgets.switch import Switch
from app.wire.nouns import Profile, ProfileDraft, ProfileFault
from app.wire.policy import ON_CRASH


def save(qtbot: QtBot, dialog: ProfileForm) -> ProfileDraft:
    with qtbot.waitSignal(dialog.submitted, timeout=DEADLINE_MS) as blocker:
        qtbot.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    assert blocker.args is not None
    return blocker.args[0]


def test_form_unset_options_are_not_in_the_profile(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    dialog.name_field.setText(" Chat ")
    dialog.model_field.setEditText("mlx-community/Qwen3-4B-4bit")
    assert save(qtbot, dialog) == ProfileDraft("Chat", "mlx-community/Qwen3-4B-4bit", "mlx_lm")


def test_form_default_is_a_placeholder(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    assert field(dialog, "max_tokens").placeholderText() == "Default: 512 tokens"
    assert field(dialog, "max_tokens").text() == ""
    assert field(dialog, "cache").placeholderText() == "Not set"


def test_form_basic_options_in_sight_others_behind_all_options(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    assert field(dialog, "max_tokens").isVisible()
    assert not field(dialog, "top_k").isVisible()
    assert "Log" not in texts(dialog)
    qtbot.mouseClick(dialog.all_button, Qt.MouseButton.LeftButton)
    assert field(dialog, "top_k").isVisible()
    assert "Log" in texts(dialog)


def test_form_option_that_the_profile_sets_is_in_sight(qtbot: QtBot) -> None:
    profile = Profile("a", "A", "m", options={"top_k": 40}, revision="r1")
    dialog = form(qtbot, profile)
    assert field(dialog, "top_k").isVisible()
    assert field(dialog, "top_k").text() == "40"


def test_form_every_kind_of_value_reaches_the_draft(qtbot: QtBot) -> None:
    dialog = form(qtbot, Profile("a", "A", "m", options={"unknown": 1}, revision="r1"))
    field(dialog, "max_tokens").setText("100")
    field(dialog, "temp").setText("0.7")
    field(dialog, "args").setText('{"enable_thinking": false}')
    field(dialog, "cache").setText("4G")
    trust, level = dialog.rows["trust"].control, dialog.rows["level"].control
    assert isinstance(trust, Switch)
    assert isinstance(level, QComboBox)
    trust.setChecked(True)
    level.setCurrentText("DEBUG")
    draft = save(qtbot, dialog)
    assert draft.revision == "r1"
    assert draft.options == {
        "unknown": 1, "max_tokens": 100, "temp": 0.7, "args": '{"enable_thinking": false}',
        "cache": "4G", "trust": True, "level": "DEBUG",
    }  # fmt: skip


def test_form_policy_is_shown_kept_and_saved(qtbot: QtBot) -> None:
    profile = Profile("a", "A", "m", policy={"restart_stalled": True}, revision="r1")
    dialog = form(qtbot, profile)
    assert "Reliability" in texts(dialog)
    assert save(qtbot, dialog).policy == {"restart_stalled": True}
    dialog.show_error("")
    again = dialog.policy_rows["auto_restart"].control
    assert isinstance(again, QComboBox)
    again.setCurrentText(ON_CRASH)
    assert save(qtbot, dialog).policy == {"restart_stalled": True, "auto_restart": ON_CRASH}
    assert save(qtbot, form(qtbot, Profile("a", "A", "m"))).policy == {}


def test_form_of_a_broken_file_cannot_be_saved_and_says_why(qtbot: QtBot) -> None:
    fault = ProfileFault("Invalid value.", 2)
    dialog = form(qtbot, Profile("a", "A", "m", fault=fault))
    reason = "Invalid value (line 2). Repair the file in a text editor; it cannot be changed here."
    assert reason in texts(dialog)
    assert not dialog.save_button.isEnabled()
    assert not dialog.name_field.isEnabled()


def test_form_is_no_higher_than_its_window(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(960, 600)
    dialog = ProfileForm(RUNTIME, None, MODELS, {}, window)
    qtbot.addWidget(dialog)
    assert dialog.height() < window.height()


def test_form_model_search_lists_matches_without_a_scroll_bar(qtbot: QtBot) -> None:
    theme().refresh()
    dialog = form(qtbot)
    qtbot.keyClicks(dialog.model_field, "qwen")
    popup = dialog.model_field.completer().popup()
    assert popup.isVisible()
    assert popup.model().rowCount() == 1
    assert not popup.verticalScrollBar().isVisible()
    popup.hide()


def test_form_texts_of_a_long_field_have_the_whole_width_above_it(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    dialog.all_button.click()
    row = dialog.rows["draft_model"]
    note = next(label for label in row.findChildren(QLabel) if "Guesses." in label.text())
    qtbot.waitUntil(lambda: note.width() == row.control.width() > 0.9 * row.width())
    assert note.geometry().bottom() < row.control.geometry().top()


def test_form_wrong_value_is_told_at_the_field_at_once_and_not_submitted(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    dialog.name_field.setText("Chat")
    dialog.model_field.setEditText("m")
    qtbot.keyClicks(field(dialog, "max_tokens"), "0")
    advice = "Enter a whole number from 1 to 1,000,000."
    assert advice in texts(dialog)
    with qtbot.assertNotEmitted(dialog.submitted):
        qtbot.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    qtbot.keyClicks(field(dialog, "max_tokens"), "\b12")
    field(dialog, "max_tokens").setText("12")
    assert advice not in texts(dialog)
    assert save(qtbot, dialog).options == {"max_tokens": 12}


def test_form_wrong_hidden_value_is_brought_into_sight(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    dialog.name_field.setText("Chat")
    dialog.model_field.setEditText("m")
    field(dialog, "top_k").setText("-1")
    qtbot.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    assert field(dialog, "top_k").isVisible()
    assert "Enter a whole number of at least 0." in texts(dialog)


def test_form_without_name_and_model_says_so(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    with qtbot.assertNotEmitted(dialog.submitted):
        qtbot.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    assert {"Enter a name.", "Choose a model."} <= set(texts(dialog))


def test_form_model_with_a_problem_says_it(qtbot: QtBot) -> None:
    dialog = form(qtbot)
    dialog.model_field.setEditText("mlx-community/Broken")
    assert "It has no weights." in texts(dialog)


def test_form_refused_draft_shows_why_and_can_be_sent_again(qtbot: QtBot) -> None:
    dialog = form(qtbot, Profile("a", "A", "m"))
    save(qtbot, dialog)
    assert not dialog.save_button.isEnabled()
    dialog.show_error("The name A is taken.")
    assert "The name A is taken." in texts(dialog)
    save(qtbot, dialog)


@pytest.mark.parametrize(
    ("name", "text"),
    [("max_tokens", "many"), ("max_tokens", "1.5"), ("temp", "nan"), ("temp", "6"),
     ("args", "[1]"), ("args", "{"), ("cache", "4 GB"), ("cache", "-1")],
)  # fmt: skip
def test_option_text_that_does_not_work_is_refused_with_advice(name: str, text: str) -> None:
    option = next(option for option in OPTIONS if option.name == name)
    with pytest.raises(ValueError, match=r"^Enter .*\.$"):
        parse_option(option, text)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("max_tokens", "1,000", 1000), ("max_tokens", "1\u2009000\u2009000", 1_000_000),
     ("temp", "0,7", 0.7), ("temp", " 1 ", 1.0), ("max_tokens", " ", None)],
)  # fmt: skip
def test_option_text_is_read_as_people_write_it(name: str, text: str, value: object) -> None:
    option = next(option for option in OPTIONS if option.name == name)
    assert parse_option(option, text) == value


@pytest.mark.parametrize("text", ["1,00", "10 00", ",100", "1,0000"])
def test_option_text_with_odd_grouping_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Enter a whole number from 1 to 1,000,000"):
        parse_option(OPTIONS[0], text)
