"""The inspector's place: beside the servers or over them, and the models never move for it."""

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.gui.inspector.frame import Inspector
from app.gui.inspector.page import InspectorPage
from app.gui.main_window.columns import Columns


@pytest.mark.parametrize(
    ("width", "is_beside"), [(1600, True), (1300, True), (1250, True), (1200, False), (960, False)]
)
def test_inspector_opens_without_moving_the_models(
    qtbot: QtBot, width: int, is_beside: bool
) -> None:
    models, servers, inspector = QWidget(), QWidget(), Inspector()
    servers.setMinimumWidth(570)
    columns = Columns(models, servers, inspector)
    qtbot.addWidget(columns)
    columns.resize(width, 700)
    columns.show()
    columns.setSizes([333, width - 333, 0])
    before = models.width(), servers.width()
    for number in range(3):
        inspector.show_page(InspectorPage(f"server:{number}", "Demo"))
        assert models.width() == before[0]
        assert servers.isVisible() is is_beside
        assert inspector.isVisible()
    inspector.close_page()
    qtbot.waitUntil(lambda: servers.isVisible() and not inspector.isVisible())
    assert (models.width(), servers.width()) == before
