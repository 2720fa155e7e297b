"""One server as a tile: name, state, figures with sparklines, and its buttons."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QRect, QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.gui.mirror import HISTORY, Series
from app.gui.panels import tile_text as say
from app.gui.panels.failure_box import FailureBox
from app.gui.panels.tile_buttons import HEIGHT as BUTTON_HEIGHT
from app.gui.panels.tile_buttons import TileAction, TileButtons, takes_presses
from app.gui.theme import theme
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.metric_cell import HEIGHT as CELL_HEIGHT
from app.gui.widgets.metric_cell import MetricCell
from app.gui.widgets.pill import Pill
from app.gui.widgets.sparkline import SparkStrip, column_edges
from app.wire.nouns import Machine, Server

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
_PENDING_S = 8.0
"""A press that changed nothing for so long has failed; a notice of the window says why."""


class TileRequest(NamedTuple):
    """What the user asked of which server."""

    action: TileAction
    server_id: str


class ServerTile(QWidget):
    """Shows one server from its first start until it is removed. State is a field, not a tile.

    Figures are handed in by `show_figures`, only while the tile can be seen; `is_stale` says that
    they were not.
    """

    requested = Signal(object)  # TileRequest
    selected = Signal(object)  # str, the server's id

    def __init__(self, server: Server, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.server = server
        self.is_stale = True
        self.plots_enabled = False
        self._is_selected = False
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
        self.model_label.setText(server.model.rstrip("/").rsplit("/", 1)[-1])
        self.model_label.set_reason(server.model)
        has_failed = server.state in say.TROUBLE
        if has_failed and server.failure is not None:
            self.failure_box.show_failure(server.failure)
        self.failure_box.setVisible(has_failed)
        self.plots.setVisible(not has_failed)
        for cell in self.cells.values():
            cell.setVisible(not has_failed)
        changed = self._buttons.show_server(server)
        self._buttons.set_open(takes_presses(server))
        self._show_status()
        self.show_time(now)
        if changed:
            self._place_buttons()
        self.is_stale = True

    def show_time(self, now: float) -> None:
        """Let the time move on to `now`, in seconds since the epoch by the engine's clock."""
        if self.time_label.setText(say.when(self.server, now)):
            self._place_header()
        if self._pending_until and now > self._pending_until:
            self._pending_until = 0.0
            self._buttons.set_open(takes_presses(self.server))

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
        status = say.status(self.server, opened)
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
        self.name_label.set_colour(colour("tx"))
        for label in (self.model_label, self.time_label, self.requests_label):
            label.set_colour(colour("tx2"))
        self.tokens_label.set_colour(colour("tx"))
        for cell in self.cells.values():
            cell.set_colours(colour("tx"), colour("tx2"))
        series = ("tokens", "memory", "cpu", "gpu")
        self.plots.set_colours([colour(token) for token in series], colour("line2"))
        self._buttons.apply_theme()
        self._show_status()
        self.update()

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

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.selected.emit(self.server.id)
        super().mousePressEvent(event)
