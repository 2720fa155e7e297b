"""The style sheet and the pictures that it names."""

import re
from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel, QMenu, QWidget
from pytestqt.qtbot import QtBot

from app.gui.theme import DARK, LIGHT, Tokens, style_sheet, theme


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_every_picture_of_the_style_sheet_is_there_in_the_colour_of_its_text(
    tokens: Tokens,
) -> None:
    pictures = [Path(found) for found in re.findall(r'url\("(.+?)"\)', style_sheet(tokens))]
    assert [re.findall("#[0-9A-F]{6}", picture.read_text()) for picture in pictures] == [
        [tokens.tx], [tokens.on_fill], [tokens.on_fill],
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_tick_of_a_menu_is_smooth(qtbot: QtBot, mode: str) -> None:
    theme().set_mode(mode)
    try:
        menu = QMenu()
        qtbot.addWidget(menu)
        action = menu.addAction("Dark")
        action.setCheckable(True)
        blank = menu.grab().toImage()
        action.setChecked(True)
        ticked = menu.grab().toImage()
        assert len(_shades(ticked) - _shades(blank)) > 10
    finally:
        theme().set_mode("system")


def _shades(image: QImage) -> set[int]:
    return {image.pixel(x, y) for x in range(30) for y in range(image.height())}


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_of_a_notification_on_light_yellow_is_dark(qtbot: QtBot, mode: str) -> None:
    theme().set_mode(mode)
    try:
        # Qt makes its own only where there is a tray; the style sheet goes by the name.
        balloon = type("QBalloonTip", (QWidget,), {})()
        qtbot.addWidget(balloon)
        text = QLabel("Coding assistant failed", balloon)
        text.ensurePolished()
        assert text.palette().windowText().color().lightness() < 60
    finally:
        theme().set_mode("system")


def test_menu_leaves_a_gap_between_its_longest_text_and_the_keys(qtbot: QtBot) -> None:
    theme().refresh()
    menu = QMenu()
    qtbot.addWidget(menu)
    action = menu.addAction("Look for models again")
    plain = menu.sizeHint().width()
    action.setShortcut("Ctrl+Shift+F")
    keys = menu.fontMetrics().horizontalAdvance("Ctrl+Shift+F")
    assert menu.sizeHint().width() >= plain + keys + 30
