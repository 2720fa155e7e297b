"""One server as a tile: name, state, figures with sparklines, and its buttons."""

import time

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QResizeEvent

from app.gui.mirror import Series
from app.gui.models.server_state import status, was_refused
from app.gui.panels import tile_text as say
from app.gui.panels.failure_box import FailureBox
from app.gui.panels.tile_base import HALO, ServerItem
from app.gui.panels.tile_buttons import HEIGHT as BUTTON_HEIGHT
from app.gui.panels.tile_buttons import TileButtons
from app.gui.panels.tile_details import pending_tip
from app.gui.panels.tile_figures import HEIGHT as FIGURES_HEIGHT
from app.gui.panels.tile_figures import TileFigures
from app.gui.theme import theme
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.pill import Pill
from app.wire.nouns import Machine, Server, ServerState

TILE_HEIGHT = 192 + 2 * HALO
"""Three rows fit into a window of 860 pixels, with the row of tools."""
MIN_CARD_WIDTH = 400
"""Below it Stop, Restart and the totals do not fit side by side."""
_PAD = 16
_TITLE_TOP = 11
_MODEL_TOP = 33
_FIGURES_TOP = 56
_BUTTONS_BOTTOM = 12
_GAP = 12


class ServerTile(ServerItem):
    """Shows one server. State is a field, not a tile: every part keeps its place in all states."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, TILE_HEIGHT)
        self._series: Series | None = None
        self._build()
        self.apply_theme()
        self.show_server(server, time.time())

    def _build(self) -> None:
        font = theme().font
        middle, right = Qt.TextElideMode.ElideMiddle, Qt.AlignmentFlag.AlignRight
        self.name_label = ElidedLabel(font("tile"), elide=middle, parent=self)
        self.pending_chip = Pill(font("label"), self, has_dot=False)
        self.pending_chip.hide()
        self.pill = Pill(font("label"), self)
        self.model_label = ElidedLabel(font("secondary"), elide=middle, parent=self)
        self.time_label = ElidedLabel(font("secondary"), align=right, parent=self)
        self.figures = TileFigures(self)
        self.cells = self.figures.cells
        self.plots = self.figures.plots
        self.failure_box = FailureBox(self)
        self.tokens_label = ElidedLabel(font("secondary"), align=right, parent=self)
        self.requests_label = ElidedLabel(font("label"), align=right, parent=self)
        self.tokens_label.set_reason(self.tr("Prompt and generated tokens since this start."))
        self._buttons = TileButtons(self)
        self._buttons.pressed.connect(self._on_pressed)

    def button_texts(self) -> list[str]:
        """Return what the main buttons say, from the left."""
        return self._buttons.texts()

    def show_server(self, server: Server, now: float) -> None:
        if server.started_at != self.server.started_at:
            self.figures.forget_peaks()
        self.server = server
        self.name_label.setText(server.name)
        self.model_label.set_reason(say.subtitle_tip(server))
        self.time_label.set_reason(say.when_tip(server))
        has_failed = server.state in say.TROUBLE
        self.failure_box.setVisible(has_failed)
        self.figures.setVisible(not has_failed)
        changed = self._buttons.show_server(server)
        self._settle_press()
        self._show_status()
        self._show_tone()
        self._show_pending()
        self.show_time(now)
        if changed:
            self._place_buttons()
        self.is_stale = True

    def set_live(self, is_live: bool) -> None:
        if is_live != self._is_live:
            super().set_live(is_live)
            self._buttons.set_live(is_live)

    def show_time(self, now: float) -> None:
        is_known = self._is_live or self.server.state is not ServerState.BACKING_OFF
        if self.time_label.setText(say.when(self.server, now) if is_known else ""):
            self._place_header()
        self._expire_press(now)

    def show_figures(self, series: Series | None, machine: Machine | None) -> None:
        self.is_stale = False
        if not self.server.state.has_process:
            series = None
        self._series = series
        self._show_status()
        first, second = say.totals(self.server, series)
        self.tokens_label.setText(first)
        self.requests_label.setText(second)
        self.figures.show_figures(self.server, series, machine, plots=self.plots_enabled)
        sentence = say.spoken_figures(self.server, series)
        if sentence != self.accessibleDescription():
            self.setAccessibleDescription(sentence)

    def tell_copied(self) -> None:
        self._buttons.tell_copied()

    def _open_buttons(self, *, is_open: bool) -> None:
        self._buttons.set_open(is_open)

    def _press_start(self) -> bool:
        return self._buttons.press_start()

    def _show_status(self) -> None:
        opened = None if self._series is None else self._series.latest("requests_open")
        found = status(self.server, opened, is_live=self._is_live)
        colour = theme().color
        if self.pill.set_state(found.word, colour(found.ink), colour(found.tint)):
            self._place_header()
        name = say.spoken_name(self.server, found.word)
        if name != self.accessibleName():
            self.setAccessibleName(name)

    def _show_pending(self) -> None:
        is_shown = bool(self.server.pending) and self.server.state.serves
        colour = theme().color
        self.pending_chip.set_state(self.tr("Restart to apply"), colour("tx2"), colour("chip"))
        if is_shown:
            self.pending_chip.setToolTip(pending_tip(self.server))
        if is_shown == self.pending_chip.isHidden():
            self.pending_chip.setVisible(is_shown)
            self._place_header()

    def apply_theme(self) -> None:
        colour = theme().color
        strong, weak = (colour("tx"), colour("tx2")) if self._is_live else (colour("tx3"),) * 2
        self.name_label.set_colour(colour("tx" if self._is_live else "tx2"))
        for label in (self.time_label, self.requests_label):
            label.set_colour(weak)
        self.tokens_label.set_colour(strong)
        self.figures.set_live(is_live=self._is_live)
        self._buttons.apply_theme()
        self._show_status()
        self._show_tone()
        self._show_pending()
        self.update()

    def _show_tone(self) -> None:
        """Say trouble in its colour, in grey once nobody knows whether it still holds."""
        state, failure = self.server.state, self.server.failure
        if failure is not None and state in say.TROUBLE:
            is_mild = state is ServerState.BACKING_OFF or was_refused(self.server)
            tone = "warn" if is_mild else "bad"
            self.failure_box.show_failure(failure, tone if self._is_live else "tx2")
        self.failure_box.update()
        self.model_label.setText(say.subtitle(self.server, is_live=self._is_live))
        is_stalled = state is ServerState.STALLED and self._is_live
        self.model_label.set_colour(theme().color("bad" if is_stalled else "tx2"))

    def _inner(self) -> QRect:
        return self._card().adjusted(_PAD, 0, -_PAD, 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        inner = self._inner()
        place = QRect(inner.left(), inner.top() + _FIGURES_TOP, inner.width(), FIGURES_HEIGHT)
        self.figures.setGeometry(place)
        self.failure_box.setGeometry(place)
        self._place_header()
        self._place_buttons()

    def _place_header(self) -> None:
        inner = self._inner()
        right = inner.right() + 1
        left = right - self.pill.width()
        top = inner.top() + _TITLE_TOP
        self.pill.move(left, top)
        if not self.pending_chip.isHidden():
            left -= self.pending_chip.width() + 6
            self.pending_chip.move(left, top)
        height = self.name_label.height()
        top += (self.pill.height() - height) // 2
        self.name_label.setGeometry(inner.left(), top, left - inner.left() - _GAP, height)
        needed = self.time_label.natural_width()
        top, height = inner.top() + _MODEL_TOP, self.time_label.height()
        self.time_label.setGeometry(right - needed, top, needed, height)
        room = inner.width() - needed - _GAP
        self.model_label.setGeometry(inner.left(), top, room, height)

    def _place_buttons(self) -> None:
        inner = self._inner()
        top = inner.bottom() + 1 - _BUTTONS_BOTTOM - BUTTON_HEIGHT
        # The icons on the right stand on the edge of the text above, not on that of their frame.
        rest = self._buttons.place(QRect(inner.left(), top, inner.width() + 6, BUTTON_HEIGHT))
        half = BUTTON_HEIGHT // 2
        self.tokens_label.setGeometry(rest.left(), top, rest.width(), half)
        self.requests_label.setGeometry(rest.left(), top + half, rest.width(), half)
