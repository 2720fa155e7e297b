"""The window without a mouse and without a screen: names for readers, keys for everything."""

import re
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QApplication, QLineEdit, QWidget
from window_kit import TINY, Desk

from app.gui.main_window.commands import MENUS
from app.wire.nouns import ServerState

README = Path(__file__).parent.parent.parent / "README.md"
KINDS = (QAbstractButton, QLineEdit, QAbstractItemView)


def spoken(widget: QWidget) -> str:
    """What a screen reader says first."""
    interface = QAccessible.queryAccessibleInterface(widget)
    return interface.text(QAccessible.Text.Name) if interface is not None else ""


def controls(root: QWidget) -> list[QWidget]:
    found = [w for w in root.findChildren(QWidget) if isinstance(w, KINDS) and w.isVisible()]
    return [w for w in found if w.focusPolicy() is not Qt.FocusPolicy.NoFocus]


@pytest.mark.parametrize("opened", ["nothing", "inspector", "settings", "new_profile", "palette"])
def test_every_control_has_a_name_for_screen_readers(desk: Desk, opened: str) -> None:
    window = desk.window
    if opened == "inspector":
        window.parts.inspecting.show_model(TINY)
    elif opened != "nothing":
        window.parts.run_command(opened)
    QApplication.processEvents()
    tops = [w for w in QApplication.topLevelWidgets() if w.isVisible()]
    nameless = [
        f"{type(w).__name__} {w.objectName()} in {type(w.parentWidget()).__name__}"
        for top in tops
        for w in controls(top)
        if not spoken(w)
    ]
    window.parts.inspector.close_page()
    for top in tops:
        if top is not window:
            top.close()
    assert nameless == []


def test_main_job_is_done_with_the_keyboard_alone(desk: Desk) -> None:
    window = desk.window
    desk.come_back()

    def press(keys: str) -> None:
        QTest.keySequence(QApplication.focusWidget() or window, QKeySequence(keys))

    press("Ctrl+L")
    QTest.keyClicks(QApplication.focusWidget(), "demo")
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    desk.until(lambda: window.parts.servers_panel.last_profile_id == "demo")
    press("Ctrl+Return")
    desk.until_state("demo", ServerState.READY)
    press("Ctrl+2")
    desk.until(lambda: window.parts.servers_panel.selected_id() == "demo")
    press("Ctrl+I")
    desk.until(lambda: window.parts.inspector.page is not None)
    press("Ctrl+2")
    press("Ctrl+I")
    press("Ctrl+Shift+.")
    desk.until_state("demo", ServerState.STOPPED)


def test_tab_goes_through_the_window_and_comes_back(desk: Desk) -> None:
    desk.come_back()
    desk.window.parts.run_command("find")
    first = QApplication.focusWidget()
    seen: list[QWidget] = []
    for _ in range(80):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        here = QApplication.focusWidget()
        if here is first:
            break
        seen.append(here)
    assert QApplication.focusWidget() is first
    parts = desk.window.parts
    for half in (parts.models_panel, parts.servers_panel, parts.status):
        assert any(half.isAncestorOf(widget) for widget in seen)


def test_keys_of_the_readme_are_those_of_the_menus() -> None:
    keys = {c.keys: c.id for _, commands in MENUS for c in commands if c.keys}
    table = README.read_text(encoding="utf-8").partition("### Keyboard")[2].partition("On Linux")[0]
    named = re.findall(r"⌘[⇧]?.", table)
    assert len(named) > 10
    for text in named:
        portable = text.replace("⌘", "Ctrl+").replace("⇧", "Shift+").replace("↩", "Return")
        assert portable in keys, text
