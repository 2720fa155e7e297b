"""A line on a tint that says one thing in place, with at most one button."""

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from app.gui.theme import theme
from app.gui.widgets import icons

_ICON = 15
_LOOKS = {
    "info": ("info", "tx2", "chip"),
    "warn": ("triangle-alert", "warn", "warns"),
    "bad": ("triangle-alert", "bad", "bads"),
}


class NoteLine(QWidget):
    """Hidden while it has nothing to say."""

    button_clicked = Signal()

    def __init__(self, kind: str = "info", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = kind
        self._icon = QLabel(self)
        self._text = QLabel(self)
        self._text.setFont(theme().font("secondary"))
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.button = QPushButton(self)
        self.button.clicked.connect(self.button_clicked)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(8)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._text, 1)
        row.addWidget(self.button)
        theme().changed.connect(self._dress)
        self.hide()

    def text(self) -> str:
        """Return what it says; empty while it is hidden."""
        return "" if self.isHidden() else self._text.text()

    def say(self, text: str, *, button: str = "", kind: str = "") -> None:
        """Show a sentence (nothing hides the line), as `info`, `warn` or `bad`."""
        self._kind = kind or self._kind
        self._text.setText(text)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self.setAccessibleName(text)
        self.setVisible(bool(text))
        self._dress()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color(_LOOKS[self._kind][2]))
        painter.drawRoundedRect(QRectF(self.rect()), 8, 8)

    def _dress(self) -> None:
        name, ink, _ = _LOOKS[self._kind]
        colour = theme().color(ink).name()
        self._icon.setPixmap(icons.pixmap(name, colour, _ICON, self.devicePixelRatioF()))
        self._text.setStyleSheet(f"color: {theme().tokens.tx};")
        self.update()
