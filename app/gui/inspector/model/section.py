"""A titled part of the page: a heading, and a card below it."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.gui.theme import theme

_PAD = 14


class Section(QWidget):
    """The heading is left away when it is empty."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading = QLabel(title, self)
        self.heading.setFont(theme().font("name"))
        self.aside = QLabel(self)
        self.aside.setFont(theme().font("secondary"))
        self.aside.setObjectName("settingHelp")
        self.aside.setTextFormat(Qt.TextFormat.PlainText)
        head = QHBoxLayout()
        head.setContentsMargins(2, 0, 2, 0)
        head.addWidget(self.heading)
        head.addStretch()
        head.addWidget(self.aside)
        self._card = QFrame(self)
        self._card.setObjectName("settingsCard")
        self.body = QVBoxLayout(self._card)
        self.body.setContentsMargins(_PAD, _PAD - 2, _PAD, _PAD - 2)
        self.body.setSpacing(8)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        if title:
            column.addLayout(head)
        column.addWidget(self._card)
