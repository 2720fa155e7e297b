"""The columns of the window: models, servers, and the inspector beside or over the servers."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

from app.gui.inspector.frame import Inspector
from app.gui.memory import Memory

_SIDE = (300, 520)
_FIRST_SIZES = [400, 1000]
_INSPECTOR = 400


class Columns(QSplitter):
    """Models and servers side by side; the inspector is a third column, or covers the servers."""

    def __init__(self, models: QWidget, servers: QWidget, inspector: Inspector) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._models = models
        self._servers = servers
        self._inspector = inspector
        self._side = _FIRST_SIZES[0]
        self.setChildrenCollapsible(False)
        self.setHandleWidth(1)
        for widget in (models, servers, inspector):
            self.addWidget(widget)
        self.setStretchFactor(1, 1)
        models.setMinimumWidth(_SIDE[0])
        models.setMaximumWidth(_SIDE[1])
        self.setSizes(_FIRST_SIZES)
        self.splitterMoved.connect(self._on_moved)
        inspector.opening.connect(self._on_opening)
        inspector.opened.connect(self._on_opened)
        inspector.closed.connect(self._on_closed)

    def remember(self, memory: Memory) -> None:
        """Write the widths down."""
        memory.set_value("columns", self.saveState())

    def restore(self, memory: Memory) -> None:
        """Take the widths of the last time."""
        self.restoreState(memory.bytes_of("columns"))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _on_moved(self) -> None:
        self._side = self._models.width()

    def _on_opening(self) -> None:
        self._side = self._models.width()

    def _on_opened(self) -> None:
        """Make room for the third column beside the servers, and none of it from the models."""
        self._arrange()
        room = self.width() - self._side - 2 * self.handleWidth()
        if self._servers.isVisibleTo(self):
            third = max(self._inspector.width(), _INSPECTOR)
            third = min(third, room - self._least_servers())
            self.setSizes([self._side, room - third, third])
        else:
            self.setSizes([self._side, 0, room + self.handleWidth()])

    def _on_closed(self) -> None:
        side = self._models.width()
        self._arrange()
        self.setSizes([side, self.width() - side - self.handleWidth(), 0])

    def _arrange(self) -> None:
        # A splitter that lacks room takes some of every column.
        columns = self._side + self._least_servers() + self._inspector.minimumWidth()
        has_room = self.width() >= columns + 2 * self.handleWidth()
        self._servers.setVisible(has_room or self._inspector.page is None)

    def _least_servers(self) -> int:
        return max(self._servers.minimumSizeHint().width(), self._servers.minimumWidth())
