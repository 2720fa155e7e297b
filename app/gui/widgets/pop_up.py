"""A pop-up list that looks like a button and opens below it."""

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QComboBox, QStyledItemDelegate, QWidget

from app.gui.theme import theme
from app.gui.widgets import icons

_ARROW = 14


class PopUp(QComboBox):
    """A combo box with our arrow. The wheel scrolls the page, never the choice."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("popUp")
        # The style sheet knows the rows of this delegate only.
        self.setItemDelegate(QStyledItemDelegate(self))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        theme().changed.connect(self.update)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        tokens = theme().tokens
        colour = tokens.tx2 if self.isEnabled() else tokens.tx3
        picture = icons.pixmap("chevron-down", colour, _ARROW, self.devicePixelRatioF())
        place = QPoint(self.width() - _ARROW - 8, (self.height() - _ARROW) // 2)
        painter.drawPixmap(place, picture)
