"""The downloads, pinned above the list of models: outside its search, sort and scrolling."""

from PySide6.QtCore import QEvent, QModelIndex, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QMoveEvent
from PySide6.QtWidgets import QAbstractItemView, QVBoxLayout, QWidget

from app.gui.delegates.download_tile import GAP, HEIGHT, DownloadAction, DownloadTile
from app.gui.guarded import guarded
from app.gui.mirror import Mirror
from app.gui.models.download_list import DownloadList, DownloadRole
from app.gui.panels.download_menu import Places, action_of, make_menu
from app.gui.widgets.list_view import ListView, MenuRequest
from app.wire.nouns import Download

_MOST_ROWS = 3
_LIST_ROOM = 190
"""Pixels for two rows of the list below, or for what stands in place of them."""
_MOVING_MS = 1_000
"""The engine answers a move with several changes, within this time."""
_MOVES = (
    DownloadAction.MOVE_TOP, DownloadAction.MOVE_UP,
    DownloadAction.MOVE_DOWN, DownloadAction.MOVE_BOTTOM,
)  # fmt: skip


class DownloadsStrip(QWidget):
    """Up to three tiles high, then it scrolls; gone when there is no download.

    In a low window it is lower, so that the list below keeps its room.
    """

    about_to_resize = Signal()
    action_requested = Signal(object)  # tuple[DownloadAction, str]: what, and the download's id
    inspect_requested = Signal(object)  # str, a hub id
    copy_id_requested = Signal(object)  # str, a hub id
    open_page_requested = Signal(object)  # str, a hub id

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._height = -1
        self._moved = ""
        """The download that the user moved just now; it stays in view."""
        self._moving = QTimer(self)
        self._moving.setSingleShot(True)
        self._moving.setInterval(_MOVING_MS)
        self.model = DownloadList(self)
        self.view = _DownloadView(self)
        self.view.setObjectName("modelsList")
        self.view.setAccessibleName(self.tr("Downloads"))
        self.view.setModel(self.model)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.tile = DownloadTile(self.view)
        self.view.setItemDelegate(self.tile)
        self.tile.pressed.connect(self._on_pressed)
        self.view.action_pressed.connect(self._on_pressed)
        self.view.pointer_left.connect(self.tile.clear_hover)
        self.view.enter_pressed.connect(self._on_enter)
        self.view.menu_requested.connect(self._on_menu_requested)
        self.model.layoutChanged.connect(self._on_moved)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        if parent is not None:
            parent.installEventFilter(self)
        mirror.downloads_changed.connect(self._refresh)
        self._refresh()

    @guarded(False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and watched is self.parent():
            self._resize()
        return super().eventFilter(watched, event)

    def moveEvent(self, event: QMoveEvent) -> None:
        super().moveEvent(event)
        self._resize()

    def _refresh(self) -> None:
        self.model.sync(self._mirror.downloads)
        self._resize()

    def _resize(self) -> None:
        panel = self.parentWidget()
        room = panel.height() - self.y() - _LIST_ROOM if panel is not None else 0
        # Before it has its place the window is not to be seen either.
        most = max(1, room // (HEIGHT + GAP)) if self.y() else _MOST_ROWS
        rows = min(_MOST_ROWS, most, self.model.rowCount())
        if (height := rows * (HEIGHT + GAP)) != self._height:
            self._height = height
            self.about_to_resize.emit()
            self.setFixedHeight(height)
            self.setVisible(rows > 0)

    def _on_enter(self, index: QModelIndex) -> None:
        self._do(DownloadAction.INSPECT, index.data())

    def _on_pressed(self, wish: tuple[DownloadAction, str]) -> None:
        self._do(*wish)

    def _do(self, action: DownloadAction, download_id: str) -> None:
        if action is DownloadAction.INSPECT:
            self.inspect_requested.emit(download_id)
        elif action is DownloadAction.COPY_ID:
            self.copy_id_requested.emit(download_id)
        elif action is DownloadAction.OPEN_PAGE:
            self.open_page_requested.emit(download_id)
        elif self._makes_sense(action, download_id):
            if action in _MOVES:
                self._moved = download_id
                self._moving.start()
            self.action_requested.emit((action, download_id))

    def _makes_sense(self, action: DownloadAction, download_id: str) -> bool:
        if action not in _MOVES:
            return True
        places = Places(*self.model.move_limits(download_id))
        is_up = action in (DownloadAction.MOVE_TOP, DownloadAction.MOVE_UP)
        return places.up if is_up else places.down

    def _on_moved(self) -> None:
        if not self._moving.isActive():
            return
        for row in range(self.model.rowCount()):
            index = self.model.index(row)
            if index.data() == self._moved:
                self.view.reveal(index)

    def _on_menu_requested(self, request: MenuRequest) -> None:
        download = request.row.data(DownloadRole.DOWNLOAD)
        if not isinstance(download, Download):
            return
        places = Places(*self.model.move_limits(download.id))
        everything = self._mirror.downloads.values()
        menu = make_menu(download, places, everything, self._do, self)
        menu.setEnabled(not self._mirror.is_stale)
        menu.popup(request.position)


class _DownloadView(ListView):
    """Takes the keys that a download has in its menu."""

    action_pressed = Signal(object)  # tuple[DownloadAction, str]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        download = self.currentIndex().data(DownloadRole.DOWNLOAD)
        action = action_of(event, download) if isinstance(download, Download) else None
        if action is None or not isinstance(download, Download):
            super().keyPressEvent(event)
        else:
            self.action_pressed.emit((action, download.id))


__all__ = ["DownloadAction", "DownloadsStrip"]
