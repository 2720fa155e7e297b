"""All servers as tiles or rows: which are shown in which order, what is selected and up to date."""

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget

from app.gui.mirror import Mirror
from app.gui.panels.compact_columns import CompactHeader
from app.gui.panels.compact_row import CompactRow
from app.gui.panels.server_tile import ServerTile
from app.gui.panels.tile_base import HALO, ServerItem
from app.gui.panels.tile_grid import SIDE, TileGrid
from app.gui.panels.tile_order import TileOrder, matches, sorted_ids
from app.gui.panels.tile_tools import TileTools
from app.gui.theme import theme
from app.gui.widgets.fade import fade_in
from app.wire.nouns import Server

FILTER_FROM = 5
"""Fewer tiles need no filter."""
ROWS_FROM = 20
_TILES_BELOW = 16
"""Lower than ROWS_FROM, so that a stop and a start do not turn everything round."""
_BEAT_MS = 10_000
"""How often an order by a figure is brought up to date while nobody points at the tiles."""
_MOST_FADING = 12
"""With more, one new tile is easily overlooked anyway, and a hundred at once would stutter."""
_GAP = 8


class TileBoard(QWidget):
    """Keeps one item for each server of the mirror and hands it its figures while it is seen.

    Nothing is painted that cannot be seen: figures go only to items with a visible part, and to
    the others when they come into view.
    """

    requested = Signal(object)  # TileRequest
    menu_wanted = Signal(object)  # MenuWish
    selection_changed = Signal(object)  # str | None, a server id
    density_changed = Signal()

    def __init__(
        self, mirror: Mirror, clock: Callable[[], float], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._clock = clock
        self._selected: str | None = None
        self._plots_enabled = False
        self._wants_rows: bool | None = None
        """What the user has chosen; None leaves it to the number of servers."""
        self.is_rows = False
        self.may_animate: Callable[[], bool] = lambda: False
        self.grid = TileGrid(self)
        self.tools = TileTools(self)
        self._columns = CompactHeader(self)
        self._nothing = QLabel(self.tr("No server matches the filter."), self.grid)
        self._nothing.setObjectName("emptyText")
        self._nothing.setFont(theme().font("body"))
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._beat = QTimer(self)
        self._beat.setInterval(_BEAT_MS)
        self._beat.timeout.connect(self._on_beat)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        head = QVBoxLayout()
        head.setContentsMargins(SIDE, 0, SIDE, 0)
        head.setSpacing(_GAP)
        head.addWidget(self.tools)
        head.addWidget(self._columns)
        self._head = head
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        # The halo of the first row is a part of the space.
        column.setSpacing(_GAP - HALO)
        column.addLayout(head)
        column.addWidget(self.grid, 1)
        self.tools.show_filter(is_shown=False)
        self._columns.hide()
        self._nothing.hide()

    def _connect(self) -> None:
        self.grid.view_moved.connect(self.refresh_stale)
        self.grid.view_moved.connect(self._place_nothing)
        self.tools.filter_changed.connect(self._on_filter_changed)
        self.tools.order_chosen.connect(self._on_order_chosen)
        self.tools.rows_wanted.connect(self.choose_rows)
        self.tools.left.connect(self.focus_selected)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._on_focus_changed)

    def put(self, server: Server) -> ServerItem:
        """Show a server; a new one comes last, or where the order wants it."""
        item = self.grid.tiles.get(server.id)
        if item is not None:
            item.show_server(server, self._clock())
            if self.tools.words() or self.tools.order is TileOrder.NAME:
                self.arrange()
            return item
        item = self._make(server)
        self.grid.add(item)
        item.set_selected(is_selected=server.id == self._selected)
        if self._selected is None:
            self.select(server.id)
        self._follow_count()
        if self.tools.words() or self.tools.order is not TileOrder.STARTED:
            self.arrange()
        self._show_count()
        item = self.grid.tiles[server.id]
        is_few = len(self.grid.tiles) <= _MOST_FADING
        if is_few and self.is_seen() and self.may_animate():
            fade_in(item, theme().color("win"))
        return item

    def _make(self, server: Server) -> ServerItem:
        item = CompactRow(server) if self.is_rows else ServerTile(server)
        item.plots_enabled = self._plots_enabled
        item.requested.connect(self.requested)
        item.selected.connect(self.select)
        item.menu_wanted.connect(self.menu_wanted)
        item.set_live(not self._mirror.is_stale)
        item.show_time(self._clock())
        return item

    def remove(self, server_id: str) -> None:
        """Take a server away; the others stay where they are."""
        if server_id == self._selected:
            self.select(None)
        self.grid.remove(server_id)
        self._follow_count()
        self._show_count()

    def _show_count(self) -> None:
        self.tools.show_count(self.grid.shown_count(), len(self.grid.tiles))

    def selected_id(self) -> str | None:
        """Return the server that shortcuts name, None when no item is selected."""
        return self._selected

    def select(self, server_id: str | None) -> None:
        """Select an item; the selection never moves by itself."""
        if server_id == self._selected or (server_id and server_id not in self.grid.tiles):
            return
        before, self._selected = self._selected, server_id
        for changed in (before, server_id):
            if changed is not None and (item := self.grid.tiles.get(changed)) is not None:
                item.set_selected(is_selected=changed == server_id)
        self.selection_changed.emit(server_id)

    def focus_selected(self) -> bool:
        """Move the keyboard to the selected item, or the first one; False when there is none."""
        shown = self.grid.shown()
        item = next((i for i in shown if i.server.id == self._selected), None)
        if item is None and shown:
            item = shown[0]
        if item is None:
            return False
        item.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.grid.reveal(item.server.id)
        return True

    def reveal(self, server_id: str) -> None:
        """Select a server that the user asked for and scroll to it, past any filter."""
        if all(item.server.id != server_id for item in self.grid.shown()):
            self.tools.filter.clear()
        self.select(server_id)
        self.grid.reveal(server_id)

    def choose_rows(self, is_on: bool | None) -> None:
        """Show rows or tiles from now on; None leaves it to the number of servers."""
        self._wants_rows = is_on
        self._follow_count()

    def wants_rows(self) -> bool | None:
        """Return what was chosen; None while it is left to the number of servers."""
        return self._wants_rows

    def _follow_count(self) -> None:
        count = len(self.grid.tiles)
        is_rows = self._wants_rows
        if is_rows is None:
            is_rows = count >= (_TILES_BELOW if self.is_rows else ROWS_FROM)
        if is_rows != self.is_rows:
            self.is_rows = is_rows
            items = [self._make(item.server) for item in self.grid.tiles.values()]
            for item in items:
                item.set_selected(is_selected=item.server.id == self._selected)
            self.grid.replace_all(items, is_rows=is_rows)
            self.tools.show_rows(is_on=is_rows)
            self._columns.setVisible(is_rows)
            self.refresh_stale()
            self.density_changed.emit()
        # Once there it stays until all is gone: somebody may be writing in it.
        if count >= FILTER_FROM or (is_rows and count):
            self.tools.show_filter(is_shown=True)
        elif count == 0:
            self.tools.show_filter(is_shown=False)

    def arrange(self) -> None:
        """Bring order and filter up to date with the figures that there are now."""
        servers = [item.server for item in self.grid.tiles.values()]
        words = self.tools.words()
        series = self._mirror.series
        if words:
            opened = {s.id: series[s.id].latest("requests_open") for s in servers if s.id in series}
            servers = [s for s in servers if matches(s, words, requests_open=opened.get(s.id))]
        self.grid.arrange(sorted_ids(servers, series, self.tools.order))
        self._show_count()
        self._nothing.setVisible(bool(words) and not servers)
        self._place_nothing()
        self.refresh_stale()

    def _on_filter_changed(self, _words: object) -> None:
        self.arrange()

    def _on_order_chosen(self, order: TileOrder) -> None:
        self.arrange()
        if order.is_metric:
            self._beat.start()
        else:
            self._beat.stop()

    def _on_beat(self) -> None:
        focus = QApplication.focusWidget()
        is_used = self.grid.underMouse() or (focus is not None and self.grid.isAncestorOf(focus))
        if self.is_seen() and not is_used:
            self.arrange()

    def _place_nothing(self) -> None:
        if not self._nothing.isHidden():
            self._nothing.setGeometry(0, 40, self.grid.width(), 24)

    def enable_plots(self) -> None:
        """Draw sparklines from now on."""
        self._plots_enabled = True
        for item in self.grid.tiles.values():
            item.plots_enabled = True
        self.mark_stale()
        self.refresh_stale()

    def is_seen(self) -> bool:
        """Return True while a part of the board can be on the screen."""
        return self.isVisible() and not self.window().isMinimized()

    def mark_stale(self) -> None:
        """There are newer figures than those that are shown."""
        for item in self.grid.tiles.values():
            item.is_stale = True

    def refresh_stale(self) -> None:
        """Hand the newest figures to the items that can be seen and do not have them."""
        if self.is_seen():
            for item in self.grid.visible_tiles():
                if item.is_stale:
                    item.show_time(self._clock())
                    self._show_figures(item)

    def refresh(self, item: ServerItem) -> None:
        """Hand the newest figures to one item, if it can be seen."""
        if self.is_seen() and not item.visibleRegion().isEmpty():
            self._show_figures(item)

    def _show_figures(self, item: ServerItem) -> None:
        engine = self._mirror.engine
        machine = None if engine is None else engine.machine
        item.show_figures(self._mirror.series.get(item.server.id), machine)

    def set_live(self, *, is_live: bool) -> None:
        """Let every item look like old news, or not."""
        for item in self.grid.tiles.values():
            item.set_live(is_live)
            item.show_time(self._clock())

    def show_time(self) -> None:
        """Let the time of the items that can be seen move on."""
        if self.is_seen():
            for item in self.grid.visible_tiles():
                item.show_time(self._clock())

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        self.tools.apply_theme()
        self._columns.update()
        for item in self.grid.tiles.values():
            item.apply_theme()

    def _on_focus_changed(self, _old: QWidget | None, now: QWidget | None) -> None:
        while now is not None and now is not self:
            if isinstance(now, ServerItem):
                self.select(now.server.id)
                return
            now = now.parentWidget()
