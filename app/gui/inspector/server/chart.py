"""One chart: curves by pyqtgraph on our own grid, with a cursor that reads the values out."""

# pyqtgraph ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from math import isnan
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from app.gui.guarded import guarded
from app.gui.inspector.server.chart_data import Chart, Line, Timeline, curve, value_text
from app.gui.theme import theme
from app.gui.widgets.card import paint_card
from app.gui.widgets.sparkline import load_pyqtgraph
from app.wire.metrics import METRICS

HEIGHT = 150
_PAD = 12
_HEAD = 22
_FOOT = 18
_AXIS = 56
_HEADROOM = 1.05
_DASH = [4.0, 3.0]
_HELP = {metric.name: metric.help for metric in METRICS}


class ChartView(QWidget):
    """Shows one chart. The pointer over it moves the cursor of all charts by `pointed`."""

    pointed = Signal(object)  # float, seconds since the epoch; None when the pointer leaves

    def __init__(self, chart: Chart, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chart = chart
        self._data = Timeline([], {})
        self._now, self._span = 0.0, 300.0
        self._top = 1.0
        self._limit: float | None = None
        self._cursor: int | None = None
        self._foot = ("", "")
        self._plot: _Plot | None = None
        self._overlay = _Overlay(self)
        self.setFixedHeight(HEIGHT)
        self.setMouseTracking(True)
        self.setToolTip("\n".join(_HELP[line.metric] for line in chart.lines))
        theme().changed.connect(self._on_theme)

    def show_data(self, data: Timeline, now: float, span_s: float) -> None:
        """Draw figures of the `span_s` seconds before `now`."""
        self._data, self._now, self._span = data, now, span_s
        if self._plot is None and not data.is_empty:
            self._plot = _Plot(self, self.chart.lines)
            self._plot.dress()
            self._overlay.raise_()
            self._place()
        if self._plot is not None:
            self._plot.draw(data, now, span_s, self._top)
        self._tell()
        self.update()

    def set_scale(self, top: float, limit: float | None, foot: tuple[str, str]) -> None:
        """Use a scale from 0 to `top`, with a line at `limit`; `foot` names both ends of time."""
        self._top, self._limit, self._foot = top, limit, foot

    def set_cursor(self, number: int | None) -> None:
        """Read the figures of one point out, or the latest ones."""
        if number != self._cursor:
            self._cursor = number
            self._tell()
            self.update()
            self._overlay.update()

    def read_out(self) -> list[tuple[Line, str]]:
        """Return what the head says: the figures at the cursor, else the latest."""
        found: list[tuple[Line, str]] = []
        for line in self.chart.lines:
            values = self._data.values.get(line.metric, [])
            number = len(values) - 1 if self._cursor is None else self._cursor
            value = values[number] if 0 <= number < len(values) else None
            found.append((line, value_text(self.chart.kind, value)))
        return found

    def drawn(self) -> list[list[float]]:
        """Return the values of each curve as they are drawn."""
        return [] if self._plot is None else self._plot.drawn()

    def marks(self) -> list[tuple[Line, QPointF]]:
        """Return where the cursor meets each curve; without it, and in a gap, nowhere."""
        if self._cursor is None or not 0 <= self._cursor < len(self._data.times):
            return []
        x = self._x_of(self._data.times[self._cursor])
        found: list[tuple[Line, QPointF]] = []
        for line in self.chart.lines:
            value = self._data.values[line.metric][self._cursor]
            if not isnan(value):
                found.append((line, QPointF(x, self._y_of(value))))
        return found

    def cursor_x(self) -> float | None:
        """Return where the cursor's line is; None without one."""
        if self._cursor is None or not 0 <= self._cursor < len(self._data.times):
            return None
        return self._x_of(self._data.times[self._cursor])

    def area(self) -> QRect:
        """Return the rectangle of the plot."""
        return QRect(
            _AXIS + _PAD, _PAD + _HEAD, self.width() - _AXIS - 2 * _PAD,
            self.height() - _HEAD - _FOOT - 2 * _PAD + 6,
        )  # fmt: skip

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    @guarded(False)
    def event(self, event: QEvent) -> bool:
        # Over the curves the tool-tip would cover what the cursor reads out.
        if isinstance(event, QHelpEvent) and event.pos().y() >= self.area().top():
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        area, x = self.area(), event.position().x()
        if event.position().y() >= area.top():
            QToolTip.hideText()
        if area.left() <= x <= area.right() + 1:
            share = (x - area.left()) / max(1, area.width())
            self.pointed.emit(self._now - self._span * (1 - share))
        else:
            self.pointed.emit(None)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.pointed.emit(None)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_card(painter, self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
        self._paint_head(painter)
        self._paint_grid(painter)
        self._paint_foot(painter)

    def _paint_head(self, painter: QPainter) -> None:
        t = theme()
        area = QRect(_PAD, _PAD - 2, self.width() - 2 * _PAD, _HEAD)
        right = area.right()
        for line, text in reversed(self.read_out()):
            painter.setFont(t.font("small_value" if not line.label else "secondary_strong"))
            painter.setPen(t.color("tx"))
            right = _text_at_right(painter, text, right, area)
            if line.label:
                painter.setFont(t.font("label"))
                painter.setPen(t.color("tx2"))
                right = _text_at_right(painter, line.label, right - 4, area)
                painter.setPen(_pen(line, t.color(line.colour), 2.0))
                middle = area.center().y() + 1
                painter.drawLine(right - 22, middle, right - 6, middle)
                right -= 34
        painter.setFont(t.font("secondary_strong"))
        painter.setPen(t.color("tx"))
        room = right - area.left()
        title = painter.fontMetrics().elidedText(
            self.chart.title, Qt.TextElideMode.ElideRight, room
        )
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, title)

    def _paint_grid(self, painter: QPainter) -> None:
        t, area = theme(), self.area()
        painter.setFont(t.font("label"))
        for share in (0.0, 0.5, 1.0):
            y = round(self._y_of(self._top * share))
            painter.setPen(QPen(t.color("line" if share else "line2"), 1))
            painter.drawLine(area.left(), y, area.right(), y)
            painter.setPen(t.color("tx2"))
            text = value_text(self.chart.kind, self._top * share) if share else "0"
            place = QRect(_PAD - 4, y - 8, _AXIS - 4, 16)
            painter.drawText(
                place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text
            )
        if self._limit is not None and self._limit <= self._top:
            y = round(self._y_of(self._limit))
            pen = QPen(t.color("bad"), 1)
            pen.setDashPattern(_DASH)
            painter.setPen(pen)
            painter.drawLine(area.left(), y, area.right(), y)
            painter.drawText(
                QRect(area.left(), y + 2, area.width() - 4, 16),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self.tr("limit"),
            )  # fmt: skip
        known = [line.metric for line in self.chart.lines if not self._is_unknown(line.metric)]
        if not known:
            painter.setPen(t.color("tx2"))
            painter.setFont(t.font("secondary"))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, self.tr("No figures in this time"))

    def _paint_foot(self, painter: QPainter) -> None:
        t, area = theme(), self.area()
        painter.setFont(t.font("label"))
        painter.setPen(t.color("tx2"))
        place = QRect(area.left(), area.bottom() + 3, area.width(), _FOOT)
        for text, side in zip(
            self._foot, (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight), strict=True
        ):
            painter.drawText(place, side | Qt.AlignmentFlag.AlignVCenter, text)

    def _is_unknown(self, metric: str) -> bool:
        return all(isnan(value) for value in self._data.values.get(metric, ()))

    def _x_of(self, at: float) -> float:
        area = self.area()
        return area.left() + area.width() * (1 - (self._now - at) / self._span)

    def _y_of(self, value: float) -> float:
        area = self.area()
        return area.bottom() + 1 - area.height() * value / (self._top * _HEADROOM)

    def _place(self) -> None:
        self._overlay.setGeometry(self.rect())
        if self._plot is not None:
            self._plot.place(self.area())

    def _tell(self) -> None:
        figures = ", ".join(f"{line.label} {text}".strip() for line, text in self.read_out())
        self.setAccessibleName(f"{self.chart.title}: {figures}")

    def _on_theme(self) -> None:
        if self._plot is not None:
            self._plot.dress()
        self.update()


class _Overlay(QWidget):
    """The cursor's line and dots, above the curves."""

    def __init__(self, chart: ChartView) -> None:
        super().__init__(chart)
        self._chart = chart
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def paintEvent(self, _event: QPaintEvent) -> None:
        x = self._chart.cursor_x()
        if x is None:
            return
        t, area = theme(), self._chart.area()
        painter = QPainter(self)
        painter.setPen(QPen(t.color("tx2"), 1))
        painter.drawLine(round(x), area.top(), round(x), area.bottom())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(t.color("card"), 1.5))
        for line, place in self._chart.marks():
            painter.setBrush(t.color(line.colour))
            painter.drawEllipse(place, 4.0, 4.0)


class _Plot:
    """The pyqtgraph side: one view, one box, one item for each curve."""

    def __init__(self, parent: QWidget, lines: tuple[Line, ...]) -> None:
        load_pyqtgraph()
        import numpy as np
        import pyqtgraph as pg

        self._np: Any = np
        self._lines = lines
        self._view: Any = pg.GraphicsView(parent, useOpenGL=False, background=None)  # pyright: ignore[reportArgumentType] - no types, the default misleads
        self._view.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.setObjectName("sparkView")
        self._view.viewport().setAutoFillBackground(False)
        self._box: Any = pg.ViewBox(enableMouse=False, enableMenu=False)
        self._box.disableAutoRange()
        self._view.addItem(self._box)
        self._curves: list[Any] = []
        for _ in lines:
            # A fill below two lines would hide which is which.
            is_filled = len(lines) == 1
            item = pg.PlotCurveItem(connect="finite", fillLevel=0 if is_filled else None)
            self._box.addItem(item, ignoreBounds=True)
            self._curves.append(item)
        self._view.show()

    def dress(self) -> None:
        for line, item in zip(self._lines, self._curves, strict=True):
            colour = theme().color(line.colour)
            item.setPen(_pen(line, colour, 1.5))
            if len(self._lines) == 1:
                shade = QColor(colour)
                shade.setAlphaF(0.16)
                item.setBrush(shade)

    def place(self, area: QRect) -> None:
        self._view.setGeometry(area)
        self._box.setGeometry(QRectF(0, 0, area.width(), area.height()))

    def draw(self, data: Timeline, now: float, span_s: float, top: float) -> None:
        self._box.setRange(xRange=(-span_s, 0), yRange=(0, top * _HEADROOM), padding=0)
        for line, item in zip(self._lines, self._curves, strict=True):
            xs, ys = curve(data.times, data.values.get(line.metric, []))
            np = self._np
            # Seconds since the epoch are too long for the floats of a painter.
            item.setData(np.array(xs, dtype=np.float64) - now, np.array(ys, dtype=np.float64))

    def drawn(self) -> list[list[float]]:
        found: list[list[float]] = []
        for item in self._curves:
            _, values = item.getData()
            found.append([] if values is None else [float(value) for value in values])
        return found


def _pen(line: Line, colour: QColor, width: float) -> QPen:
    pen = QPen(colour, width)
    pen.setCosmetic(True)
    if line.is_dashed:
        pen.setDashPattern(_DASH)
    return pen


def _text_at_right(painter: QPainter, text: str, right: int, area: QRect) -> int:
    """Draw text that ends at `right` and return where it begins."""
    width = QFontMetrics(painter.font()).horizontalAdvance(text)
    place = QRect(right - width, area.top(), width + 1, area.height())
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, text)
    return right - width
