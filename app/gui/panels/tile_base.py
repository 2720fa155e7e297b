"""What a tile and a compact row have in common: selection, keys, mouse and pressed buttons."""

import time
from typing import NamedTuple

from PySide6.QtCore import QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QPushButton, QWidget

from app.gui.mirror import Series
from app.gui.panels.tile_actions import TileAction
from app.gui.theme import theme
from app.wire.nouns import Machine, Server

HALO = 3
"""Room around the card for the focus ring; part of the widget."""
_RADIUS = 10
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_PENDING_S = 8.0
"""A press that changed nothing for so long is over, whatever became of it."""
_HARMLESS = frozenset(
    {
        TileAction.LOG, TileAction.COPY_URL, TileAction.TRY, TileAction.INSPECT,
        TileAction.CONNECT, TileAction.EDIT, TileAction.PYTHON, TileAction.MODEL,
        TileAction.FREE_MEMORY,
    }
)  # fmt: skip
"""Actions that change nothing on the server, so that no button waits for an outcome."""


class TileRequest(NamedTuple):
    """What the user asked of which server."""

    action: TileAction
    server_id: str


class MenuWish(NamedTuple):
    """Where the menu of which tile is wanted."""

    server_id: str
    place: QPoint
    """On the screen."""


class ServerItem(QWidget):
    """One server on the screen, from its first start until it is removed.

    Figures are handed in by `show_figures`, only while the item can be seen; `is_stale` says that
    they were not.
    """

    requested = Signal(object)  # TileRequest
    selected = Signal(object)  # str, the server's id
    menu_wanted = Signal(object)  # MenuWish

    def __init__(self, server: Server, height: int) -> None:
        super().__init__()
        self.server = server
        self.is_stale = True
        self.plots_enabled = False
        self._is_selected = False
        self._is_live = True
        self._pending_until = 0.0
        self.setFixedHeight(height)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def show_server(self, server: Server, now: float) -> None:
        """Take a new state. Everything stays where it is; only what differs is painted."""
        raise NotImplementedError

    def show_time(self, now: float) -> None:
        """Let the time move on to `now`, in seconds since the epoch by the engine's clock."""
        raise NotImplementedError

    def show_figures(self, series: Series | None, machine: Machine | None) -> None:
        """Show the newest figures, as far as they differ from what is shown."""
        raise NotImplementedError

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        raise NotImplementedError

    def tell_copied(self) -> None:
        """Say for a moment that the address was copied."""
        raise NotImplementedError

    def _open_buttons(self, *, is_open: bool) -> None:
        raise NotImplementedError

    def _press_start(self) -> bool:
        raise NotImplementedError

    def stops(self) -> list[QWidget]:
        """Return what Tab reaches here: the item, then its buttons."""
        return [self, *self.findChildren(QPushButton)]

    def is_selected(self) -> bool:
        """Return True for the item that shortcuts name."""
        return self._is_selected

    def set_selected(self, is_selected: bool) -> None:
        """Draw the ring of the selected item, or none."""
        if is_selected != self._is_selected:
            self._is_selected = is_selected
            self.update()

    def set_live(self, is_live: bool) -> None:
        """Look like old news and take no presses while the engine does not answer."""
        if is_live != self._is_live:
            self._is_live = is_live
            self._settle_press()
            self.apply_theme()

    def release(self) -> None:
        """Take presses again: what the last one asked for does not happen."""
        self._settle_press()

    def _settle_press(self) -> None:
        self._pending_until = 0.0
        self._open_buttons(is_open=True)

    def _expire_press(self, now: float) -> None:
        if self._pending_until and now > self._pending_until:
            self._settle_press()

    def _on_pressed(self, action: TileAction) -> None:
        if action not in _HARMLESS:
            self._pending_until = time.time() + _PENDING_S
            self._open_buttons(is_open=False)
        self.requested.emit(TileRequest(action, self.server.id))

    def _card(self) -> QRect:
        return self.rect().adjusted(HALO, HALO, -HALO, -HALO)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_card(painter)

    def _paint_card(self, painter: QPainter) -> None:
        colours = theme()
        card = QRectF(self._card())
        if self.hasFocus():
            halo = colours.color("acc")
            halo.setAlphaF(0.28)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(halo)
            painter.drawRoundedRect(QRectF(self.rect()), _RADIUS + HALO, _RADIUS + HALO)
        width = 2.0 if self._is_selected else 1.0
        painter.setPen(QPen(colours.color("acc" if self._is_selected else "line"), width))
        painter.setBrush(colours.color("card"))
        painter.drawRoundedRect(
            card.adjusted(width / 2, width / 2, -width / 2, -width / 2), _RADIUS, _RADIUS
        )

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if is_plain and event.key() in _ENTER:
            if not self._press_start():
                self._on_pressed(TileAction.INSPECT)
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        is_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        corner = self._card().topLeft() + QPoint(16, min(35, self.height() // 2))
        self.selected.emit(self.server.id)
        place = self.mapToGlobal(corner) if is_key else event.globalPos()
        self.menu_wanted.emit(MenuWish(self.server.id, place))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.selected.emit(self.server.id)
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        super().mouseDoubleClickEvent(event)
        # The second click on a button that the first one has closed arrives here too.
        on_button = isinstance(self.childAt(event.position().toPoint()), QPushButton)
        if event.button() is Qt.MouseButton.LeftButton and not on_button:
            self._on_pressed(TileAction.INSPECT)
