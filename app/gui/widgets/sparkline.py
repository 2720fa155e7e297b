"""A strip of sparklines drawn by pyqtgraph, which is imported when the first one is made."""

# pyqtgraph ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from functools import cache
from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QLinearGradient, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.gui.guarded import guarded

GUTTER = 16
"""Pixels between two columns."""
_LINE_WIDTH = 1.5
_TOP = 1.08
_BOTTOM = -0.04
"""Of the scale, which is 0 to 1: room for half a line width above and below."""


def column_edges(width: int, columns: int) -> list[tuple[int, int]]:
    """Return left edge and width of equal columns with GUTTER between them, in whole pixels."""
    share = (width - GUTTER * (columns - 1)) / columns
    edges: list[tuple[int, int]] = []
    for column in range(columns):
        left = round(column * (share + GUTTER))
        edges.append((left, round(column * (share + GUTTER) + share) - left))
    return edges


def load_pyqtgraph() -> None:
    """Import pyqtgraph and set it up. Takes about 0.3 s; safe in a plain thread."""
    import pyqtgraph as pg  # lazy: a third of a second that the first paint can do without

    # Antialiased lines wider than a pixel go through a slow stroker unless they are segmented.
    pg.setConfigOptions(background=None, antialias=True, useOpenGL=False, segmentedLineMode="on")


class SparkStrip(QWidget):
    """Draws one sparkline per column over a base line; just the base lines until it has data.

    Values are shares of the scale, 0 to 1, oldest first; NaN is a gap. The plots are made at the
    first `show_series`, because making them costs more than everything else in a tile.
    """

    def __init__(self, columns: int, points: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns = columns
        self._points = points
        self._line = QColor()
        self._colours = [QColor()] * columns
        self._plots: _Plots | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    @property
    def has_plots(self) -> bool:
        """True once something was drawn."""
        return self._plots is not None

    def set_colours(self, colours: Sequence[QColor], line: QColor) -> None:
        """Use a colour for each column, and `line` for the base lines."""
        self._colours = list(colours)
        self._line = line
        if self._plots is not None:
            self._plots.set_colours(self._colours)
        self.update()

    def show_series(self, column: int, shares: Sequence[float]) -> None:
        """Draw `shares`: `points` values. A series with nothing but gaps draws nothing."""
        if self._plots is None:
            if all(value != value for value in shares):  # only NaN differs from itself
                return
            self._plots = _Plots(self, self._columns, self._points)
            self._plots.set_colours(self._colours)
            self._plots.place(self.width(), self.height())
        self._plots.draw(column, shares)

    def drawn(self, column: int) -> list[float]:
        """Return what a column shows, oldest first; empty before the first drawing."""
        return [] if self._plots is None else self._plots.drawn(column)

    def point_at(self, x: float) -> tuple[int, int] | None:
        """Return column and number of the point nearest to `x`; None between two columns."""
        for column, (left, width) in enumerate(column_edges(self.width(), self._columns)):
            if left <= x < left + width:
                share = (x - left) / max(1, width - 1)
                return column, min(self._points - 1, round(share * (self._points - 1)))
        return None

    def place_of(self, column: int, point: int, share: float) -> QPointF:
        """Return where a point with this value is drawn."""
        left, width = column_edges(self.width(), self._columns)[column]
        x = left + (width - 1) * point / (self._points - 1)
        return QPointF(x, self.height() * (_TOP - share) / (_TOP - _BOTTOM))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._plots is not None:
            self._plots.place(self.width(), self.height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        for left, width in column_edges(self.width(), self._columns):
            painter.fillRect(left, self.height() - 1, width, 1, self._line)


@cache
def _curve_class() -> Any:
    import pyqtgraph as pg

    class Curve(pg.PlotCurveItem):
        """A curve that knows its place: looking for it in the data costs a tenth of a tick."""

        place = QRectF()

        @guarded(QRectF())
        def boundingRect(self) -> QRectF:
            return self.place

    return Curve


class _Plots:
    """The pyqtgraph side: one view, one ViewBox and one PlotCurveItem for each column.

    PlotItem and PlotWidget would cost ten times as much to make, for axes that nobody sees.
    """

    def __init__(self, parent: QWidget, columns: int, points: int) -> None:
        load_pyqtgraph()
        import numpy as np
        import pyqtgraph as pg

        self._pg: Any = pg
        self._np: Any = np
        self._x = np.arange(points, dtype=np.float64)
        self._view: Any = pg.GraphicsView(parent, useOpenGL=False, background=None)  # pyright: ignore[reportArgumentType] - no types, the default misleads
        # Else it swallows the wheel and the page does not scroll over it.
        self._view.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.setObjectName("sparkView")
        self._view.viewport().setAutoFillBackground(False)
        self._boxes: list[Any] = []
        self._curves: list[Any] = []
        for _ in range(columns):
            box = pg.ViewBox(enableMouse=False, enableMenu=False)
            box.disableAutoRange()
            box.setRange(xRange=(0, points - 1), yRange=(_BOTTOM, _TOP), padding=0)
            curve = _curve_class()(connect="finite", fillLevel=0)
            curve.place = QRectF(-1, _BOTTOM, points + 1, _TOP - _BOTTOM)
            box.addItem(curve, ignoreBounds=True)
            self._view.addItem(box)
            self._boxes.append(box)
            self._curves.append(curve)
        self._view.show()

    def set_colours(self, colours: Sequence[QColor]) -> None:
        for curve, colour in zip(self._curves, colours, strict=True):
            fill = QLinearGradient(0, 1, 0, 0)
            for stop, alpha in ((0.0, 0.34), (1.0, 0.05)):
                shade = QColor(colour)
                shade.setAlphaF(alpha)
                fill.setColorAt(stop, shade)
            pen = QPen(colour, _LINE_WIDTH)
            pen.setCosmetic(True)
            curve.setPen(pen)
            curve.setBrush(QBrush(fill))

    def place(self, width: int, height: int) -> None:
        self._view.setGeometry(0, 0, width, height)
        for box, (left, share) in zip(
            self._boxes, column_edges(width, len(self._boxes)), strict=True
        ):
            box.setGeometry(QRectF(left, 0, share, height))

    def draw(self, column: int, shares: Sequence[float]) -> None:
        values = self._np.array(shares, dtype=self._np.float64)
        self._curves[column].setData(self._x, values)

    def drawn(self, column: int) -> list[float]:
        _, values = self._curves[column].getData()
        return [] if values is None else [float(value) for value in values]
