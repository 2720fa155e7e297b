"""The figures of a server tile: four with sparklines, a line of lesser ones, and a hover mark."""

from collections.abc import Sequence
from math import isnan

from PySide6.QtCore import QEvent, QPointF
from PySide6.QtGui import QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.gui.mirror import HISTORY, Series
from app.gui.panels import tile_text as say
from app.gui.panels.tile_details import first_token, first_token_tip, plot_point, prefill
from app.gui.theme import theme
from app.gui.widgets.metric_cell import HEIGHT as CELL_HEIGHT
from app.gui.widgets.metric_cell import LINE_HEIGHT, MetricCell, MetricLine
from app.gui.widgets.spark_cursor import Mark, SparkCursor
from app.gui.widgets.sparkline import SparkStrip, column_edges
from app.wire.nouns import Machine, Server

_SPARK_HEIGHT = 28
_LINE_GAP = 5
HEIGHT = CELL_HEIGHT + _SPARK_HEIGHT + _LINE_GAP + LINE_HEIGHT
_BUBBLE_ROOM = 10
"""The bubble of the hover mark is this much higher than the line that it covers."""
_SERIES = ("tokens", "memory", "cpu", "gpu")
"""Palette tokens of the plots, in the order of the columns."""


class TileFigures(QWidget):
    """Paints what the tile hands in. Every part repaints by itself, and only when it differs."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        font = theme().font
        fonts = (font("label"), font("value"), font("secondary"))
        self.cells = {name: MetricCell(say.LABELS[name], fonts, self) for name in say.TILE_METRICS}
        self.plots = SparkStrip(len(say.TILE_METRICS), HISTORY, self)
        self.plots.setAccessibleName(self.tr("The last two minutes of each figure"))
        small = (font("label"), font("label_strong"))
        self.prefill = MetricLine(self.tr("Prefill"), small, self)
        self.first_token = MetricLine(self.tr("First token"), small, self)
        self._cursor = SparkCursor(font("label"), parent)
        self._peaks: dict[str, float] = {}
        self._scales: dict[str, float] = {}
        self._drawn: dict[str, tuple[Sequence[float], float]] = {}
        self._times: Sequence[float] = ()
        self._hovered: tuple[int, int] | None = None
        self.setMouseTracking(True)

    def forget_peaks(self) -> None:
        """Let the scales begin anew, for another process."""
        self._peaks.clear()

    def hover_text(self) -> str:
        """Return what the mark under the pointer says; empty while there is none."""
        return self._cursor.text()

    def show_figures(
        self, server: Server, series: Series | None, machine: Machine | None, *, plots: bool
    ) -> None:
        """Show the newest figures, and draw the plots, as far as they differ from what is shown."""
        for column, name in enumerate(say.TILE_METRICS):
            value = None if series is None else series.latest(name)
            if series is not None:
                self._peaks[name] = max(self._peaks.get(name, 0.0), say.peak(series, name))
            scale = say.scale(name, self._peaks.get(name, 0.0), machine)
            self._scales[name] = scale
            number, unit = say.figure(name, value)
            reason = say.tip(name, server, value, scale)
            self.cells[name].set_value(number, unit, reason=reason)
            if plots:
                self._draw(column, name, series, scale)
        self._times = () if series is None else series.times()
        self.prefill.set_value(*prefill(server, series))
        self.first_token.set_value(first_token(server, series), first_token_tip(series))
        self._show_mark()

    def _draw(self, column: int, name: str, series: Series | None, scale: float) -> None:
        history = list((series or Series()).history(name))
        if self._drawn.get(name) != (history, scale):
            self._drawn[name] = (history, scale)
            self.plots.show_series(column, [value / scale for value in history])

    def set_live(self, *, is_live: bool) -> None:
        """Take the theme's colours, in grey while nobody knows whether the figures still hold."""
        colour = theme().color
        strong, weak = (colour("tx"), colour("tx2")) if is_live else (colour("tx3"),) * 2
        for widget in (*self.cells.values(), self.prefill, self.first_token):
            widget.set_colours(strong, weak)
        inks = [colour(token if is_live else "other") for token in _SERIES]
        self.plots.set_colours(inks, colour("line2"))
        self._cursor.set_colours(colour("tx"), colour("card"), colour("line2"))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        edges = column_edges(self.width(), len(self.cells))
        for cell, (left, width) in zip(self.cells.values(), edges, strict=True):
            cell.setGeometry(left, 0, width, CELL_HEIGHT)
        self.plots.setGeometry(0, CELL_HEIGHT, self.width(), _SPARK_HEIGHT)
        top = CELL_HEIGHT + _SPARK_HEIGHT + _LINE_GAP
        half = edges[2][0]
        self.prefill.setGeometry(0, top, edges[1][0] + edges[1][1], LINE_HEIGHT)
        self.first_token.setGeometry(half, top, self.width() - half, LINE_HEIGHT)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self._hover(event.position())

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hovered = None
        self._show_mark()

    def _hover(self, where: QPointF) -> None:
        plots = self.plots.geometry()
        is_on = plots.top() <= where.y() <= plots.bottom() and self.plots.has_plots
        self._hovered = self.plots.point_at(where.x() - plots.left()) if is_on else None
        self._show_mark()

    def _show_mark(self) -> None:
        """Mark the hovered point, which stays under the pointer while the plot moves on."""
        mark = None
        if self._hovered is not None and self.isVisible():
            column, point = self._hovered
            name = say.TILE_METRICS[column]
            history, scale = self._drawn.get(name, ((), 1.0))
            if history and self._times:
                mark = self._mark(name, point, history[point], scale)
        self._cursor.setGeometry(self.geometry().adjusted(0, 0, 0, _BUBBLE_ROOM))
        self._cursor.show_mark(mark)

    def _mark(self, name: str, point: int, value: float, scale: float) -> Mark | None:
        taken, newest = self._times[point], self._times[-1]
        if isnan(taken):
            return None
        column = say.TILE_METRICS.index(name)
        place = self.plots.place_of(column, point, 0.0 if isnan(value) else value / scale)
        top = float(self.plots.y())
        return Mark(
            place.x(),
            None if isnan(value) else top + place.y(),
            top,
            top + _SPARK_HEIGHT - 1,
            theme().color(_SERIES[column]),
            plot_point(name, None if isnan(value) else value, newest - taken),
        )
