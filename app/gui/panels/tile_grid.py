"""Server tiles in a grid, or rows in a column, that scroll and never move what is looked at."""

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QFrame, QScrollArea, QWidget

from app.gui.panels.compact_row import ROW_HEIGHT
from app.gui.panels.server_tile import MIN_CARD_WIDTH, TILE_HEIGHT
from app.gui.panels.tile_base import HALO, ServerItem

GAP = 12
"""Between two cards."""
_ROW_GAP = 4
SIDE = 24
"""Between cards and the edges of the panel; the scroll bar lies inside the right one."""
_BOTTOM = 12
_STEPS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class TileGrid(QScrollArea):
    """Places one item for each server, in the order it is told.

    A removal above keeps the first visible item where it is. The width of an item does not depend
    on the scroll bar, so that nothing reflows when it comes or goes.
    """

    view_moved = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tiles: dict[str, ServerItem] = {}
        """All items in order of appearance, those that a filter hides too."""
        self._shown: list[str] = []
        self._is_rows = False
        self._anchor: tuple[str, int] | None = None
        """The item at the top when the user scrolled last, and how far from the edge it was.

        Several removals in a row must all go by the same item: in two columns each of them moves
        an item by half a row.
        """
        self._is_restoring = False
        self._content = QWidget()
        self._content.setObjectName("tileGrid")
        self.setObjectName("tileScroll")
        self.setWidget(self._content)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.viewport().setAutoFillBackground(False)
        self._content.setAutoFillBackground(False)
        self.verticalScrollBar().setSingleStep(40)
        self.verticalScrollBar().valueChanged.connect(self._remember_place)
        self.verticalScrollBar().valueChanged.connect(self.view_moved)

    def columns(self) -> int:
        """Return how many items stand side by side."""
        if self._is_rows:
            return 1
        return max(1, (self.width() - 2 * SIDE + GAP) // (MIN_CARD_WIDTH + GAP))

    def shown(self) -> list[ServerItem]:
        """Return the items that a filter leaves, in the order on the screen."""
        return [self.tiles[server_id] for server_id in self._shown]

    def shown_count(self) -> int:
        """Return how many items a filter leaves."""
        return len(self._shown)

    def add(self, item: ServerItem) -> None:
        """Put an item at the end."""
        item.setParent(self._content)
        self.tiles[item.server.id] = item
        self._shown.append(item.server.id)
        self._place(first=len(self._shown) - 1)
        item.show()

    def arrange(self, ids: Sequence[str]) -> None:
        """Show these items in this order and hide all others; the place on the page is kept."""
        if list(ids) == self._shown:
            return
        self._shown = list(ids)
        for item in self.shown():
            item.show()
        wanted = set(ids)
        for server_id, item in self.tiles.items():
            if server_id not in wanted:
                self._lend_focus(item)
                item.hide()
        _set_tab_order(self.shown())
        self._place_anew()

    def replace_all(self, items: Sequence[ServerItem], *, is_rows: bool) -> None:
        """Take other items for the same servers, such as rows in place of tiles."""
        self._is_rows = is_rows
        focus = next((k for k, t in self.tiles.items() if _has_focus(t)), None)
        old = list(self.tiles.values())
        by_id = {item.server.id: item for item in items}
        self.tiles = {server_id: by_id[server_id] for server_id in self.tiles}
        for server_id, item in self.tiles.items():
            item.setParent(self._content)
            item.setVisible(server_id in self._shown)
        _set_tab_order(self.shown())
        self._place_anew()
        if focus is not None:
            # Before the old one goes: Qt would hand the keyboard to its neighbour and scroll there.
            self.tiles[focus].setFocus()
        for gone in old:
            gone.hide()
            gone.deleteLater()

    def remove(self, server_id: str) -> None:
        """Take an item away; one that follows it gets its keyboard focus."""
        item = self.tiles.pop(server_id, None)
        if item is None:
            return
        had_focus = _has_focus(item)
        place = self._shown.index(server_id) if server_id in self._shown else 0
        self._shown = [other for other in self._shown if other != server_id]
        if had_focus and self._shown:
            self.shown()[min(place, len(self._shown) - 1)].setFocus()
        item.hide()
        item.deleteLater()
        self._place_anew()

    def _lend_focus(self, item: ServerItem) -> None:
        """Keep the keyboard in the grid when its item is about to be hidden."""
        if _has_focus(item) and item.server.id not in self._shown and self._shown:
            self.shown()[0].setFocus()

    def _place_anew(self) -> None:
        # A shorter page may move the scroll bar, which is not the user's doing.
        self._is_restoring = True
        self._place()
        self._is_restoring = False
        self._restore_place()

    def _remember_place(self) -> None:
        if self._is_restoring:
            return
        offset = self.verticalScrollBar().value()
        seen = (t for t in self.shown() if offset > 0 and t.geometry().bottom() > offset)
        item = next(seen, None)
        self._anchor = None if item is None else (item.server.id, item.y() - offset)

    def _restore_place(self) -> None:
        anchor = self._anchor
        if anchor is not None and anchor[0] in self._shown:
            self._is_restoring = True
            self.verticalScrollBar().setValue(self.tiles[anchor[0]].y() - anchor[1])
            self._is_restoring = False
        else:
            self._remember_place()

    def visible_tiles(self) -> list[ServerItem]:
        """Return the items of which at least a part can be seen."""
        return [item for item in self.shown() if not item.visibleRegion().isEmpty()]

    def reveal(self, server_id: str) -> None:
        """Scroll as little as needed to show a whole item. Only for what the user asked for."""
        item = self.tiles.get(server_id)
        if item is not None:
            self.ensureWidgetVisible(item, 0, GAP)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()
        self._remember_place()
        self.view_moved.emit()

    def _place(self, *, first: int = 0) -> None:
        """Give the items from the `first` one on their places."""
        columns = self.columns()
        gap = _ROW_GAP if self._is_rows else GAP
        height = ROW_HEIGHT if self._is_rows else TILE_HEIGHT
        room = self.width() - 2 * SIDE + GAP
        step = height - 2 * HALO + gap
        for index, server_id in enumerate(self._shown[first:], start=first):
            item = self.tiles[server_id]
            row, column = divmod(index, columns)
            left = SIDE + column * room // columns
            right = SIDE + (column + 1) * room // columns - GAP
            item.setGeometry(left - HALO, row * step, right - left + 2 * HALO, height)
        rows = -(-len(self._shown) // columns)
        page = max(1, rows * step - gap + 2 * HALO + _BOTTOM)
        self._content.resize(self.viewport().width(), page)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        items = self.shown()
        at = next((n for n, item in enumerate(items) if item.hasFocus()), None)
        target = None if at is None else self._target(Qt.Key(event.key()), at)
        if target is None:
            super().keyPressEvent(event)
        elif 0 <= target < len(items):
            items[target].setFocus(Qt.FocusReason.TabFocusReason)
            self.ensureWidgetVisible(items[target], 0, GAP)

    def _target(self, key: Qt.Key, at: int) -> int | None:
        """Return the number of the item that a key leads to; None for other keys."""
        last = len(self._shown) - 1
        if key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            return 0 if key == Qt.Key.Key_Home else last
        if key not in _STEPS:
            return None
        across, down = _STEPS[key]
        target = at + across + down * self.columns()
        # Down into a last row that is not full: to the item that ends it.
        has_row_below = at // self.columns() < last // self.columns()
        return min(target, last) if down > 0 and has_row_below else target


def _has_focus(item: QWidget) -> bool:
    focus = QApplication.focusWidget()
    return focus is not None and (focus is item or item.isAncestorOf(focus))


def _set_tab_order(items: Sequence[ServerItem]) -> None:
    """Let Tab go through the items, with their buttons, as they stand on the screen."""
    stops = [stop for item in items for stop in item.stops()]
    for before, after in pairwise(stops):
        QWidget.setTabOrder(before, after)
