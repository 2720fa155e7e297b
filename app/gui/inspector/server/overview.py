"""The Overview tab: charts of the last minutes, the last hour or the last day, and the facts."""

import time

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout

from app.gui import format as fmt
from app.gui.guarded import guarded
from app.gui.inspector.server.chart import ChartView
from app.gui.inspector.server.chart_data import CHARTS, Timeline, limit, span_text, timeline, top
from app.gui.inspector.server.facts import FactsCard
from app.gui.inspector.server.page_scroll import SIDE, PageScroll
from app.gui.inspector.server.tab import Host, Tab
from app.gui.inspector.server.words import clock
from app.gui.theme import theme
from app.gui.widgets.segments import Segments
from app.wire.errors import AppError
from app.wire.events import Samples
from app.wire.history import SPANS_S, ServerHistory

_GAP = 10
_TWO_COLUMNS = 760
_EVERY_S = {300: 30, 3_600: 30, 86_400: 120}
"""How often each span's history is read anew."""


class OverviewTab(Tab):
    """All charts share one span and one cursor."""

    def __init__(self, host: Host, server_id: str) -> None:
        super().__init__(host, server_id)
        self._span = SPANS_S[0]
        self._history: dict[int, ServerHistory] = {}
        self._read_at: dict[int, float] = {}
        self._now = time.time()
        self._data = Timeline([], {})
        self._cursor_at: float | None = None
        self._trouble = ""
        self.spans = Segments([self.tr("5 min"), self.tr("1 h"), self.tr("24 h")], self)
        self.spans.setAccessibleName(self.tr("Time span"))
        self.moment = QLabel(self)
        self.moment.setObjectName("emptyText")
        self.moment.setFont(theme().font("label"))
        self.moment.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        # What it says never makes the page wider.
        self.moment.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.charts = [ChartView(chart, self) for chart in CHARTS]
        self.facts = FactsCard(self)
        self._columns = 0
        self._lay_out()
        for chart in self.charts:
            chart.pointed.connect(self._point_at)
        self.spans.chosen.connect(self._on_span)
        for index in range(len(SPANS_S)):
            self.spans.button(index).installEventFilter(self)
        self.mirror.sampled.connect(self._on_sampled)

    def poll(self) -> None:
        span = self._span
        is_due = time.monotonic() - self._read_at.get(span, -1e9) >= _EVERY_S[span]
        if not is_due or not self.can_ask:
            return
        self._read_at[span] = time.monotonic()
        server_id = self.server_id
        self.ask(
            "history",
            lambda api: (span, api.server_history(server_id, span_s=span)),
            self._take_history,
        )

    def refresh(self) -> None:
        self.facts.show_facts(self.mirror, self.server_id)
        self._draw()

    def focus_first(self) -> None:
        self.spans.button(self.spans.index).setFocus()

    def show_trouble(self, error: AppError) -> None:
        self._trouble = error.message
        # Again at the next second, not after half a minute.
        self._read_at.clear()
        self._show_moment()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    @guarded(False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # Left and right choose the span, so up and down walk the cursor along.
        if self._is_span(watched) and isinstance(event, QKeyEvent):
            step = {Qt.Key.Key_Down: -1, Qt.Key.Key_Up: 1}.get(Qt.Key(event.key()))
            if event.type() == QEvent.Type.KeyPress and step is not None:
                self._step_cursor(step)
                return True
        return super().eventFilter(watched, event)

    def _is_span(self, watched: QObject) -> bool:
        return any(watched is self.spans.button(index) for index in range(len(SPANS_S)))

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(SIDE, 0, SIDE, 10)
        head.setSpacing(4)
        head.addWidget(self.spans)
        head.addWidget(self.moment, 1)
        scroll = PageScroll(self, spacing=_GAP)
        self._grid = QGridLayout()
        self._grid.setSpacing(_GAP)
        scroll.column.addLayout(self._grid)
        scroll.column.addWidget(self.facts)
        scroll.column.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(scroll, 1)
        self._arrange()

    def _arrange(self) -> None:
        columns = 2 if self.width() >= _TWO_COLUMNS else 1
        if columns == self._columns:
            return
        self._columns = columns
        for number, chart in enumerate(self.charts):
            self._grid.removeWidget(chart)
            self._grid.addWidget(chart, number // columns, number % columns)
        for column in range(2):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def _on_span(self, index: int) -> None:
        self._span = SPANS_S[index]
        self._cursor_at = None
        self._draw()
        self.poll()

    def _take_history(self, answer: tuple[int, ServerHistory]) -> None:
        span, history = answer
        self._history[span] = history
        self._trouble = ""
        self._draw()
        # Another span may have been chosen while this answer was on its way.
        self.poll()

    def _on_sampled(self, samples: Samples) -> None:
        self._now = samples.at
        if self.isVisible():
            self.facts.show_facts(self.mirror, self.server_id)
            self._draw()

    def _draw(self) -> None:
        is_live = self._span == SPANS_S[0]
        series = self.mirror.series.get(self.server_id) if is_live else None
        history = self._history.get(self._span)
        self._data = timeline(history, series, self._span, self._now)
        engine = self.mirror.engine
        machine = engine.machine if engine is not None else None
        for view in self.charts:
            kind = view.chart.kind
            peak = self._data.peak([line.metric for line in view.chart.lines])
            bound = limit(machine) if kind == "memory" else None
            foot = (span_text(self._span), self.tr("now"))
            view.set_scale(top(kind, peak, machine), bound, foot)
            view.show_data(self._data, self._now, self._span)
        self._place_cursor()

    def _point_at(self, at: float | None) -> None:
        self._cursor_at = at
        self._place_cursor()

    def _step_cursor(self, by: int) -> None:
        times = self._data.times
        if not times:
            return
        before = len(times) if self._cursor_at is None else self._data.nearest(self._cursor_at)
        place = min(max((before or 0) + by, 0), len(times) - 1)
        self._point_at(times[place])

    def _place_cursor(self) -> None:
        number = None if self._cursor_at is None else self._data.nearest(self._cursor_at)
        for view in self.charts:
            view.set_cursor(number)
        self._show_moment()

    def _show_moment(self) -> None:
        text = self._trouble
        number = None if self._cursor_at is None else self._data.nearest(self._cursor_at)
        if number is not None:
            at = self._data.times[number]
            text = self.tr("{clock}, {time} ago").format(
                clock=clock(at), time=fmt.duration(self._now - at)
            )
        self.moment.setText(text)
        self.moment.setToolTip(text if text == self._trouble else "")
