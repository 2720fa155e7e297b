"""What stands in place of content that is not there: why, and what to do."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.gui.theme import theme
from app.gui.widgets import icons

_ICON = 32


class EmptyState(QWidget):
    """An icon, a title, a sentence and, where something can be done at once, a button."""

    button_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name = ""
        self._icon = QLabel(self)
        self._title = QLabel(self)
        self._title.setObjectName("emptyTitle")
        self._title.setFont(theme().font("tile"))
        self._text = QLabel(self)
        self._text.setObjectName("emptyText")
        self._text.setFont(theme().font("secondary"))
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for label in (self._icon, self._title, self._text):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.button = QPushButton(self)
        self.button.clicked.connect(self.button_clicked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(28, 0, 28, 28)
        layout.setSpacing(6)
        layout.addStretch(2)
        layout.addWidget(self._icon)
        layout.addSpacing(4)
        layout.addWidget(self._title)
        layout.addWidget(self._text)
        layout.addSpacing(8)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        theme().changed.connect(self._paint_icon)

    def show_message(self, *, icon: str, title: str, text: str = "", button: str = "") -> None:
        """Say this from now on; an empty text or button takes no room."""
        self._icon_name = icon
        self._title.setText(title)
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self._paint_icon()

    def _paint_icon(self) -> None:
        if self._icon_name:
            picture = icons.pixmap(
                self._icon_name, theme().tokens.tx3, _ICON, self.devicePixelRatioF()
            )
            self._icon.setPixmap(picture)
