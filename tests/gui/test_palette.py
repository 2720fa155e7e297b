"""The command palette in the real window, and how it finds things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from window_kit import LEFT, TINY, Desk, write_profile

from app.gui.dialogs.palette import Palette
from app.gui.dialogs.profile_form import ProfileForm
from app.gui.models.fuzzy import find
from app.gui.models.palette_list import PaletteEntry, PaletteList
from app.wire.nouns import ServerState


def found(query: str, *texts: str) -> list[str]:
    """Return the texts that match, best first."""
    hits = [(hit.score, text) for text in texts if (hit := find(query, text)) is not None]
    return [text for _, text in sorted(hits, reverse=True)]


def test_find_prefers_words_to_parts_and_parts_to_scattered_letters() -> None:
    texts = ("Restart Coding", "Scoring", "Compact model viewer", "Cod")
    assert found("cod", *texts) == ["Cod", "Restart Coding", "Compact model viewer"]
    assert found("oring", *texts) == ["Scoring"]
    assert found("start", "Restart chat", "Start chat") == ["Start chat", "Restart chat"]


def test_find_takes_words_in_any_order_and_first_letters() -> None:
    assert find("chat start", "Start Fast chat") is not None
    hit = find("cta", "Connect to an engine")
    assert hit is not None
    assert hit.places == (0, 8, 11)
    assert find("xyz", "Connect to an engine") is None


@given(st.text(max_size=12), st.text(max_size=40))
def test_find_marks_letters_that_are_there(query: str, text: str) -> None:
    hit = find(query, text)
    if hit is not None:
        assert list(hit.places) == sorted(set(hit.places))
        lower = text.lower() if len(text.lower()) == len(text) else text
        assert {lower[place] for place in hit.places} <= set(query.lower())


def test_list_of_a_thousand_entries_follows_each_key(qapp: QApplication) -> None:
    rows = PaletteList()
    entries = [
        PaletteEntry(f"show:{n}", f"Show Model-{n}-Instruct-4bit", "mlx-community")
        for n in range(1000)
    ]
    rows.set_entries(entries, [])
    counts: list[int] = []
    for query in ("s", "sh mo", "mi4", "model-77", "zzz"):
        rows.set_query(query)
        counts.append(rows.rowCount())
    assert counts[0] > 0
    assert counts[-1] == 0
    rows.set_query("model-77 ")
    assert rows.data(rows.index(0)) == "Show Model-77-Instruct-4bit"


def open_palette(desk: Desk) -> Palette:
    desk.window.parts.models_panel.view.setFocus()
    desk.keys("Ctrl+K")
    palette = desk.window.parts.quick.palette.palette
    desk.until(palette.isVisible)
    assert palette.field.hasFocus()
    return palette


def titles(palette: Palette) -> list[str]:
    return [palette.entries.index(n).data() for n in range(palette.entries.rowCount())]


def test_palette_starts_a_profile_and_then_offers_what_a_server_can_do(desk: Desk) -> None:
    write_profile(desk.home, "fast", "Fast chat", TINY)
    desk.window.parts.run_command("rescan")
    desk.until(lambda: "fast" in desk.mirror.profiles)
    palette = open_palette(desk)
    desk.write("start fast")
    assert titles(palette)[0] == "Start Fast chat"
    desk.qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible()
    desk.until_state("fast", ServerState.READY)
    palette = open_palette(desk)
    assert titles(palette)[:3] == ["Show log of Fast chat", "Restart Fast chat", "Stop Fast chat"]
    assert "Start Fast chat" not in titles(palette)
    desk.write("stop fast")
    desk.qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    desk.until(lambda: desk.state("fast") is ServerState.STOPPED)
    # What was used last comes first.
    palette = open_palette(desk)
    assert titles(palette)[0] == "Start Fast chat"
    palette.dismiss()


def test_palette_runs_commands_and_shows_their_keys(desk: Desk) -> None:
    palette = open_palette(desk)
    desk.write("new prof")
    entry = palette.entries.entry_at(0)
    assert entry is not None
    assert (entry.title, entry.keys) == ("New profile…", "Ctrl N")
    desk.qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    desk.until(lambda: desk.has_dialog(ProfileForm))


def test_palette_shows_a_model(desk: Desk) -> None:
    palette = open_palette(desk)
    desk.write("show tiny")
    desk.qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    page = desk.window.parts.inspector.page
    assert page is not None
    assert page.key == f"model:{TINY}"
    desk.window.parts.inspector.close_page()


def test_palette_escape_gives_the_keyboard_back(desk: Desk) -> None:
    palette = open_palette(desk)
    before = palette.entries.rowCount()
    desk.write("zzzzz")
    assert palette.entries.rowCount() == 0 < before
    desk.qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert desk.window.parts.models_panel.view.hasFocus()


@pytest.mark.parametrize(("key", "row"), [(Qt.Key.Key_Down, 1), (Qt.Key.Key_Up, -1)])
def test_palette_arrows_go_round(desk: Desk, key: Qt.Key, row: int) -> None:
    palette = open_palette(desk)
    desk.qtbot.keyClick(palette.field, key)
    count = palette.entries.rowCount()
    assert palette.view.currentIndex().row() == row % count
    desk.qtbot.mouseClick(palette, LEFT, pos=palette.rect().bottomLeft())
    assert not palette.isVisible()


def test_palette_opens_again_and_again_with_a_thousand_entries(desk: Desk) -> None:
    palette = open_palette(desk)
    palette.dismiss()
    entries = [PaletteEntry(f"show:{n}", f"Show Model-{n}") for n in range(1000)]
    for _ in range(3):
        palette.open(entries, ["show:7"])
        palette.repaint()
        assert titles(palette)[0] == "Show Model-7"
        palette.dismiss()
