"""The context menu of a server tile."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from app.gui.panels.server_tile import TileRequest
from app.gui.panels.tile_buttons import menu_entries
from app.wire.nouns import Server


def make_tile_menu(
    server: Server,
    ask: Callable[[TileRequest], object],
    parent: QWidget,
    *,
    is_live: bool,
    has_profile: bool,
) -> QMenu:
    """Return the menu of a server; it holds the id, so that it outlives any change of the tile."""
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    for entry in menu_entries(server, is_live=is_live, has_profile=has_profile):
        if entry is None:
            menu.addSeparator()
            continue
        action = menu.addAction(entry.text)
        action.setEnabled(entry.is_open)
        _connect(action, TileRequest(entry.action, server.id), ask)
    return menu


def _connect(action: QAction, request: TileRequest, ask: Callable[[TileRequest], object]) -> None:
    action.triggered.connect(lambda: ask(request))
