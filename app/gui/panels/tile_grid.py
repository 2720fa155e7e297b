"""Server tiles in a grid that scrolls, and that never moves what the user looks at."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QFrame, QScrollArea, QWidget

from app.gui.panels.server_tile import HALO, MIN_CARD_WIDTH, TILE_HEIGHT, ServerTile

GAP = 12
"""Between two cards."""
SIDE = 24
"""Between cards and the edges of the panel; the scroll bar lies inside the right one."""
_BOTTOM = 16
_STEPS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class TileGrid(QScrollArea):
    """Keeps one tile for each server, in order of appearance.

    A removal above keeps the first visible tile where it is. The width of a tile does not depend
    on the scroll bar, so that nothing reflows when it comes or goes.
    """

    view_moved = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tiles: dict[str, ServerTile] = {}
        self._anchor: tuple[str, int] | None = None
        """The tile at the top when the user scrolled last, and how far from the edge it was.

        Several removals in a row must all go by the same tile: in two columns each of them moves
        a tile by half a row.
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
        """Return how many tiles stand side by side."""
        return max(1, (self.width() - 2 * SIDE + GAP) // (MIN_CARD_WIDTH + GAP))

    def add(self, tile: ServerTile) -> None:
        """Put a tile at the end."""
        tile.setParent(self._content)
        self.tiles[tile.server.id] = tile
        self._place()
        tile.show()

    def remove(self, server_id: str) -> None:
        """Take a tile away; one that follows it gets its keyboard focus."""
        tile = self.tiles.get(server_id)
        if tile is None:
            return
        focus = QApplication.focusWidget()
        had_focus = focus is not None and (focus is tile or tile.isAncestorOf(focus))
        ids = list(self.tiles)
        place = ids.index(server_id)
        del self.tiles[server_id]
        if had_focus and self.tiles:
            rest = list(self.tiles.values())
            rest[min(place, len(rest) - 1)].setFocus()
        tile.hide()
        tile.deleteLater()
        # A shorter page may move the scroll bar, which is not the user's doing.
        self._is_restoring = True
        self._place()
        self._is_restoring = False
        self._restore_place()

    def _remember_place(self) -> None:
        if self._is_restoring:
            return
        offset = self.verticalScrollBar().value()
        seen = (t for t in self.tiles.values() if offset > 0 and t.geometry().bottom() > offset)
        tile = next(seen, None)
        self._anchor = None if tile is None else (tile.server.id, tile.y() - offset)

    def _restore_place(self) -> None:
        if self._anchor is not None and (tile := self.tiles.get(self._anchor[0])) is not None:
            self._is_restoring = True
            self.verticalScrollBar().setValue(tile.y() - self._anchor[1])
            self._is_restoring = False
        else:
            self._remember_place()

    def visible_tiles(self) -> list[ServerTile]:
        """Return the tiles of which at least a part can be seen."""
        return [tile for tile in self.tiles.values() if not tile.visibleRegion().isEmpty()]

    def reveal(self, server_id: str) -> None:
        """Scroll as little as needed to show a whole tile. Only for what the user asked for."""
        tile = self.tiles.get(server_id)
        if tile is not None:
            self.ensureWidgetVisible(tile, 0, GAP)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()
        self._remember_place()
        self.view_moved.emit()

    def _place(self) -> None:
        columns = self.columns()
        room = self.width() - 2 * SIDE + GAP
        step = TILE_HEIGHT - 2 * HALO + GAP
        for index, tile in enumerate(self.tiles.values()):
            row, column = divmod(index, columns)
            left = SIDE + column * room // columns
            right = SIDE + (column + 1) * room // columns - GAP
            tile.setGeometry(left - HALO, row * step, right - left + 2 * HALO, TILE_HEIGHT)
        rows = -(-len(self.tiles) // columns)
        height = max(1, rows * step - GAP + 2 * HALO + _BOTTOM)
        self._content.resize(self.viewport().width(), height)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        tiles = list(self.tiles.values())
        at = next((n for n, tile in enumerate(tiles) if tile.hasFocus()), None)
        target = None if at is None else self._target(Qt.Key(event.key()), at)
        if target is None:
            super().keyPressEvent(event)
        elif 0 <= target < len(tiles):
            tiles[target].setFocus(Qt.FocusReason.TabFocusReason)
            self.ensureWidgetVisible(tiles[target], 0, GAP)

    def _target(self, key: Qt.Key, at: int) -> int | None:
        """Return the number of the tile that a key leads to; None for other keys."""
        last = len(self.tiles) - 1
        if key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            return 0 if key == Qt.Key.Key_Home else last
        if key not in _STEPS:
            return None
        across, down = _STEPS[key]
        target = at + across + down * self.columns()
        # Down into a last row that is not full: to the tile that ends it.
        has_row_below = at // self.columns() < last // self.columns()
        return min(target, last) if down > 0 and has_row_below else target
