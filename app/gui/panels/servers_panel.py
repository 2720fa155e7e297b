"""The right half of the main window: profiles to start, memory, and the servers' tiles."""

import time

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QHideEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from app.gui.mirror import LinkState, Mirror
from app.gui.panels.empty_servers import EmptyServers
from app.gui.panels.foreign_list import ForeignList
from app.gui.panels.memory_strip import MemoryStrip
from app.gui.panels.model_drop import ModelDrop
from app.gui.panels.servers_header import ServersHeader
from app.gui.panels.start_preview import StartPreview
from app.gui.panels.tile_actions import TileAction, menu_entries
from app.gui.panels.tile_base import MenuWish, ServerItem, TileRequest
from app.gui.panels.tile_board import TileBoard
from app.gui.panels.tile_grid import SIDE
from app.gui.panels.tile_menu import TileMenu
from app.gui.theme import theme
from app.wire.events import Samples
from app.wire.nouns import Server, ServerState

_TICK_MS = 1000
_CLOCK_SLACK_S = 1.5
"""Two clocks that differ by less are taken as equal, so that shown times do not jitter."""
_TOP = 16
_GAP = 12
_TABS = {
    TileAction.INSPECT: "overview",
    TileAction.LOG: "log",
    TileAction.TRY: "try",
    TileAction.CONNECT: "connect",
}
"""What is looked at in the inspector, and where."""


class ServersPanel(QWidget):
    """Shows every server of the mirror and says what the user wants; it asks no engine itself."""

    start_requested = Signal(object)  # str, a profile id
    stop_requested = Signal(object)  # str, a server id
    kill_requested = Signal(object)  # str, a server id
    restart_requested = Signal(object)  # str, a server id
    remove_requested = Signal(object)  # str, a server id
    inspect_requested = Signal(str, str)  # a server id; overview, requests, log, try or connect
    copy_url_requested = Signal(object)  # str, a server id
    edit_requested = Signal(object)  # str, a profile id
    python_requested = Signal(object)  # str, a profile id
    model_requested = Signal(object)  # str, a model id
    room_requested = Signal(object)  # str, a profile id
    new_requested = Signal()
    import_requested = Signal()
    run_requested = Signal(object)  # str, a model id
    show_file_requested = Signal(object)  # str, a path on the engine's disk
    foreign_stop_requested = Signal(object)  # ForeignServer
    selection_changed = Signal(object)  # str | None, a server id

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._started: str | None = None
        """The profile that the user has just started; its tile is selected and scrolled to."""
        self._expected_model: str | None = None
        self._stopped_clock: float | None = None
        """When the engine was lost; no time moves on until it is back."""
        self._clock_offset = 0.0
        self.header = ServersHeader(mirror, self)
        self.memory_strip = MemoryStrip(mirror, self)
        self.preview = StartPreview(mirror, self.header, self.memory_strip)
        self.board = TileBoard(mirror, lambda: self._now(), self)
        self.grid = self.board.grid
        self.foreign_list = ForeignList(mirror, self)
        self.empty = EmptyServers(mirror, self)
        self._pages = QStackedWidget(self)
        self._drop = ModelDrop(mirror, self)
        self.setAcceptDrops(True)
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._on_second)
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.timeout.connect(self.memory_strip.refresh)
        self._lay_out()
        self._connect()
        for server in mirror.servers.values():
            self._on_server_changed(server)

    def _lay_out(self) -> None:
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self.board)
        head = QVBoxLayout()
        head.setContentsMargins(SIDE, _TOP, SIDE, 0)
        head.setSpacing(_GAP)
        head.addWidget(self.header)
        head.addWidget(self.memory_strip)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(_GAP - 3)
        column.addLayout(head)
        column.addWidget(self._pages, 1)
        self._foot = QVBoxLayout()
        self._foot.setSpacing(0)
        self._foot.addWidget(self.header.notice)
        self._foot.addWidget(self.foreign_list)
        column.addLayout(self._foot)
        self._refresh_foreign()

    def _connect(self) -> None:
        mirror, header, board = self._mirror, self.header, self.board
        mirror.server_changed.connect(self._on_server_changed)
        mirror.server_removed.connect(self._on_server_removed)
        mirror.sampled.connect(self._on_sampled)
        mirror.profiles_changed.connect(self._on_profiles_changed)
        mirror.engine_changed.connect(self._on_engine_changed)
        mirror.foreign_changed.connect(self._on_foreign_changed)
        mirror.link_changed.connect(self._on_link_changed)
        board.requested.connect(self._on_tile_requested)
        board.menu_wanted.connect(self._on_menu_wanted)
        board.selection_changed.connect(self.selection_changed)
        self._drop.dropped.connect(self.run_requested)
        self.foreign_list.stop_requested.connect(self.foreign_stop_requested)
        header.start_requested.connect(self._on_start_requested)
        header.edit_requested.connect(self.edit_requested)
        header.new_requested.connect(self.new_requested)
        header.show_file_requested.connect(self.show_file_requested)
        self.empty.start_requested.connect(self._on_start_requested)
        self.empty.new_requested.connect(self.new_requested)
        self.empty.import_requested.connect(self.import_requested)
        theme().changed.connect(self._on_theme_changed)

    @property
    def last_profile_id(self) -> str | None:
        """The profile that was chosen last; setting one that is not there yet waits for it."""
        return self.header.picker.wanted_id()

    @last_profile_id.setter
    def last_profile_id(self, profile_id: str | None) -> None:
        self.header.picker.choose(profile_id)

    def focus_picker(self) -> None:
        """Move the keyboard focus to the profile picker."""
        self.header.picker.edit_text()

    def focus_half(self) -> None:
        """Move the keyboard to the selected tile, without one to the profile picker."""
        if not self.board.focus_selected():
            self.focus_picker()

    def start_chosen(self) -> None:
        """Do what a press on Start does."""
        self.header.start_button.click()

    def expect_model(self, model_id: str) -> None:
        """Show and select the server of this model that starts next: the user asked for it."""
        self._expected_model = model_id

    def selected_id(self) -> str | None:
        """Return the server that shortcuts name, None when no tile is selected."""
        return self.board.selected_id()

    def select(self, server_id: str | None) -> None:
        """Select a tile; the selection never moves by itself."""
        self.board.select(server_id)

    def tile(self, server_id: str) -> ServerItem | None:
        """Return the tile or row of a server."""
        return self.grid.tiles.get(server_id)

    def enable_plots(self) -> None:
        """Draw sparklines from now on. Call it once pyqtgraph was imported."""
        self.board.enable_plots()

    def release(self, server_id: str) -> None:
        """Let the buttons of a server take presses again: what was asked for does not happen."""
        if (item := self.tile(server_id)) is not None:
            item.release()

    def tell_copied(self, server_id: str) -> None:
        """Say at a tile, for a moment, that its address was copied."""
        if (item := self.tile(server_id)) is not None:
            item.tell_copied()

    def _now(self) -> float:
        if self._stopped_clock is not None:
            return self._stopped_clock
        return time.time() + self._clock_offset

    def _on_server_changed(self, server: Server) -> None:
        item = self.board.put(server)
        self._pages.setCurrentWidget(self.board)
        self._reveal_started(server)
        self.header.follow(server)
        # Many servers may change at once, and the strip looks at all of them each time.
        self._late.start(0)
        self.board.refresh(item)

    def _reveal_started(self, server: Server) -> None:
        """Select and scroll to a server once its start begins, if the user asked for it here."""
        is_new_start = server.state in (ServerState.STARTING, ServerState.FAILED)
        if is_new_start and server.model == self._expected_model:
            self._started = server.id
        if is_new_start and server.id == self._started:
            self._started = self._expected_model = None
            self.board.reveal(server.id)

    def _on_server_removed(self, server_id: str) -> None:
        self.board.remove(server_id)
        self.memory_strip.forget(server_id)
        self.header.refresh()
        if not self.grid.tiles:
            self._pages.setCurrentWidget(self.empty)

    def _on_sampled(self, samples: Samples) -> None:
        offset = samples.at - time.time()
        if abs(offset - self._clock_offset) > _CLOCK_SLACK_S:
            self._clock_offset = offset if abs(offset) > _CLOCK_SLACK_S else 0.0
        self.board.mark_stale()
        if self.isVisible() and not self.window().isMinimized():
            self.memory_strip.refresh()
            self.board.refresh_stale()

    def _on_link_changed(self, _state: LinkState) -> None:
        is_stale = self._mirror.is_stale
        if not is_stale:
            self._stopped_clock = None
        elif self._stopped_clock is None:
            self._stopped_clock = self._now()
        self.board.set_live(is_live=not is_stale)
        self.memory_strip.refresh()
        self.header.refresh()
        self.empty.refresh()
        self._refresh_foreign()

    def _on_second(self) -> None:
        if self._stopped_clock is None:
            self.board.show_time()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self.memory_strip.refresh()
        # The tiles have a visible part only after this event.
        QTimer.singleShot(0, self, self.board.refresh_stale)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _on_profiles_changed(self) -> None:
        self.header.refresh()
        self.empty.refresh()

    def _on_foreign_changed(self) -> None:
        self._refresh_foreign()
        self.memory_strip.refresh()

    def _refresh_foreign(self) -> None:
        self.foreign_list.refresh()
        # A hidden list leaves its margin behind, which would cut the tiles short.
        bottom = 0 if self.foreign_list.isHidden() else _GAP
        self._foot.setContentsMargins(SIDE, 0, SIDE, bottom)

    def _on_engine_changed(self) -> None:
        self.memory_strip.refresh()
        self.header.refresh()
        self._refresh_foreign()
        self.empty.refresh()

    def _on_theme_changed(self) -> None:
        self.header.apply_theme()
        self.empty.apply_theme()
        self.memory_strip.update()
        self.foreign_list.apply_theme()
        self.board.apply_theme()

    def _on_start_requested(self, profile_id: str) -> None:
        self._started = profile_id
        if profile_id in self.grid.tiles:
            self.board.reveal(profile_id)
        self.preview.show_profile(None)
        self.start_requested.emit(profile_id)

    def _on_menu_wanted(self, wish: MenuWish) -> None:
        server = self._mirror.servers.get(wish.server_id)
        if server is not None:
            entries = menu_entries(
                server,
                is_live=not self._mirror.is_stale,
                has_profile=server.id in self._mirror.profiles,
            )
            menu = TileMenu(server, entries, self)
            menu.requested.connect(self._on_tile_requested)
            menu.popup(wish.place)

    def _on_tile_requested(self, request: TileRequest) -> None:
        server_id = request.server_id
        self.board.select(server_id)
        if request.action in _TABS:
            self.inspect_requested.emit(server_id, _TABS[request.action])
        elif request.action is TileAction.MODEL:
            self.model_requested.emit(self._mirror.servers[server_id].model)
        else:
            wishes = {
                TileAction.START: self.start_requested,
                TileAction.STOP: self.stop_requested,
                TileAction.KILL: self.kill_requested,
                TileAction.RESTART: self.restart_requested,
                TileAction.REMOVE: self.remove_requested,
                TileAction.COPY_URL: self.copy_url_requested,
                TileAction.EDIT: self.edit_requested,
                TileAction.PYTHON: self.python_requested,
                TileAction.FREE_MEMORY: self.room_requested,
            }
            wishes[request.action].emit(server_id)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self._drop.take(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        self._drop.take(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        super().dragLeaveEvent(event)
        self._drop.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop.drop(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._drop.setGeometry(self.rect())
