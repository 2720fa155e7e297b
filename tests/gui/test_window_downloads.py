"""A download in the real window: the stand-in hub over HTTP, the real engine and worker."""

from pathlib import Path

import pytest
from download_kit import ID, MB, add_model
from hub import StandInHub
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from window_kit import DEADLINE_S, furnish, open_window, wait_until

from app.gui.models.model_list import Role


def test_models_02_download_is_one_tile_at_the_top_until_its_model_is_there(
    home: Path, standin: StandInHub, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(standin, 12 * MB)
    standin.rate = 4 * MB
    furnish(home)
    monkeypatch.setenv("HF_ENDPOINT", standin.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with open_window() as window:
        parts = window.parts
        panel, mirror = parts.models_panel, parts.mirror
        assert wait_until(lambda: mirror.models, DEADLINE_S)
        rows = panel.view.model()
        found = lambda: [  # noqa: E731
            rows.index(r, 0).data(Role.ROW) for r in range(rows.rowCount())
        ]
        listed = lambda: [row.id for row in found() if row.id]  # noqa: E731
        both: list[bool] = []
        mirror.downloads_changed.connect(lambda: both.append(ID in listed()))
        panel.search.setFocus()
        qtbot.keyClicks(panel.search, ID)
        # The first asks the hub at once, the second goes to its answer.
        qtbot.keyClick(panel.search, Qt.Key.Key_Return)
        assert wait_until(lambda: ID in listed(), DEADLINE_S), "the hub did not answer"
        qtbot.keyClick(panel.search, Qt.Key.Key_Return)
        assert panel.view.hasFocus()
        QTest.keySequence(panel.view, QKeySequence("Ctrl+D"))
        assert wait_until(lambda: panel.downloads.isVisible(), DEADLINE_S), "no tile came"
        panel.search.clear()
        assert wait_until(
            lambda: ID in mirror.downloads and mirror.downloads[ID].done_bytes > MB, DEADLINE_S
        )
        assert ID not in listed()
        assert wait_until(lambda: ID in mirror.models, DEADLINE_S), mirror.downloads
        assert wait_until(lambda: not mirror.downloads, DEADLINE_S)
        assert ID in listed()
        assert not panel.downloads.isVisible()
        assert not any(both[:-1]), "the model's own tile was seen during its download"
