"""The card of a model: what its authors say about it."""

from urllib.parse import urljoin, urlsplit

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from app.gui.inspector.model.section import Section
from app.gui.models.card_text import CardPiece
from app.gui.theme import theme
from app.gui.widgets.card_view import CardView

_PAGE = 24
"""Pieces that are shown at first, and more with each press: some 200 lines."""
_SCHEMES = ("http", "https")


class CardSection(Section):
    """Shows a card as text; a link goes to the browser, and only to the web."""

    link_clicked = Signal(object)  # str, an address

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Model card", parent)
        self.heading.setText(self.tr("Model card"))
        self._pieces: tuple[CardPiece, ...] = ()
        self._base = ""
        self._is_cut = False
        self.view = CardView(self)
        self.view.setAccessibleName(self.tr("Model card"))
        self.view.link_clicked.connect(self._on_link)
        self.view.finished.connect(self._update_foot)
        self.button = QPushButton(self.tr("Show more"), self)
        self.button.setProperty("kind", "flat")
        self.button.clicked.connect(self._show_more)
        self.foot = QLabel(self.tr("The card is longer; its page has all of it."), self)
        self.foot.setFont(theme().font("secondary"))
        self.foot.setObjectName("settingHelp")
        self.foot.setWordWrap(True)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        self.body.addWidget(self.view)
        self.body.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        self.body.addWidget(self.foot)
        self.button.setContentsMargins(8, 0, 0, 8)
        self.foot.setContentsMargins(14, 0, 14, 12)
        self.button.hide()
        self.foot.hide()
        self.hide()

    def show_card(self, pieces: tuple[CardPiece, ...], base: str, *, is_cut: bool) -> None:
        """Show a card; `base` is the address that relative links start from."""
        self._base, self._is_cut = base, is_cut
        if pieces != self._pieces:
            self._pieces = pieces
            self.setVisible(bool(pieces))
            self.view.show_pieces(pieces, count=_PAGE)

    def _show_more(self) -> None:
        self.view.show_more(_PAGE)
        self._update_foot()

    def _update_foot(self) -> None:
        self.button.setVisible(self.view.has_more)
        self.foot.setVisible(self._is_cut and not self.view.has_more)

    def _on_link(self, address: str) -> None:
        if not address or address.startswith("#"):
            return
        try:
            whole = urljoin(f"{self._base}/", address) if self._base else address
            is_web = urlsplit(whole).scheme in _SCHEMES
        except ValueError:
            return
        if is_web:
            self.link_clicked.emit(whole)
