"""The sheet that shows what an import would bring, and asks for what needs consent."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.gui.dialogs.import_card import ImportCard
from app.gui.theme import theme
from app.gui.widgets.sheet_foot import sheet_foot
from app.wire.portable import ImportPreview, ImportRequest

_SIZE = QSize(600, 560)
_SIDE = 20
_FRAME = 32
"""Pixels for the title bar that some systems put above the sheet."""


class ImportSheet(QDialog):
    """Profiles as cards with a tick each; `submitted` hands out what the user chose.

    The owner then accepts the sheet, or calls `show_error`.
    """

    submitted = Signal(object)  # ImportRequest, with neither text nor source

    def __init__(
        self,
        source: str,
        preview: ImportPreview,
        models: frozenset[str],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Import profiles"))
        self._title = QLabel(self)
        self._title.setFont(theme().font("tile"))
        self._source = QLabel(self.tr("From {0}").format(source), self)
        self._source.setObjectName("settingHelp")
        self._source.setFont(theme().font("secondary"))
        self._source.setTextFormat(Qt.TextFormat.PlainText)
        self.cards = [ImportCard(e, has_model=e.model in models) for e in preview.entries]
        self.error_label = QLabel(self)
        self.cancel_button = QPushButton(self.tr("Cancel"), self)
        self.import_button = QPushButton(self)
        self._lay_out()
        for card in self.cards:
            card.changed.connect(self._refresh)
        self._refresh()
        self._fit_in(parent)
        self.import_button.setFocus()

    def _fit_in(self, parent: QWidget | None) -> None:
        wanted = QSize(_SIZE.width(), min(_SIZE.height(), self.sizeHint().height()))
        if parent is not None:
            wanted = wanted.boundedTo(parent.window().size() - QSize(0, _FRAME))
        self.resize(wanted)

    def _lay_out(self) -> None:
        page = QWidget()
        page.setObjectName("profileFormPage")
        column = QVBoxLayout(page)
        column.setContentsMargins(_SIDE, 0, _SIDE, 16)
        column.setSpacing(10)
        for card in self.cards:
            column.addWidget(card)
        if not self.cards:
            nothing = QLabel(self.tr("There are no profiles in it."), page)
            nothing.setObjectName("settingHelp")
            column.addWidget(nothing)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setObjectName("profileFormScroll")
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setSizeAdjustPolicy(QScrollArea.SizeAdjustPolicy.AdjustToContents)
        scroll.setWidget(page)
        head = QVBoxLayout()
        head.setContentsMargins(_SIDE, 18, _SIDE, 14)
        head.setSpacing(3)
        head.addWidget(self._title)
        head.addWidget(self._source)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(head)
        whole.addWidget(scroll, 1)
        whole.addWidget(self._foot())

    def _foot(self) -> QWidget:
        self.import_button.clicked.connect(self._on_import)
        return sheet_foot(self, self.error_label, self.cancel_button, self.import_button)

    def _chosen(self) -> list[ImportCard]:
        return [card for card in self.cards if card.is_chosen]

    def _refresh(self) -> None:
        usable = sum(1 for card in self.cards if card.can_be_chosen)
        chosen = len(self._chosen())
        self._title.setText(
            self.tr("Import a profile")
            if len(self.cards) == 1
            else self.tr("Import profiles: {0} of {1}").format(chosen, len(self.cards))
        )
        one, many = self.tr("Import"), self.tr("Import {0} profiles").format(chosen)
        self.import_button.setText(one if chosen < 2 else many)
        self.import_button.setEnabled(chosen > 0)
        reason = "" if usable else self.tr("Nothing here can be imported as it is.")
        self.import_button.setToolTip(reason)

    def _on_import(self) -> None:
        self.error_label.clear()
        self.import_button.setEnabled(False)
        cards = self._chosen()
        allowed = tuple(key for card in cards for key in card.allowed())
        chosen = tuple(card.entry.number for card in cards)
        self.submitted.emit(ImportRequest(chosen=chosen, allow=allowed))

    def show_error(self, message: str) -> None:
        """Say why nothing was imported, and let the user try again."""
        self.error_label.setText(message)
        self.import_button.setEnabled(True)
