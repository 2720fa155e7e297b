"""A part of a page that scrolls, with the same margins whether its scroll bar is there or not."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

SIDE = 20


class PageScroll(QScrollArea):
    """Holds a column; add widgets to `column`."""

    def __init__(self, parent: QWidget, *, top: int = 0, spacing: int = 10) -> None:
        super().__init__(parent)
        self.setObjectName("inspectorScroll")
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        body = QWidget(self)
        body.setObjectName("inspectorBody")
        self._top = top
        self.column = QVBoxLayout(body)
        self.column.setSpacing(spacing)
        self.setWidget(body)
        self.verticalScrollBar().rangeChanged.connect(self._fit)
        self._fit(0, 0)

    def _fit(self, _least: int, most: int) -> None:
        taken = self.verticalScrollBar().sizeHint().width() if most else 0
        self.column.setContentsMargins(SIDE, self._top, max(0, SIDE - taken), SIDE)
