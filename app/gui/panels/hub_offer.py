"""Offers to download what stands in the search field, when it names a model of the hub."""

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from app.gui.delegates.download_tile import MARGIN
from app.gui.mirror import LinkState, Mirror
from app.gui.theme import theme
from app.gui.widgets.elided_label import ElidedLabel

_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_ADDRESS = re.compile(r"https?://[^/\s]+/")


def hub_id(text: str) -> str | None:
    """Return the id that a text names, as `author/name` or as a page of the hub; else None."""
    text = text.strip()
    if (address := _ADDRESS.match(text)) is not None:
        parts = text[address.end() :].split("?")[0].split("/")
        text = "/".join(parts[:2])
    return text if _ID.fullmatch(text) else None


class HubOffer(QFrame):
    """A line with the model's id and a Download button; hidden when there is nothing to offer."""

    download_requested = Signal(object)  # str, a hub id

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._id: str | None = None
        self._text = ""
        self._name = ElidedLabel(
            theme().font("name"), elide=Qt.TextElideMode.ElideMiddle, parent=self
        )
        self._where = QLabel(self.tr("on Hugging Face"), self)
        self._where.setFont(theme().font("secondary"))
        self._button = QPushButton(self.tr("Download"), self)
        self._button.setProperty("kind", "primary")
        self._button.clicked.connect(self.accept)
        row = QHBoxLayout(self)
        row.setContentsMargins(MARGIN + 2, 0, MARGIN, 10)
        row.setSpacing(8)
        row.addWidget(self._name, 1)
        row.addWidget(self._where)
        row.addWidget(self._button, 0, Qt.AlignmentFlag.AlignRight)
        mirror.models_changed.connect(self._refresh)
        mirror.downloads_changed.connect(self._refresh)
        mirror.link_changed.connect(self._refresh)
        theme().changed.connect(self._restyle)
        self._restyle()
        self._refresh()

    @property
    def offered_id(self) -> str | None:
        """The id on offer; None while hidden."""
        return self._id

    def set_text(self, text: str) -> None:
        """Take what stands in the search field."""
        self._text = text
        self._refresh()

    def accept(self) -> None:
        """Ask for the download on offer."""
        if self._id is not None:
            self.download_requested.emit(self._id)

    def _refresh(self, _changed: object = None) -> None:
        found = hub_id(self._text)
        known = self._mirror.models.keys() | self._mirror.downloads.keys()
        is_live = self._mirror.link is LinkState.LIVE
        self._id = found if is_live and found not in known else None
        if self._id is not None:
            self._name.setText(self._id)
        self.setVisible(self._id is not None)

    def _restyle(self) -> None:
        self._where.setStyleSheet(f"color: {theme().tokens.tx2};")
