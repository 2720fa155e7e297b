"""Named keys in the Settings window: made, copied, required, revoked, on the real engine."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot
from window_kit import LEFT, Desk, open_window

from app.gui.dialogs.named_keys import NamedKeysCard, NewKeySheet
from app.gui.dialogs.settings import SettingsDialog
from app.gui.mirror import LinkState
from app.gui.widgets.question import Question


def open_keys(desk: Desk) -> SettingsDialog:
    """Open the settings with the keyboard, on the page of the keys."""
    desk.window.parts.actions_by_id["settings"].trigger()
    desk.until(lambda: desk.has_dialog(SettingsDialog))
    dialog = desk.dialog(SettingsDialog)
    dialog.show_page("Network & keys")
    return dialog


def texts(card: NamedKeysCard) -> str:
    return "\n".join(label.text() for label in card.findChildren(QLabel) if label.isVisible())


def press(desk: Desk, parent: NamedKeysCard, name: str) -> None:
    def found() -> list[QPushButton]:
        buttons = parent.findChildren(QPushButton)
        return [b for b in buttons if b.isVisible() and b.accessibleName() == name]

    # Rows that replace others are shown an event later.
    desk.until(lambda: len(found()) == 1)
    desk.qtbot.mouseClick(found()[0], LEFT)


def make_key(desk: Desk, card: NamedKeysCard, name: str) -> str:
    """Type a name, press Enter and return the secret that is shown once."""
    (field,) = [f for f in card.findChildren(QLineEdit) if "new key" in f.accessibleName()]
    desk.qtbot.keyClicks(field, name)
    desk.qtbot.keyClick(field, Qt.Key.Key_Return)
    desk.until(lambda: desk.has_dialog(NewKeySheet))
    sheet = desk.dialog(NewKeySheet)
    desk.qtbot.mouseClick(desk.button(sheet, "Copy"), LEFT)
    secret = QApplication.clipboard().text()
    assert secret.startswith("mlxm-")
    sheet.accept()
    desk.until(lambda: name in texts(card))
    return secret


def test_named_key_is_made_required_and_revoked_while_the_app_stays_in(
    own_home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Question, "ask", lambda box, _yes: asked.append(box.text()) or True)
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        dialog = open_keys(desk)
        card = dialog.named_keys
        secret = make_key(desk, card, "Editor")
        make_key(desk, card, "Phone")
        dialog.changed.emit(("require_key", True))
        desk.until(lambda: desk.mirror.engine and desk.mirror.engine.key_required)
        desk.until(lambda: desk.mirror.link is LinkState.LIVE)
        press(desk, card, "Revoke the key Phone")
        desk.until(lambda: "Phone" not in texts(card))
        assert asked == ["Revoke the key “Phone”?"]
        press(desk, card, "Revoke the key Editor")
        desk.until(lambda: "last key" in texts(card))
        desk.until(lambda: desk.mirror.link is LinkState.LIVE)
    for path in own_home.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
