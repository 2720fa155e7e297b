"""One server as a tile: name, state, figures with sparklines, and its buttons."""

import time
from collections.abc import Sequence
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
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from app.gui.mirror import HISTORY, Series
from app.gui.panels import tile_text as say
from app.gui.panels.failure_box import FailureBox
from app.gui.panels.tile_buttons import HEIGHT as BUTTON_HEIGHT
from app.gui.panels.tile_buttons import TileAction, TileButtons
from app.gui.theme import theme
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.metric_cell import HEIGHT as CELL_HEIGHT
from app.gui.widgets.metric_cell import MetricCell
from app.gui.widgets.pill import Pill
from app.gui.widgets.sparkline import SparkStrip, column_edges
from app.wire.nouns import Machine, Server, ServerState

HALO = 3
"""Room around the card for the focus ring; part of the widget."""
TILE_HEIGHT = 184 + 2 * HALO
MIN_CARD_WIDTH = 400
"""Below it Stop, Restart and the totals do not fit side by side."""
_PAD = 16
_RADIUS = 10
_TITLE_TOP = 12
_MODEL_TOP = 35
_CELLS_TOP = 60
_SPARK_HEIGHT = 32
_BUTTONS_BOTTOM = 12
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_PENDING_S = 8.0
"""A press that changed nothing for so long has failed; a notice of the window says why."""


class TileRequest(NamedTuple):
    """What the user asked of which server."""

    action: TileAction
    server_id: str


class MenuWish(NamedTuple):
    """Where the menu of which tile is wanted."""

    server_id: str
    place: QPoint
    """On the screen."""


class ServerTile(QWidget):
    """Shows one server from its first start until it is removed. State is a field, not a tile.

    Figures are handed in by `show_figures`, only while the tile can be seen; `is_stale` says that
    they were not.
    """

    requested = Signal(object)  # TileRequest
    selected = Signal(object)  # str, the server's id
    menu_wanted = Signal(object)  # MenuWish

    def __init__(self, server: Server, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.server = server
        self.is_stale = True
        self.plots_enabled = False
        self._is_selected = False
        self._is_live = True
        self._series: Series | None = None
        self._peaks: dict[str, float] = {}
        self._drawn: dict[str, tuple[Sequence[float], float]] = {}
        self._pending_until = 0.0
        self.setFixedHeight(TILE_HEIGHT)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._build()
        self.apply_theme()
        self.show_server(server, time.time())

    def _build(self) -> None:
        font = theme().font
        middle, right = Qt.TextElideMode.ElideMiddle, Qt.AlignmentFlag.AlignRight
        self.name_label = ElidedLabel(font("tile"), elide=middle, parent=self)
        self.pill = Pill(font("label"), self)
        self.model_label = ElidedLabel(font("secondary"), elide=middle, parent=self)
        self.time_label = ElidedLabel(font("secondary"), align=right, parent=self)
        fonts = (font("label"), font("value"), font("secondary"))
        self.cells = {name: MetricCell(say.LABELS[name], fonts, self) for name in say.TILE_METRICS}
        self.plots = SparkStrip(len(say.TILE_METRICS), HISTORY, self)
        self.plots.setAccessibleName(self.tr("The last two minutes of each figure"))
        self.failure_box = FailureBox(self)
        self.tokens_label = ElidedLabel(font("secondary"), align=right, parent=self)
        self.requests_label = ElidedLabel(font("label"), align=right, parent=self)
        self.tokens_label.set_reason(self.tr("Prompt and generated tokens since this start."))
        self._buttons = TileButtons(self)
        self._buttons.pressed.connect(self._on_pressed)

    def is_selected(self) -> bool:
        """Return True for the tile that shortcuts name."""
        return self._is_selected

    def button_texts(self) -> list[str]:
        """Return what the main buttons say, from the left."""
        return self._buttons.texts()

    def set_selected(self, is_selected: bool) -> None:
        """Draw the ring of the selected tile, or none."""
        if is_selected != self._is_selected:
            self._is_selected = is_selected
            self.update()

    def show_server(self, server: Server, now: float) -> None:
        """Take a new state. Everything stays where it is; only what differs is painted."""
        if server.started_at != self.server.started_at:
            self._peaks.clear()
        self.server = server
        self._pending_until = 0.0
        self.name_label.setText(server.name)
        self.model_label.set_reason(say.subtitle_tip(server))
        self.time_label.set_reason(say.when_tip(server))
        has_failed = server.state in say.TROUBLE
        self.failure_box.setVisible(has_failed)
        self.plots.setVisible(not has_failed)
        for cell in self.cells.values():
            cell.setVisible(not has_failed)
        changed = self._buttons.show_server(server)
        self._buttons.set_open(True)
        self._show_status()
        self._show_tone()
        self.show_time(now)
        if changed:
            self._place_buttons()
        self.is_stale = True

    def set_live(self, is_live: bool) -> None:
        """Look like old news and take no presses while the engine does not answer."""
        if is_live == self._is_live:
            return
        self._is_live = is_live
        self._pending_until = 0.0
        self._buttons.set_open(True)
        self._buttons.set_live(is_live)
        self.apply_theme()

    def show_time(self, now: float) -> None:
        """Let the time move on to `now`, in seconds since the epoch by the engine's clock."""
        is_known = self._is_live or self.server.state is not ServerState.BACKING_OFF
        if self.time_label.setText(say.when(self.server, now) if is_known else ""):
            self._place_header()
        if self._pending_until and now > self._pending_until:
            self._pending_until = 0.0
            self._buttons.set_open(True)

    def show_figures(self, series: Series | None, machine: Machine | None) -> None:
        """Show the newest figures and draw the plots, as far as they differ from what is shown."""
        self.is_stale = False
        if not self.server.state.has_process:
            series = None
        self._series = series
        self._show_status()
        first, second = say.totals(self.server, series)
        self.tokens_label.setText(first)
        self.requests_label.setText(second)
        for column, name in enumerate(say.TILE_METRICS):
            value = None if series is None else series.latest(name)
            if series is not None:
                self._peaks[name] = max(self._peaks.get(name, 0.0), say.peak(series, name))
            scale = say.scale(name, self._peaks.get(name, 0.0), machine)
            number, unit = say.figure(name, value)
            reason = say.tip(name, self.server, value, scale)
            self.cells[name].set_value(number, unit, reason=reason)
            if self.plots_enabled:
                self._draw(column, name, scale)
        sentence = say.spoken_figures(self.server, series)
        if sentence != self.accessibleDescription():
            self.setAccessibleDescription(sentence)

    def _draw(self, column: int, name: str, scale: float) -> None:
        history = list((self._series or Series()).history(name))
        if self._drawn.get(name) != (history, scale):
            self._drawn[name] = (history, scale)
            self.plots.show_series(column, [value / scale for value in history])

    def _show_status(self) -> None:
        opened = None if self._series is None else self._series.latest("requests_open")
        status = say.status(self.server, opened, is_live=self._is_live)
        colour = theme().color
        if self.pill.set_state(status.word, colour(status.ink), colour(status.tint)):
            self._place_header()
        name = say.spoken_name(self.server, status.word)
        if name != self.accessibleName():
            self.setAccessibleName(name)

    def _on_pressed(self, action: TileAction) -> None:
        if action not in (TileAction.LOG, TileAction.COPY_URL):
            self._pending_until = time.time() + _PENDING_S
            self._buttons.set_open(False)
        self.requested.emit(TileRequest(action, self.server.id))

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        colour = theme().color
        strong, weak = (colour("tx"), colour("tx2")) if self._is_live else (colour("tx3"),) * 2
        self.name_label.set_colour(colour("tx" if self._is_live else "tx2"))
        for label in (self.time_label, self.requests_label):
            label.set_colour(weak)
        self.tokens_label.set_colour(strong)
        for cell in self.cells.values():
            cell.set_colours(strong, weak)
        series = ("tokens", "memory", "cpu", "gpu") if self._is_live else ("other",) * 4
        self.plots.set_colours([colour(token) for token in series], colour("line2"))
        self._buttons.apply_theme()
        self._show_status()
        self._show_tone()
        self.update()

    def _show_tone(self) -> None:
        """Say trouble in its colour, in grey once nobody knows whether it still holds."""
        state, failure = self.server.state, self.server.failure
        if failure is not None and state in say.TROUBLE:
            tone = "warn" if state is ServerState.BACKING_OFF else "bad"
            self.failure_box.show_failure(failure, tone if self._is_live else "tx2")
        self.failure_box.update()
        self.model_label.setText(say.subtitle(self.server, is_live=self._is_live))
        is_stalled = state is ServerState.STALLED and self._is_live
        self.model_label.set_colour(theme().color("bad" if is_stalled else "tx2"))

    def _card(self) -> QRect:
        return self.rect().adjusted(HALO, HALO, -HALO, -HALO)

    def _inner(self) -> QRect:
        return self._card().adjusted(_PAD, 0, -_PAD, 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        inner = self._inner()
        top = inner.top() + _CELLS_TOP
        edges = column_edges(inner.width(), len(self.cells))
        for cell, (left, width) in zip(self.cells.values(), edges, strict=True):
            cell.setGeometry(inner.left() + left, top, width, CELL_HEIGHT)
        plots_top = top + CELL_HEIGHT
        self.plots.setGeometry(inner.left(), plots_top, inner.width(), _SPARK_HEIGHT)
        box_bottom = plots_top + _SPARK_HEIGHT
        self.failure_box.setGeometry(inner.left(), top, inner.width(), box_bottom - top)
        self._place_header()
        self._place_buttons()

    def _place_header(self) -> None:
        inner = self._inner()
        right = inner.right() + 1
        pill_left = right - self.pill.width()
        self.pill.move(pill_left, inner.top() + _TITLE_TOP)
        height = self.name_label.height()
        top = inner.top() + _TITLE_TOP + (self.pill.height() - height) // 2
        self.name_label.setGeometry(inner.left(), top, pill_left - inner.left() - 12, height)
        needed = self.time_label.natural_width()
        top, height = inner.top() + _MODEL_TOP, self.time_label.height()
        self.time_label.setGeometry(right - needed, top, needed, height)
        room = inner.width() - needed - 12
        self.model_label.setGeometry(inner.left(), top, room, height)

    def _place_buttons(self) -> None:
        inner = self._inner()
        top = inner.bottom() + 1 - _BUTTONS_BOTTOM - BUTTON_HEIGHT
        # The icons on the right stand on the edge of the text above, not on that of their frame.
        rest = self._buttons.place(QRect(inner.left(), top, inner.width() + 6, BUTTON_HEIGHT))
        half = BUTTON_HEIGHT // 2
        self.tokens_label.setGeometry(rest.left(), top, rest.width(), half)
        self.requests_label.setGeometry(rest.left(), top + half, rest.width(), half)

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
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
        if is_plain and event.key() in _ENTER and self._buttons.press_start():
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        is_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        corner = self._card().topLeft() + QPoint(_PAD, _MODEL_TOP)
        self.selected.emit(self.server.id)
        place = self.mapToGlobal(corner) if is_key else event.globalPos()
        self.menu_wanted.emit(MenuWish(self.server.id, place))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.selected.emit(self.server.id)
        super().mousePressEvent(event)
