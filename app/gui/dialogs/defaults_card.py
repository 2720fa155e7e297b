"""The table of what counts by itself, at the end of a page of the settings."""

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.gui.theme import theme
from app.wire.defaults import Default

_PAD = 16


class DefaultsCard(QWidget):
    """A heading and a card of rows: what, why and where it is changed, and the value."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        heading = QLabel(self.tr("What counts when nothing is chosen"), self)
        heading.setFont(theme().font("name"))
        heading.setContentsMargins(2, 0, 0, 0)
        self._card = QFrame(self)
        self._card.setObjectName("settingsCard")
        self._rows = QVBoxLayout(self._card)
        self._rows.setContentsMargins(_PAD, 8, _PAD, 8)
        self._rows.setSpacing(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(heading)
        column.addWidget(self._card)

    def show_rows(self, rows: Iterable[Default]) -> None:
        """Fill the card; called once."""
        for number, row in enumerate(rows):
            if number:
                line = QFrame(self._card)
                line.setObjectName("settingsLine")
                line.setStyleSheet("margin: 0")
                line.setFixedHeight(1)
                self._rows.addWidget(line)
            self._rows.addWidget(self._row(row))

    def _row(self, row: Default) -> QWidget:
        holder = QWidget(self._card)
        label = QLabel(row.label, holder)
        label.setFont(theme().font("body"))
        note = QLabel(f"{row.why} {self.tr('Changed {0}.').format(row.where)}", holder)
        note.setObjectName("settingHelp")
        note.setFont(theme().font("secondary"))
        value = QLabel(row.value, holder)
        value.setFont(theme().font("body"))
        for text in (label, note):
            text.setWordWrap(True)
            policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            policy.setHeightForWidth(True)
            text.setSizePolicy(policy)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(label)
        texts.addWidget(note)
        line = QHBoxLayout(holder)
        line.setContentsMargins(0, 8, 0, 8)
        line.setSpacing(24)
        line.addLayout(texts, 1)
        line.addWidget(value, 0, Qt.AlignmentFlag.AlignVCenter)
        return holder
