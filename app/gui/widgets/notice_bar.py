"""A line above the content that says one thing and offers at most one action."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from app.gui.theme import theme
from app.gui.widgets import icons


class NoticeBar(QFrame):
    """Hidden until `show_notice`; a newer notice replaces an older one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_bad = True
        self._action: Callable[[], None] | None = None
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._button = QPushButton()
        self._button.clicked.connect(self._on_action)
        self._close = QPushButton()
        self._close.setProperty("kind", "flat")
        self._close.setToolTip(self.tr("Dismiss"))
        self._close.setAccessibleName(self.tr("Dismiss this notice"))
        self._close.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 7, 12, 7)
        layout.setSpacing(10)
        for widget in (self._icon, self._text, self._button, self._close):
            layout.addWidget(widget)
        theme().changed.connect(self._restyle)
        self._restyle()
        self.hide()

    @property
    def text(self) -> str:
        """What it says now; empty while hidden."""
        return "" if self.isHidden() else self._text.text()

    @property
    def offers_action(self) -> bool:
        """True while it shows a button."""
        return self._action is not None and not self.isHidden()

    def show_notice(
        self,
        text: str,
        *,
        is_bad: bool = True,
        action_text: str = "",
        action: Callable[[], None] | None = None,
    ) -> None:
        """Show a sentence, and a button when there is something to do about it."""
        self._is_bad = is_bad
        self._action = action
        self._text.setText(text)
        self._button.setText(action_text)
        self._button.setVisible(action is not None)
        self._restyle()
        self.setAccessibleName(text)
        self.show()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the ground and the line below it."""
        t = theme()
        painter = QPainter(self)
        painter.fillRect(self.rect(), t.color("bads" if self._is_bad else "accs"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, t.color("line"))

    def _restyle(self) -> None:
        colour = theme().color("bad" if self._is_bad else "acc")
        name = "triangle-alert" if self._is_bad else "info"
        self._icon.setPixmap(icons.pixmap(name, colour.name(), 16, self.devicePixelRatioF()))
        self._close.setIcon(icons.icon("x", theme().color("tx2")))
        self.update()

    def _on_action(self) -> None:
        self.hide()
        if self._action is not None:
            self._action()
