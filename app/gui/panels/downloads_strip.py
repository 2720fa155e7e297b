"""The downloads, pinned above the list of models: outside its search, sort and scrolling."""

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QVBoxLayout, QWidget

from app.gui.delegates.download_tile import (
    GAP,
    HEIGHT,
    DownloadAction,
    DownloadTile,
    main_action,
)
from app.gui.mirror import Mirror
from app.gui.models.download_list import DownloadList, DownloadRole
from app.gui.widgets.list_view import ListView

_MOST_ROWS = 3


class DownloadsStrip(QWidget):
    """Up to three tiles high, then it scrolls; gone when there is no download."""

    about_to_resize = Signal()
    action_requested = Signal(object)  # tuple[DownloadAction, str]: what, and the download's id

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._height = -1
        self.model = DownloadList(self)
        self.view = ListView(self)
        self.view.setObjectName("modelsList")
        self.view.setAccessibleName(self.tr("Downloads"))
        self.view.setModel(self.model)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.tile = DownloadTile(self.view)
        self.view.setItemDelegate(self.tile)
        self.tile.pressed.connect(self.action_requested)
        self.view.pointer_left.connect(self.tile.clear_hover)
        self.view.enter_pressed.connect(self._on_enter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        mirror.downloads_changed.connect(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        self.model.sync(self._mirror.downloads)
        rows = min(_MOST_ROWS, self.model.rowCount())
        if (height := rows * (HEIGHT + GAP)) != self._height:
            self._height = height
            self.about_to_resize.emit()
            self.setFixedHeight(height)
            self.setVisible(rows > 0)

    def _on_enter(self, index: QModelIndex) -> None:
        download = index.data(DownloadRole.DOWNLOAD)
        if download is not None:
            self.action_requested.emit((main_action(download), download.id))


__all__ = ["DownloadAction", "DownloadsStrip"]
