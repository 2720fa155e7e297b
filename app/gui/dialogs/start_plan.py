"""Asks what to do when a server would need more memory than there is, with the arithmetic."""

from collections.abc import Mapping
from enum import Enum

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui import format as fmt
from app.gui.theme import theme
from app.gui.widgets import icons
from app.wire.fit import rounded_down, rounded_up
from app.wire.plan import StartPlan

_ICON = 32
_WIDTH = 500
_WIDEST_NAME = 150


class Decision(Enum):
    """What the user wants."""

    STOP_FIRST = "stop_first"
    ANYWAY = "anyway"


class _Rule(QWidget):
    """A line above a sum."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(9)

    def paintEvent(self, _event: QPaintEvent) -> None:
        QPainter(self).fillRect(0, 4, self.width(), 1, theme().color("line2"))


class StartPlanDialog(QDialog):
    """A sheet of the window. `decided` comes when the user wants the start; Cancel says nothing."""

    decided = Signal(object)  # Decision

    def __init__(
        self, plan: StartPlan, name: str, servers: Mapping[str, str], parent: QWidget
    ) -> None:
        """`servers` are the names of the servers by their id."""
        super().__init__(parent)
        self._plan = plan
        self._servers = servers
        self._row = 0
        self.setWindowTitle(self.tr("Not enough memory"))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(_WIDTH)
        column = QVBoxLayout(self)
        column.setContentsMargins(22, 20, 22, 18)
        column.setSpacing(14)
        column.addLayout(self._head(name))
        column.addLayout(self._sum())
        column.addSpacing(4)
        column.addLayout(self._buttons())

    def texts(self) -> list[str]:
        """Return everything that is written here."""
        return [label.text() for label in self.findChildren(QLabel) if label.text()]

    def _head(self, name: str) -> QHBoxLayout:
        mark = QLabel()
        colour = theme().tokens.warn
        scale = self.devicePixelRatioF()
        mark.setPixmap(icons.pixmap("memory-stick", colour, _ICON, scale))
        title = QLabel(self.tr("{name} needs more memory than is free").format(name=name))
        title.setFont(theme().font("tile"))
        title.setWordWrap(True)
        sentence = QLabel(self._plan.sentence)
        sentence.setObjectName("emptyText")
        sentence.setWordWrap(True)
        texts = QVBoxLayout()
        texts.setSpacing(4)
        texts.addWidget(title)
        texts.addWidget(sentence)
        if self._plan.stop_first:
            advice = QLabel(self._advice())
            advice.setWordWrap(True)
            texts.addSpacing(4)
            texts.addWidget(advice)
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        return row

    def _sum(self) -> QGridLayout:
        plan = self._plan
        grid = QGridLayout()
        # In line with the texts above.
        grid.setContentsMargins(_ICON + 16, 0, 0, 0)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(0, 1)
        cache = self.tr("Context of {count} tokens").format(count=fmt.count(plan.context))
        for text, size in (
            (self.tr("Model weights"), plan.weights_bytes),
            (cache, plan.cache_bytes),
            (self.tr("Working memory"), plan.runtime_bytes),
            *((self._servers.get(i, i), size) for i, size in plan.others_bytes.items()),
            (self.tr("Other model servers"), plan.foreign_bytes or None),
        ):
            if size is not None:
                self._line(grid, text, rounded_up(size))
        grid.addWidget(_Rule(), self._row, 0, 1, 2)
        self._row += 1
        others = sum(plan.others_bytes.values()) + plan.foreign_bytes
        # In the tenths that are shown, as the verdict counts.
        parts = (plan.weights_bytes or 0, plan.cache_bytes or 0, plan.runtime_bytes, others)
        wanted, limit = sum(map(rounded_up, parts)), rounded_down(plan.limit_bytes)
        self._line(grid, self.tr("In all"), wanted, ink="tx", role="small_value")
        self._line(grid, self.tr("Limit for model servers"), limit)
        short = wanted - limit
        if short > 0:
            self._line(grid, self.tr("Short by"), short, ink="bad", role="small_value")
        return grid

    def _line(
        self, grid: QGridLayout, text: str, size: int, *, ink: str = "tx2", role: str = ""
    ) -> None:
        name, value = QLabel(text), QLabel(fmt.memory_text(size))
        for label in (name, value):
            label.setFont(theme().font(role or "body"))
            palette = label.palette()
            palette.setColor(label.foregroundRole(), theme().color(ink))
            label.setPalette(palette)
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        grid.addWidget(name, self._row, 0)
        grid.addWidget(value, self._row, 1)
        self._row += 1

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        anyway = self._button(self.tr("Start anyway"), Decision.ANYWAY)
        cancel = QPushButton(self.tr("Cancel"))
        cancel.clicked.connect(self.reject)
        row.addWidget(anyway)
        row.addStretch(1)
        row.addWidget(cancel)
        if self._plan.stop_first:
            stop = self._button(self._stop_text(), Decision.STOP_FIRST)
            stop.setProperty("kind", "primary")
            stop.setDefault(True)
            row.addWidget(stop)
        else:
            cancel.setDefault(True)
        return row

    def _button(self, text: str, decision: Decision) -> QPushButton:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self._decide(decision))
        return button

    def _advice(self) -> str:
        names = [self._servers.get(i, i) for i in self._plan.stop_first]
        if len(names) == 1:
            return self.tr("Stopping {name} makes room.").format(name=names[0])
        text = self.tr("Stopping {names} and {last} makes room.")
        return text.format(names=", ".join(names[:-1]), last=names[-1])

    def _stop_text(self) -> str:
        names = [self._servers.get(i, i) for i in self._plan.stop_first]
        if len(names) != 1:
            return self.tr("Stop {count} servers and start").format(count=len(names))
        (name,) = names
        short = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, _WIDEST_NAME)
        return self.tr("Stop {name} and start").format(name=short)

    def _decide(self, decision: Decision) -> None:
        self.decided.emit(decision)
        self.accept()
