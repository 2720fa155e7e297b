"""The context menu of a server tile."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from app.gui.panels.tile_actions import MenuEntry, TileAction
from app.gui.panels.tile_base import TileRequest
from app.wire.nouns import Server


class TileMenu(QMenu):
    """Commands for one server. It holds the id, so that it outlives any change of the tile."""

    requested = Signal(object)  # TileRequest

    def __init__(self, server: Server, entries: list[MenuEntry | None], parent: QWidget) -> None:
        super().__init__(parent)
        self._server_id = server.id
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for entry in entries:
            if entry is None:
                self.addSeparator()
                continue
            action = self.addAction(entry.text)
            action.setData(entry.action.value)
            action.setEnabled(entry.is_open)
        self.triggered.connect(self._on_triggered)

    def _on_triggered(self, action: QAction) -> None:
        self.requested.emit(TileRequest(TileAction(action.data()), self._server_id))
