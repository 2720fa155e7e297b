"""Engines to choose from: those of the last times, and those on the local network."""

from collections.abc import Sequence

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.models.engine_choice import EngineChoice
from app.gui.theme import theme
from app.gui.widgets import icons

_ROW = 34
_MOST_ROWS = 5


class EngineList(QWidget):
    """A list with a button that looks around; it searches nothing itself."""

    chosen = Signal(object)  # str, an address
    accepted = Signal()
    look_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices: list[EngineChoice] = []
        self._rows = QListWidget(self)
        self._rows.setObjectName("engineList")
        self._rows.setAccessibleName(self.tr("Engines"))
        self._rows.setIconSize(QSize(16, 16))
        self._rows.setUniformItemSizes(True)
        self._rows.currentRowChanged.connect(self._on_row_changed)
        self._rows.itemClicked.connect(self._on_clicked)
        self._rows.itemActivated.connect(self._on_activated)
        self._note = QLabel(self)
        self._note.setObjectName("emptyText")
        self._note.setFont(theme().font("secondary"))
        self._note.setWordWrap(True)
        self._look = QPushButton(self.tr("Look on this network"), self)
        self._look.setAutoDefault(False)
        self._look.clicked.connect(self._on_look)
        foot = QHBoxLayout()
        foot.setSpacing(10)
        foot.addWidget(self._look)
        foot.addWidget(self._note, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._rows)
        column.addLayout(foot)
        self._fill()

    def set_recent(self, recent: Sequence[EngineChoice]) -> None:
        """Show the engines of the last times, the last one first."""
        nearby = [choice for choice in self._choices if choice.is_nearby]
        known = {choice.url for choice in nearby}
        self._choices = [*(c for c in recent if c.url not in known), *nearby]
        self._fill()

    def add_nearby(self, found: Sequence[EngineChoice]) -> None:
        """Show what answered on the network, in place of plain addresses of the same engines."""
        urls = {choice.url for choice in found}
        old = [c for c in self._choices if not c.is_nearby and c.url not in urls]
        self._choices = [*old, *found]
        self._fill()
        self._look.setEnabled(True)
        self._note.setText("" if found else self.tr("Nobody answered on this network."))

    def show_trouble(self, sentence: str) -> None:
        """Say why the network could not be searched."""
        self._look.setEnabled(True)
        self._note.setText(sentence)

    def _fill(self) -> None:
        self._rows.blockSignals(True)
        self._rows.clear()
        for choice in self._choices:
            item = QListWidgetItem(choice.title)
            picture = "lock" if choice.needs_key else "monitor" if choice.is_nearby else "clock"
            item.setIcon(icons.icon(picture, theme().tokens.tx2))
            item.setToolTip(self._tip(choice))
            item.setSizeHint(QSize(0, _ROW))
            self._rows.addItem(item)
        self._rows.setCurrentRow(-1)
        self._rows.blockSignals(False)
        self._rows.setVisible(bool(self._choices))
        self._rows.setFixedHeight(min(len(self._choices), _MOST_ROWS) * (_ROW + 2) + 4)

    def _tip(self, choice: EngineChoice) -> str:
        if not choice.is_nearby:
            return self.tr("Used before")
        if choice.needs_key:
            return self.tr("Answers on this network and wants a key")
        return self.tr("Answers on this network")

    def _on_clicked(self, item: QListWidgetItem) -> None:
        self._on_row_changed(self._rows.row(item))

    def _on_activated(self, _item: QListWidgetItem) -> None:
        self.accepted.emit()

    def _on_row_changed(self, row: int) -> None:
        if 0 <= row < len(self._choices):
            self.chosen.emit(self._choices[row].url)

    def _on_look(self) -> None:
        self._look.setEnabled(False)
        self._note.setText(self.tr("Looking around…"))
        self.look_requested.emit()
