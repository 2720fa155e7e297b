"""Diagnostics in the window: a report with facts of the engine, saved as it is shown."""

from pathlib import Path

from pytestqt.qtbot import QtBot
from window_kit import Desk, open_window

from app.gui.dialogs.report import ReportDialog


def test_report_is_shown_copied_and_saved(own_home: Path, tmp_path: Path, qtbot: QtBot) -> None:
    (own_home / "app.toml").write_text("confirm_quit = false\n")
    with open_window() as window:
        desk = Desk(window, own_home, qtbot)
        desk.until_live()
        window.parts.actions_by_id["report"].trigger()
        desk.until(lambda: desk.has_dialog(ReportDialog))
        dialog = desk.dialog(ReportDialog)
        desk.until(lambda: desk.button(dialog, "Copy").isEnabled())
        text = dialog.view.toPlainText()
        for part in (
            "## Versions",
            "## Checks",
            "## Engine",
            "keep_awake is on (default)",
            "confirm_quit is off (file)",
            "hub_token is not set",
        ):
            assert part in text, text
        target = tmp_path / "report.txt"
        dialog.save_to(str(target))
        assert target.read_text() == text
        dialog.save_to(str(tmp_path / "none" / "report.txt"))
        desk.until(lambda: "could not be written" in window.parts.notice.text)
