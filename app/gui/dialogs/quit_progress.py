"""Tells how far the stop of all servers is while the app quits."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout

from app.gui import format as fmt
from app.gui.mirror import Mirror
from app.gui.theme import theme
from app.wire.nouns import Server, ServerState


class QuitProgress(QDialog):
    """A small window with a line for each server; it needs no answer."""

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(None, Qt.WindowType.Dialog | Qt.WindowType.CustomizeWindowHint)
        self.setWindowTitle(self.tr("Quitting"))
        self._mirror = mirror
        self._lines: dict[str, QLabel] = {}
        title = QLabel(self.tr("Stopping servers…"))
        title.setFont(theme().font("tile"))
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(28)
        self._grid.setVerticalSpacing(6)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(12)
        layout.addWidget(title)
        layout.addLayout(self._grid)
        for server in mirror.servers.values():
            if server.state.is_active:
                self._add(server)
        mirror.server_changed.connect(self._refresh)
        self._refresh()

    def texts(self) -> list[str]:
        """Return what the lines say."""
        return [line.text() for line in self._lines.values()]

    def _add(self, server: Server) -> None:
        row = self._grid.rowCount()
        line = QLabel()
        line.setStyleSheet(f"color: {theme().tokens.tx2};")
        line.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(QLabel(server.name), row, 0)
        self._grid.addWidget(line, row, 1)
        self._lines[server.id] = line

    def _refresh(self, _server: object = None) -> None:
        for server_id, line in self._lines.items():
            server = self._mirror.servers.get(server_id)
            line.setText(self._word(server))

    def _word(self, server: Server | None) -> str:
        if server is None or server.state in (ServerState.STOPPED, ServerState.FAILED):
            return self.tr("stopped")
        if server.held_bytes and server.released_bytes is not None:
            return self.tr("{} of {} released").format(
                fmt.memory(server.released_bytes)[0], fmt.memory_text(server.held_bytes)
            )
        return self.tr("stopping")
