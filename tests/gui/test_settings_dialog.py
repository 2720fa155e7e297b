"""The settings window and the About window, by what they show and what they tell."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QInputDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QStyle,
    QStyleOptionFrame,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app import __version__
from app.gui.dialogs.about import CREDITS, AboutDialog
from app.gui.dialogs.setting_row import SettingRow
from app.gui.dialogs.settings import SettingsDialog
from app.gui.theme import DARK, LIGHT, theme
from app.gui.widgets.switch import Switch
from app.wire.settings import BY_NAME, SETTINGS, SettingState, SettingValue

ROOT = Path(__file__).parent.parent.parent
LEFT = Qt.MouseButton.LeftButton
T = TypeVar("T", bound=QWidget)


@pytest.fixture(params=["light", "dark"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    theme().set_mode(request.param)
    yield request.param
    theme().set_mode("system")


def states(**changes: tuple[SettingValue, str]) -> dict[str, SettingState]:
    values = {s.name: (s.default, "default") for s in SETTINGS} | changes
    return {name: SettingState(name, *pair) for name, pair in values.items()}


def open_dialog(qtbot: QtBot, **changes: object) -> SettingsDialog:
    dialog = SettingsDialog(states(**changes))  # type: ignore[arg-type]
    qtbot.addWidget(dialog)
    with qtbot.waitExposed(dialog):
        dialog.show()
    return dialog


def go_to(qtbot: QtBot, dialog: SettingsDialog, page: str) -> None:
    tabs = dialog.findChildren(QToolButton)
    qtbot.mouseClick(next(t for t in tabs if t.accessibleName() == page), LEFT)


def control(dialog: SettingsDialog, kind: type[T], name: str) -> T:
    return next(c for c in dialog.findChildren(kind) if c.accessibleName() == BY_NAME[name].label)


def texts(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def button(dialog: QWidget, name: str) -> QPushButton:
    buttons = dialog.findChildren(QPushButton)
    return next(b for b in buttons if name in (b.text(), b.accessibleName()))


def test_every_stop_of_the_keyboard_shows_that_it_is_one(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    stops: list[QWidget] = []
    while (stop := dialog.focusWidget()) not in stops[1:]:
        stops.append(stop)
        qtbot.keyClick(stop, Qt.Key.Key_Tab)
    assert isinstance(stops[1], QComboBox), "Tab leads to the first control"
    kinds = (QAbstractButton, QComboBox, QLineEdit)
    assert all(isinstance(stop, kinds) for stop in stops[1:]), stops


def test_every_setting_has_a_row_with_label_and_help_on_its_page(qtbot: QtBot, mode: str) -> None:
    dialog = open_dialog(qtbot)
    for setting in SETTINGS:
        go_to(qtbot, dialog, setting.page)
        shown = texts(dialog)
        assert setting.label in shown
        assert setting.help in shown
        assert dialog.windowTitle() == setting.page
    assert len(dialog.findChildren(SettingRow)) == len(SETTINGS)


def test_texts_of_a_page_are_not_clipped(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot, gateway_port=(9000, "environment"))
    dialog.show_error("host", "Something long that is wrong with this address. " * 4)
    for page in dict.fromkeys(setting.page for setting in SETTINGS):
        dialog.show_page(page)
        # A page that scrolls is laid out when the event loop has come round.
        QApplication.processEvents()
        dialog.grab()
        for label in dialog.findChildren(QLabel):
            if label.isVisible() and label.wordWrap():
                assert label.height() >= label.heightForWidth(label.width()), label.text()


def test_switch_tells_its_change_at_once(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    switch = control(dialog, Switch, "reduce_motion")
    with qtbot.waitSignal(dialog.changed) as told:
        qtbot.mouseClick(switch, LEFT, pos=switch.rect().center())
    assert told.args == [("reduce_motion", True)]


def test_choice_tells_its_value_not_its_label(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    combo = control(dialog, QComboBox, "appearance")
    with qtbot.waitSignal(dialog.changed) as told:
        qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert told.args == [("appearance", "light")]


def test_number_is_told_when_it_is_complete(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_page("Network & keys")
    field = control(dialog, QLineEdit, "gateway_port")
    told: list[object] = []
    dialog.changed.connect(told.append)
    field.selectAll()
    qtbot.keyClicks(field, "9000")
    assert told == []
    qtbot.keyClick(field, Qt.Key.Key_Return)
    field.clearFocus()
    assert told == [("gateway_port", 9000)]
    assert dialog.isVisible()


def test_number_out_of_range_is_refused_in_words(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_page("Network & keys")
    field = control(dialog, QLineEdit, "gateway_port")
    field.selectAll()
    qtbot.keyClicks(field, "80")
    with qtbot.assertNotEmitted(dialog.changed):
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert "a whole number from 1024 to 65535" in texts(dialog)
    field.selectAll()
    qtbot.keyClicks(field, "8799")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert "a whole number" not in texts(dialog)


def test_folder_dialog_sets_the_path(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_page("Models & storage")
    qtbot.mouseClick(button(dialog, "Choose Model folder"), LEFT)
    chooser = dialog.findChild(QFileDialog)
    assert chooser is not None
    with qtbot.waitSignal(dialog.changed) as told:
        chooser.fileSelected.emit("/models")
    assert told.args == [("hub_cache", "/models")]
    chooser.close()


def test_value_from_the_environment_is_locked_and_named(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot, gateway_port=(9000, "environment"), host=("0.0.0.0", "flag"))  # noqa: S104
    dialog.show_page("Network & keys")
    field = control(dialog, QLineEdit, "gateway_port")
    assert field.text() == "9000"
    assert not field.isEnabled()
    assert "Set by MLX_MANAGER_GATEWAY_PORT." in texts(dialog)
    assert not control(dialog, QLineEdit, "host").isEnabled()


def test_restart_is_announced_only_where_it_is_needed(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    assert "Takes effect at the next start." not in texts(dialog)
    dialog.show_page("Advanced")
    assert "Takes effect at the next start." in texts(dialog)


def test_new_states_are_shown_without_being_told_back(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    with qtbot.assertNotEmitted(dialog.changed):
        dialog.set_states(states(reduce_motion=(True, "file"), appearance=("dark", "file")))
    assert control(dialog, Switch, "reduce_motion").isChecked()
    assert control(dialog, QComboBox, "appearance").currentText() == "Dark"


def test_half_typed_text_survives_new_states(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_page("Network & keys")
    field = control(dialog, QLineEdit, "host")
    dialog.activateWindow()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    field.selectAll()
    qtbot.keyClicks(field, "192.168")
    dialog.set_states(states(reduce_motion=(True, "file")))
    assert field.text() == "192.168"


def test_error_is_shown_at_its_setting_until_the_next_choice(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_error("reduce_motion", "The disk is full.")
    assert "The disk is full." in texts(dialog)
    # An answer with the value as it was leaves the message.
    dialog.set_states(states())
    assert "The disk is full." in texts(dialog)
    switch = control(dialog, Switch, "reduce_motion")
    qtbot.mouseClick(switch, LEFT, pos=switch.rect().center())
    assert "The disk is full." not in texts(dialog)


def test_escape_closes_and_enter_does_not(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.isVisible()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def test_own_engine_shows_one_kind_of_key_only(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_page("Network & keys")
    dialog.show_app_key("", is_stored=False)
    assert "Key this app uses" not in texts(dialog)
    keys = dialog.named_keys
    heights = {
        label.text(): label.mapTo(keys, label.pos()).y() for label in keys.findChildren(QLabel)
    }
    order = [heights[text] for text in ("Keys that programs send", "Require a key", "New key")]
    assert order == sorted(order)


def test_token_is_typed_unseen_told_and_never_shown(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_page("Models & storage")
    qtbot.mouseClick(button(dialog, "Set Hugging Face token"), LEFT)
    ask = dialog.findChild(QInputDialog)
    assert ask is not None
    assert ask.textEchoMode() is QLineEdit.EchoMode.Password
    ask.setTextValue(" hf_secret ")
    with qtbot.waitSignal(dialog.changed) as told:
        ask.accept()
    assert told.args == [("hub_token", "hf_secret")]
    dialog.set_states(states(hub_token=(True, "file")))
    assert "Stored" in texts(dialog)
    assert "hf_secret" not in texts(dialog)
    with qtbot.waitSignal(dialog.changed) as told:
        qtbot.mouseClick(button(dialog, "Forget Hugging Face token"), LEFT)
    assert told.args == [("hub_token", "")]


def test_key_for_another_engine_is_named_by_it_and_can_be_changed_or_forgotten(
    qtbot: QtBot,
) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_page("Network & keys")
    dialog.show_app_key("Studio", is_stored=False)
    assert "Key this app uses for Studio" in texts(dialog)
    assert "Not stored" in texts(dialog)
    assert not button(dialog, "Forget the key for Studio").isVisible()
    with qtbot.waitSignal(dialog.key_wanted):
        qtbot.mouseClick(button(dialog, "Key this app uses for Studio"), LEFT)
    dialog.show_app_key("Studio", is_stored=True)
    assert "Not stored" not in texts(dialog)
    with qtbot.waitSignal(dialog.key_forgotten):
        qtbot.mouseClick(button(dialog, "Forget the key for Studio"), LEFT)


def test_example_of_a_name_is_not_cut(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    dialog.show_page("Network & keys")
    names = dialog.named_keys.findChildren(QLineEdit)
    field = next(f for f in names if f.placeholderText())
    option = QStyleOptionFrame()
    field.initStyleOption(option)
    room = field.style().subElementRect(QStyle.SubElement.SE_LineEditContents, option, field)
    needed = field.fontMetrics().horizontalAdvance(field.placeholderText())
    # QLineEdit keeps two pixels on each side for the cursor.
    assert needed <= room.width() - 4


def test_bigger_page_stays_on_the_screen(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot)
    room = dialog.screen().availableGeometry()
    dialog.show_page("General")
    dialog.move(20, room.bottom() - dialog.height())
    dialog.show_page("Network & keys")
    qtbot.waitUntil(lambda: dialog.frameGeometry().bottom() <= room.bottom())
    assert dialog.frameGeometry().top() >= room.top()


def test_about_gives_credit_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[<>=;]", text)[0].lower() for text in project["dependencies"]}
    credited = {name.lower() for _, _, packages in CREDITS for name in packages}
    # What mlx-lm brings along, and what models are made of.
    assert needed | {"transformers", "tokenizers"} == credited


def test_choice_shows_its_widest_value_whole(qtbot: QtBot) -> None:
    dialog = open_dialog(qtbot, close_window=("usual", "file"))
    box = control(dialog, QComboBox, "close_window")
    # In a font of other systems it is wider than the fields of numbers.
    box.setStyleSheet("font-size: 22px")
    QApplication.processEvents()
    assert box.width() >= box.sizeHint().width()


def test_box_to_tick_is_seen_on_every_ground(qtbot: QtBot, mode: str) -> None:
    box = QCheckBox("Do not ask again")
    qtbot.addWidget(box)
    box.show()
    image = box.grab().toImage()
    ground = image.pixelColor(image.width() - 1, 0)
    rows = [image.pixelColor(x, image.height() // 2) for x in range(16)]
    assert max(abs(c.lightness() - ground.lightness()) for c in rows) > 60


def test_about_names_version_and_licences_and_closes(qtbot: QtBot, mode: str) -> None:
    dialog = AboutDialog()
    qtbot.addWidget(dialog)
    dialog.show()
    assert __version__ in texts(dialog)
    for word in (
        "Qt and PySide6",
        "LGPL 3",
        "MLX and mlx-lm",
        "Lucide icons",
        "pyqtgraph",
        "zeroconf",
    ):
        assert word in texts(dialog)
    assert not dialog.grab().isNull()
    qtbot.mouseClick(button(dialog, "Close"), LEFT)
    assert not dialog.isVisible()


def luminance(colour: str) -> float:
    parts = [getattr(QColor(colour), f"{name}F")() for name in ("red", "green", "blue")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("tx", "accs"), ("tx2", "accs"), ("tx2", "chip"), ("tx2", "card"), ("tx2", "side"),
        ("acc", "accs"), ("acc", "card"), ("warn", "card"), ("warn", "accs"), ("warn", "warns"),
        ("ok", "oks"), ("bad", "card"), ("on_fill", "fill"), ("on_fill", "fill_press"),
        ("tx3", "field"), ("tx2", "win"), ("tx3", "win"),
    ],
)  # fmt: skip
def test_texts_of_tiles_and_settings_have_contrast(tokens: object, text: str, ground: str) -> None:
    low, high = sorted(luminance(getattr(tokens, name)) for name in (text, ground))
    assert (high + 0.05) / (low + 0.05) >= 4.5
