"""The downloads, pinned above the list of models: outside its search, sort and scrolling."""

from PySide6.QtCore import QEvent, QModelIndex, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QCursor, QKeyEvent, QMoveEvent
from PySide6.QtWidgets import QAbstractItemView, QPushButton, QVBoxLayout, QWidget

from app.gui.delegates.download_tile import GAP, HEIGHT, DownloadAction, DownloadTile
from app.gui.guarded import guarded
from app.gui.mirror import Mirror
from app.gui.models.download_list import DownloadList, DownloadRole
from app.gui.panels.download_menu import Places, action_of, make_menu
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.list_view import ListView, MenuRequest
from app.wire.nouns import Download

_MOST_ROWS = 3
_ROW = HEIGHT + GAP
_FOOT = 26
_LIST_ROOM = 190
"""Pixels for two rows of the list below, or for what stands in place of them."""
_FOLLOW_MS = 1_000
"""The engine answers a move with several changes, and a start too, within this time."""
_MOVES = (
    DownloadAction.MOVE_TOP, DownloadAction.MOVE_UP,
    DownloadAction.MOVE_DOWN, DownloadAction.MOVE_BOTTOM,
)  # fmt: skip
_SETTINGS = {
    DownloadAction.LOG_IN: "hub_token",
    DownloadAction.FREE_SPACE: "model_folders",
}
"""What is to be seen to in Settings."""


class DownloadsStrip(QWidget):
    """Up to three tiles high, then it scrolls and says how many more there are.

    In a low window it is lower, so that the list below keeps its room: half of the panel while
    nothing is on its way. What has stopped goes below what moves, but never under the pointer.
    """

    about_to_resize = Signal()
    settled = Signal()
    """It may have another height now although no download came or went."""
    action_requested = Signal(object)  # tuple[DownloadAction, str]: what, and the download's id
    inspect_requested = Signal(object)  # str, a hub id
    copy_id_requested = Signal(object)  # str, a hub id
    open_page_requested = Signal(object)  # str, a hub id
    setting_requested = Signal(object)  # str, the name of a setting

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._rows: int = 0
        self._height: int = -1
        self._is_at_end = False
        self._followed = ""
        """The download that was begun or moved just now; it stays in view."""
        self._following = QTimer(self)
        self._following.setSingleShot(True)
        self._following.setInterval(_FOLLOW_MS)
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
        self.view.pointer_left.connect(self._on_pointer_left)
        self.view.enter_pressed.connect(self._on_enter)
        self.view.menu_requested.connect(self._on_menu_requested)
        self.view.moved.connect(self._update_more)
        self.model.layoutChanged.connect(self._follow)
        self.more = QPushButton(self)
        self.more.setProperty("kind", "flat")
        self.more.setFixedHeight(_FOOT - 4)
        self.more.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.more.clicked.connect(self._on_more)
        theme().changed.connect(self._update_more)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.view)
        layout.addWidget(self.more, 0, Qt.AlignmentFlag.AlignHCenter)
        if parent is not None:
            parent.installEventFilter(self)
        self._ticking = QTimer(self)
        self._ticking.setInterval(1_000)
        self._ticking.timeout.connect(self.view.viewport().update)
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
        fresh = self.model.sync(self._mirror.downloads, holds=self._is_pointed_at())
        self._resize(keeps_list=True)
        counts_down = any(d.retry_at is not None for d in self._mirror.downloads.values())
        if counts_down != self._ticking.isActive():
            (self._ticking.start if counts_down else self._ticking.stop)()
        if len(fresh) == 1:
            # More than one are those of an engine that is new to us.
            self._follow(fresh[0])

    def _is_pointed_at(self) -> bool:
        return self.view.underMouse() and self.view.isVisible()

    def _on_pointer_left(self) -> None:
        self.tile.clear_hover()
        if not self.view.rect().contains(self.view.mapFromGlobal(QCursor.pos())):
            self.model.sync(self._mirror.downloads)
            self._resize(keeps_list=True)
            self.settled.emit()

    def _resize(self, *, keeps_list: bool = False) -> None:
        count = self.model.rowCount()
        rows = min(self._most_rows(), count)
        if self._is_pointed_at():
            rows = max(rows, min(self._rows, count))
        height = rows * _ROW + (_FOOT if rows < count else 0)
        if height != self._height:
            self._rows, self._height = rows, height
            if keeps_list:
                self.about_to_resize.emit()
            self.view.setFixedHeight(rows * _ROW)
            self.setFixedHeight(height)
            self.more.setVisible(rows < count)
            self.setVisible(rows > 0)
        self._update_more()

    def _most_rows(self) -> int:
        panel = self.parentWidget()
        if panel is None or not self.y():
            # Before it has its place the window is not to be seen either.
            return _MOST_ROWS
        moves = any(download.state.is_active for download in self._mirror.downloads.values())
        below = _LIST_ROOM if moves else max(_LIST_ROOM, panel.height() // 2)
        room = panel.height() - self.y() - below
        return max(1, min(_MOST_ROWS, room // _ROW))

    def _update_more(self) -> None:
        """Say how many tiles are out of sight below, or else above."""
        hidden = self.model.rowCount() - self._rows
        if hidden <= 0:
            # Each progress of a download comes by here.
            return
        passed = -(-self.view.verticalScrollBar().value() // _ROW)
        self._is_at_end = passed >= hidden
        count = passed if self._is_at_end else hidden - passed
        self.more.setText(self.tr("{} more").format(count))
        name = "chevron-up" if self._is_at_end else "chevron-down"
        self.more.setIcon(icons.icon(name, theme().tokens.tx2))
        where = self.tr("above") if self._is_at_end else self.tr("below")
        self.more.setAccessibleName(self.tr("{} more downloads {}").format(count, where))

    def _on_more(self) -> None:
        bar = self.view.verticalScrollBar()
        bar.setValue(0 if self._is_at_end else bar.value() + max(1, self._rows) * _ROW)

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
        elif action in _SETTINGS:
            self.setting_requested.emit(_SETTINGS[action])
        elif self._makes_sense(action, download_id):
            if action in _MOVES:
                self._followed = download_id
                self._following.start()
            self.action_requested.emit((action, download_id))

    def _makes_sense(self, action: DownloadAction, download_id: str) -> bool:
        if action not in _MOVES:
            return True
        places = Places(*self.model.move_limits(download_id))
        is_up = action in (DownloadAction.MOVE_TOP, DownloadAction.MOVE_UP)
        return places.up if is_up else places.down

    def _follow(self, download_id: object = None) -> None:
        """Show the download that was begun or moved just now."""
        if isinstance(download_id, str):
            self._followed = download_id
            self._following.start()
        elif not self._following.isActive():
            return
        for row in range(self.model.rowCount()):
            index = self.model.index(row)
            if index.data() == self._followed:
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
