"""The left half of the window: search, sort and the models on this disk."""

import sys
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt, Signal, SignalInstance
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui import format  # noqa: A004 - the project's module of number formats
from app.gui.delegates.model_tile import MARGIN, ModelTile
from app.gui.mirror import LinkState, Mirror
from app.gui.models.model_filter import ModelFilter
from app.gui.models.model_list import ModelList, Role, SortOrder
from app.gui.panels.downloads_strip import DownloadsStrip
from app.gui.panels.hub_offer import HubOffer
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.empty_state import EmptyState
from app.gui.widgets.list_view import ListView, MenuRequest
from app.gui.widgets.search_field import SearchField
from app.wire.nouns import Model, ModelSource, ServerState

_TELLING = (
    ServerState.STALLED, ServerState.READY, ServerState.STARTING, ServerState.BACKING_OFF,
)  # fmt: skip
"""States that a model's tile tells; of several servers with one model, the first here."""
_FIRST_DOWNLOAD = "mlx-community/Qwen3-4B-4bit"


class ModelsPanel(QWidget):
    """Shows the mirror's models and asks for what the user wants with one."""

    run_requested = Signal(object)  # str, the model's id
    new_profile_requested = Signal(object)  # str, the model's id
    reveal_requested = Signal(object)  # str, the model's id
    copy_id_requested = Signal(object)  # str, the model's id
    delete_requested = Signal(object)  # str, the model's id
    download_requested = Signal(object)  # str, a hub id
    download_action_requested = Signal(object)  # tuple[DownloadAction, str]

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("modelsPanel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._mirror = mirror
        self._wanted: str | None = None
        """The id of the row that the user chose; it comes back when a filter had hidden it."""
        self._is_filtering = False
        self._list = ModelList(self)
        self._filter = ModelFilter(self._list, self)
        self._summary = QLabel(self)
        self.search = SearchField(self.tr("Search models"), self)
        self._sort = self._make_sort_button()
        self.view = self._make_view()
        self._empty = EmptyState(self)
        self._empty.button_clicked.connect(self._on_empty_clicked)
        self._edge = QFrame(self)
        self._pages = QStackedWidget(self)
        self.offer = HubOffer(mirror, self)
        self.offer.download_requested.connect(self.download_requested)
        self.downloads = DownloadsStrip(mirror, self)
        self.downloads.action_requested.connect(self.download_action_requested)
        self._lay_out()
        self.search.textChanged.connect(self._on_search_changed)
        self.search.textChanged.connect(self.offer.set_text)
        self.search.enter_pressed.connect(self._on_search_entered)
        self.search.down_pressed.connect(self._enter_list)
        theme().changed.connect(self._paint_icons)
        self._paint_icons()
        self._follow_mirror()

    def focus_search(self) -> None:
        """Move the keyboard to the search field and select what is in it."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def focus_list(self) -> None:
        """Move the keyboard to the list."""
        self._enter_list()

    def _follow_mirror(self) -> None:
        mirror = self._mirror
        mirror.models_changed.connect(self._on_models_changed)
        mirror.downloads_changed.connect(self._on_downloads_changed)
        mirror.server_changed.connect(self._update_activity)
        mirror.server_removed.connect(self._update_activity)
        mirror.engine_changed.connect(self._update_page)
        mirror.link_changed.connect(self._on_link_changed)
        self._on_downloads_changed()
        self._on_models_changed()
        self._update_activity()

    def _make_sort_button(self) -> QPushButton:
        button = QPushButton(self)
        button.setObjectName("modelsSort")
        button.setAccessibleName(self.tr("Sort models"))
        menu, group = QMenu(button), QActionGroup(button)
        names = {
            SortOrder.NAME: self.tr("Name"),
            SortOrder.SIZE: self.tr("Size"),
            SortOrder.NEWEST: self.tr("Newest"),
        }
        for order, name in names.items():
            action = menu.addAction(self.tr("Sort by {0}").format(name.lower()))
            action.setCheckable(True)
            action.setChecked(order is self._filter.order)
            action.triggered.connect(partial(self._on_order_chosen, order))
            group.addAction(action)
        button.setMenu(menu)
        button.setToolTip(self.tr("Sort by name, size or age"))
        return button

    def _make_view(self) -> ListView:
        view = ListView(self)
        view.setObjectName("modelsList")
        view.setAccessibleName(self.tr("Models"))
        view.setModel(self._filter)
        tile = ModelTile(view)
        view.setItemDelegate(tile)
        tile.run_clicked.connect(self.run_requested)
        view.pointer_left.connect(tile.clear_hover)
        view.enter_pressed.connect(self._on_enter_pressed)
        view.menu_requested.connect(self._on_menu_requested)
        view.left_at_top.connect(self.focus_search)
        view.selectionModel().currentChanged.connect(self._on_current_changed)
        view.verticalScrollBar().valueChanged.connect(self._update_edge)
        view.verticalScrollBar().valueChanged.connect(tile.clear_hover)
        self._tile = tile
        return view

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Models"), self)
        title.setFont(theme().font("page"))
        title.setFixedHeight(36)
        self._summary.setObjectName("modelsSummary")
        self._summary.setFont(theme().font("secondary"))
        head = QHBoxLayout()
        head.setContentsMargins(MARGIN + 2, 0, MARGIN + 2, 0)
        head.addWidget(title)
        head.addStretch()
        # The summary is smaller than the title; two pixels put both on one base line.
        self._summary.setContentsMargins(0, 4, 0, 0)
        head.addWidget(self._summary)
        tools = QHBoxLayout()
        tools.setContentsMargins(MARGIN, 0, MARGIN, 0)
        tools.setSpacing(8)
        tools.addWidget(self.search, 1)
        tools.addWidget(self._sort)
        self._edge.setObjectName("modelsEdge")
        self._edge.setFixedHeight(1)
        self._pages.addWidget(self.view)
        self._pages.addWidget(self._empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 16, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addSpacing(10)
        layout.addLayout(tools)
        layout.addSpacing(11)
        layout.addWidget(self.offer)
        layout.addWidget(self.downloads)
        layout.addWidget(self._edge)
        layout.addWidget(self._pages, 1)
        self.setMinimumWidth(300)

    def _on_models_changed(self) -> None:
        self._list.sync(self._mirror.models)
        self._restore_current()
        self._update_summary()
        self._update_page()

    def _on_link_changed(self) -> None:
        self._tile.set_live(not self._mirror.is_stale)
        self._update_page()

    def _on_downloads_changed(self) -> None:
        hidden = frozenset(self._mirror.downloads)
        self._filter_with(partial(self._filter.set_hidden, hidden))

    def _update_activity(self) -> None:
        activity: dict[str, ServerState] = {}
        for server in self._mirror.servers.values():
            state = ServerState.READY if server.state is ServerState.BUSY else server.state
            if state in _TELLING:
                known = activity.get(server.model, state)
                activity[server.model] = min(state, known, key=_TELLING.index)
        self._list.set_activity(activity)

    def _update_summary(self) -> None:
        own = [m for m in self._mirror.models.values() if m.source is not ModelSource.DEMO]
        total = format.file_size(sum(m.size_bytes for m in own))
        text = self.tr("{0} installed · {1}").format(len(own), total) if own else ""
        self._summary.setText(text)

    def _update_page(self) -> None:
        """Show the list, or say why there is nothing to list."""
        if self._filter.rowCount():
            self._pages.setCurrentWidget(self.view)
            return
        if self._filter.words:
            self._empty.show_message(
                icon="search",
                title=self.tr("No model matches “{0}”").format(self.search.text().strip()),
                button=self.tr("Clear search"),
            )
        elif self._mirror.engine is None:
            is_connecting = self._mirror.link is LinkState.CONNECTING
            title = self.tr("Connecting to the engine") if is_connecting else self.tr("No engine")
            self._empty.show_message(icon="plug", title=title, text=self._mirror.link_text)
        elif self._mirror.models:
            self._empty.show_message(
                icon="download", title=self.tr("All models are being downloaded")
            )
        else:
            self._empty.show_message(
                icon="boxes",
                title=self.tr("No models yet"),
                text=self.tr(
                    "Models in your Hugging Face folder appear here. To download one, type its "
                    "id or the address of its page into the search field, for example\n\n{0}"
                ).format(_FIRST_DOWNLOAD),
                button=self.tr("Try this one"),
            )
        self._pages.setCurrentWidget(self._empty)

    def _on_search_changed(self, text: str) -> None:
        self._tile.set_words(tuple(text.lower().split()))
        self._filter_with(partial(self._filter.set_text, text))
        current = self.view.currentIndex()
        if self._filter.words or not current.isValid():
            self.view.scroll_to_start()
        else:
            self.view.reveal(current)
        self.view.viewport().update()

    def _filter_with(self, change: Callable[[], None]) -> None:
        """Filter without losing the row that the user chose."""
        self._is_filtering = True
        change()
        self._restore_current()
        self._is_filtering = False
        self._update_page()

    def _restore_current(self) -> None:
        if self._wanted is None or self._wanted == _model_id(self.view.currentIndex()):
            return
        for row in range(self._filter.rowCount()):
            index = self._filter.index(row, 0)
            if _model_id(index) == self._wanted:
                # By the selection model: the view would scroll to it.
                self.view.selectionModel().setCurrentIndex(
                    index, QItemSelectionModel.SelectionFlag.ClearAndSelect
                )
                return

    def _on_current_changed(self, current: QModelIndex) -> None:
        if not self._is_filtering:
            self._wanted = _model_id(current)

    def _on_order_chosen(self, order: SortOrder) -> None:
        self._filter.set_order(order)
        self.view.scroll_to_start()

    def _on_empty_clicked(self) -> None:
        if self._filter.words:
            self.search.clear()
            self.focus_search()
        else:
            self.search.setText(_FIRST_DOWNLOAD)

    def _on_search_entered(self) -> None:
        """Download what is on offer when the search finds nothing else."""
        if self._filter.rowCount():
            self._enter_list()
        else:
            self.offer.accept()

    def _enter_list(self) -> None:
        if not self._filter.rowCount():
            return
        if not self.view.currentIndex().isValid():
            self.view.setCurrentIndex(self._filter.index(0, 0))
        self.view.setFocus(Qt.FocusReason.TabFocusReason)

    def _on_enter_pressed(self, index: QModelIndex) -> None:
        model = index.data(Role.MODEL)
        if isinstance(model, Model) and self._tile.can_run(index):
            self.run_requested.emit(model.id)

    def _on_menu_requested(self, request: MenuRequest) -> None:
        model = request.row.data(Role.MODEL)
        if isinstance(model, Model):
            is_free = request.row.data(Role.ACTIVITY) is None and not self._mirror.is_stale
            self._make_menu(model, is_free=is_free).popup(request.position)

    def _make_menu(self, model: Model, *, is_free: bool) -> QMenu:
        """Return the menu of a model; it holds the id, so that it outlives any change of rows."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        is_usable = not model.problem
        self._add(menu, self.tr("Run"), self.run_requested, model).setEnabled(is_usable and is_free)
        profile = self._add(menu, self.tr("New profile…"), self.new_profile_requested, model)
        profile.setEnabled(is_usable)
        menu.addSeparator()
        self._add(menu, self.tr("Copy id"), self.copy_id_requested, model)
        engine = self._mirror.engine
        if engine is not None and "local_disk" in engine.capabilities:
            is_mac = sys.platform == "darwin"
            text = self.tr("Reveal in Finder") if is_mac else self.tr("Reveal in folder")
            self._add(menu, text, self.reveal_requested, model)
        if model.source is ModelSource.HUB:
            menu.addSeparator()
            delete = self._add(menu, self.tr("Delete…"), self.delete_requested, model)
            delete.setEnabled(is_free)
        return menu

    def _add(self, menu: QMenu, text: str, signal: SignalInstance, model: Model) -> QAction:
        action = menu.addAction(text)
        action.triggered.connect(lambda: signal.emit(model.id))
        return action

    def _update_edge(self, value: int) -> None:
        """Draw a line under the search field while tiles are scrolled beneath it."""
        self._edge.setProperty("scrolled", value > 0)
        self._edge.style().unpolish(self._edge)
        self._edge.style().polish(self._edge)

    def _paint_icons(self) -> None:
        self._sort.setIcon(icons.icon("arrow-up-down", theme().tokens.tx2))


def _model_id(index: QModelIndex) -> str | None:
    model = index.data(Role.MODEL)
    return model.id if isinstance(model, Model) else None
