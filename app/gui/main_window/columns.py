"""The columns of the window: models, servers, and the inspector beside or over the servers."""

from PySide6.QtCore import QByteArray, QSettings, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

from app.gui.inspector.frame import Inspector

_WIDE = 1200
"""From this many pixels on there is room for three columns."""
_SIDE = (300, 520)
_FIRST_SIZES = [400, 1000]
_INSPECTOR = 400


class Columns(QSplitter):
    """Models and servers side by side; the inspector is a third column, or covers the servers."""

    def __init__(self, models: QWidget, servers: QWidget, inspector: Inspector) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._servers = servers
        self._inspector = inspector
        self._sizes: list[int] = []
        self.setChildrenCollapsible(False)
        self.setHandleWidth(1)
        for widget in (models, servers, inspector):
            self.addWidget(widget)
        self.setStretchFactor(1, 1)
        models.setMinimumWidth(_SIDE[0])
        models.setMaximumWidth(_SIDE[1])
        self.setSizes(_FIRST_SIZES)
        inspector.opened.connect(self._on_opened)
        inspector.closed.connect(self._arrange)

    def remember(self, memory: QSettings) -> None:
        """Write the widths down."""
        memory.setValue("columns", self.saveState())

    def restore(self, memory: QSettings) -> None:
        """Take the widths of the last time."""
        state = memory.value("columns")
        if isinstance(state, QByteArray):
            self.restoreState(state)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _on_opened(self) -> None:
        self._arrange()
        sizes = self.sizes()
        if self.width() >= _WIDE and sizes[2] < _INSPECTOR <= sizes[1] - _INSPECTOR:
            self.setSizes([sizes[0], sizes[1] + sizes[2] - _INSPECTOR, _INSPECTOR])

    def _arrange(self) -> None:
        covers = self._inspector.page is not None and self.width() < _WIDE
        self._servers.setVisible(not covers)
