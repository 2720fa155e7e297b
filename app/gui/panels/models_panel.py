"""The left half of the window: models on this disk and on the hub, searched in one place."""

from collections.abc import Callable
from functools import partial
from typing import Final

from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt, QTimer, Signal
from PySide6.QtWidgets import QAbstractItemView, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from app.gui import format as fmt
from app.gui.delegates.model_tile import ModelTile
from app.gui.mirror import Mirror
from app.gui.models.activity import activity_of
from app.gui.models.facets import Facets, choices
from app.gui.models.hub_text import search_words, wanted_revision
from app.gui.models.memory_plan import limit_bytes
from app.gui.models.model_filter import ModelFilter, Segment
from app.gui.models.model_list import ModelList, Role
from app.gui.models.model_rows import Note, Offer, Row, RowKind, SortOrder
from app.gui.panels.downloads_strip import DownloadsStrip
from app.gui.panels.hub_browse import HubBrowse
from app.gui.panels.hub_results import HubCalls
from app.gui.panels.installed_fits import InstalledFits
from app.gui.panels.model_menu import Wishes, make_menu
from app.gui.panels.models_empty import Remedy, empty
from app.gui.panels.models_head import ModelsHead
from app.gui.panels.pending_downloads import PendingDownloads
from app.gui.panels.row_anchor import RowAnchor
from app.gui.widgets.empty_state import EmptyState
from app.gui.widgets.list_view import ListView, MenuRequest
from app.gui.widgets.scroll_edge import ScrollEdge
from app.wire.nouns import ModelSource

_FIT_MS: Final = 1_500
"""After a server came or went its memory takes a moment to be measured."""


class ModelsPanel(QWidget):
    """Shows the mirror's models and those of the hub, and asks for what the user wants with one."""

    run_requested = Signal(object)  # str, the model's id
    new_profile_requested = Signal(object)  # str, the model's id
    inspect_requested = Signal(object)  # str, the model's id, on this disk or on the hub
    reveal_requested = Signal(object)  # str, the model's id
    copy_id_requested = Signal(object)  # str, the model's id
    open_page_requested = Signal(object)  # str, a hub id
    delete_requested = Signal(object)  # str, the model's id
    download_requested = Signal(object)  # str, a hub id, with @ and a revision if not main
    download_and_run_requested = Signal(object)  # str, a hub id
    repair_requested = Signal(object)  # str, the model's id
    download_action_requested = Signal(object)  # tuple[DownloadAction, str]

    def __init__(
        self, mirror: Mirror, calls: HubCalls | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("modelsPanel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._mirror = mirror
        self._wanted: str | None = None
        """The id of the row that the user chose; it comes back when a filter had hidden it."""
        self._changes = 0
        """How many changes of rows are under way; what they select is no wish of the user."""
        self._remedy = Remedy.NONE
        self._fits = InstalledFits(mirror, calls, self)
        self._list = ModelList(self, fit_of=self._fits.fit_of)
        self._pending = PendingDownloads(self._list)
        self._filter = ModelFilter(self._list, self)
        self.head = ModelsHead(self._choices, self)
        self.search = self.head.search
        # Before the list, so that Tab goes from the top to the bottom.
        self.downloads = DownloadsStrip(mirror, self)
        self.view = self._make_view()
        self._anchor = RowAnchor(self, self.view, self._index_of)
        self.browse = HubBrowse(calls, self._list, self._filter, self.view) if calls else None
        self._empty = EmptyState(self)
        self._edge = ScrollEdge(self.view.verticalScrollBar(), self)
        self._pages = QStackedWidget(self)
        self._fit_timer = QTimer(self)
        self._fit_timer.setSingleShot(True)
        self._fit_timer.setInterval(_FIT_MS)
        self._lay_out()
        self._connect()
        self._follow_mirror()

    def focus_search(self) -> None:
        """Move the keyboard to the search field and select what is in it."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def inspect_current(self) -> None:
        """Ask for the inspector on the selected model."""
        row = self._row(self.view.currentIndex())
        if row is not None and row.id:
            self.inspect_requested.emit(row.id)

    def download_current(self) -> None:
        """Ask for the download of the selected model of the hub."""
        row = self._row(self.view.currentIndex())
        if row is not None and row.offer in (Offer.DOWNLOAD, Offer.ASK):
            self._download(row.id)

    def run_current(self) -> None:
        """Ask to run the selected model."""
        index = self.view.currentIndex()
        if self._tile.offer_at(index) is Offer.RUN:
            self._on_pressed((Offer.RUN, index.data(Role.ROW).id))

    def show_segment(self, segment: Segment) -> None:
        """Look at these models."""
        self.head.choose(segment)

    def _make_view(self) -> ListView:
        view = ListView(self)
        view.setObjectName("modelsList")
        view.setAccessibleName(self.tr("Models"))
        view.setModel(self._filter)
        view.setDragEnabled(True)
        view.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self._tile = ModelTile(view)
        view.setItemDelegate(self._tile)
        return view

    def _lay_out(self) -> None:
        self._edge.setObjectName("modelsEdge")
        self._pages.addWidget(self.view)
        self._pages.addWidget(self._empty)
        # The downloads make room for it themselves, by whole rows.
        self._pages.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 16, 0, 0)
        layout.setSpacing(0)
        for widget in (self.head, self.downloads, self._edge):
            layout.addWidget(widget)
        layout.addWidget(self._pages, 1)
        self.setMinimumWidth(300)

    def _connect(self) -> None:
        view, head = self.view, self.head
        self._tile.pressed.connect(self._on_pressed)
        self._tile.opened.connect(self.inspect_requested)
        view.pointer_left.connect(self._tile.clear_hover)
        view.enter_pressed.connect(self._on_enter_pressed)
        view.menu_requested.connect(self._on_menu_requested)
        view.left_at_top.connect(self.focus_search)
        self._fits.follow(view)
        view.selectionModel().currentChanged.connect(self._on_current_changed)
        view.verticalScrollBar().valueChanged.connect(self._tile.clear_hover)
        head.search.textChanged.connect(self._on_search_changed)
        head.search.enter_pressed.connect(self._on_search_entered)
        head.search.down_pressed.connect(self.focus_list)
        head.segments.chosen.connect(self._on_segment_chosen)
        head.sort.order_chosen.connect(self._on_order_chosen)
        head.sort.hub_sort_chosen.connect(self._on_hub_sort_chosen)
        for filters in (head.filter_button, head.filter_bar):
            filters.changed.connect(self._on_facets_changed)
        self._empty.button_clicked.connect(self._on_empty_clicked)
        self.downloads.action_requested.connect(self.download_action_requested)
        self.downloads.open_page_requested.connect(self.open_page_requested)
        self.downloads.about_to_resize.connect(self._anchor.hold)
        self.downloads.settled.connect(self._anchor.release)
        if self.browse is not None:
            self.browse.about_to_change.connect(self._on_hub_changing)
            self.browse.changed.connect(self._on_hub_changed)
            self._fit_timer.timeout.connect(self.browse.renew_fits)

    def _follow_mirror(self) -> None:
        mirror = self._mirror
        mirror.models_changed.connect(self._on_models_changed)
        mirror.downloads_changed.connect(self._on_downloads_changed)
        mirror.server_changed.connect(self._update_activity)
        mirror.server_removed.connect(self._update_activity)
        mirror.engine_changed.connect(self._on_link_changed)
        mirror.link_changed.connect(self._on_link_changed)
        mirror.place_changed.connect(self.head.show_place)
        self._on_downloads_changed()
        self._on_models_changed()
        self._update_activity()
        self._on_link_changed()

    def _on_models_changed(self) -> None:
        self._filter_with(partial(self._list.sync, self._mirror.models))
        self._pending.end(self._mirror.models.keys())
        own = [m for m in self._mirror.models.values() if m.source is not ModelSource.DEMO]
        total = fmt.file_size(sum(m.size_bytes for m in own))
        text = self.tr("{0} installed · {1}").format(len(own), total) if own else ""
        self.head.summary.setText(text)

    def _on_link_changed(self) -> None:
        self._tile.set_live(not self._mirror.is_stale)
        self._on_facets_changed(self._filter.facets)

    def _on_downloads_changed(self) -> None:
        hidden = frozenset(self._mirror.downloads)
        # Else only its progress: that is the strip's, and comes twice a second for each download.
        if hidden != self._filter.hidden:
            self._pending.end(hidden)
            if self._wanted in hidden:
                # The keyboard goes on from the next row.
                self._wanted = None
            self._filter_with(partial(self._filter.set_hidden, hidden))
        self._anchor.release()

    def _update_activity(self) -> None:
        if self._list.set_activity(activity_of(self._mirror.servers.values())):
            self._fit_timer.start()

    def _ask_hub(self, *, at_once: bool = False) -> None:
        if self.browse is not None:
            is_live = self._mirror.engine is not None and not self._mirror.is_stale
            text, sort = self.search.text(), self.head.sort.hub_sort
            self.browse.ask(text, self._filter.facets, sort, is_live=is_live, at_once=at_once)

    def _on_search_changed(self, text: str) -> None:
        words = search_words(text)
        self._tile.set_words(words)
        if self.browse is None:
            self._filter_with(lambda: self._filter.set_words(words, answers=True))
        else:
            self._filter_with(self._ask_hub)
        current = self.view.currentIndex()
        if words or not current.isValid():
            self.view.scroll_to_start()
        else:
            self.view.reveal(current)
        self.view.viewport().update()

    def _on_search_entered(self) -> None:
        """Ask the hub without waiting, or go to what is there."""
        if self.browse is not None and self.browse.results.is_searching:
            self._ask_hub(at_once=True)
        else:
            self.focus_list()

    def _on_segment_chosen(self, _index: int) -> None:
        self.head.sort.set_segment(self.head.segment)
        self._filter_with(partial(self._filter.set_segment, self.head.segment))
        self._filter_with(partial(self._ask_hub, at_once=True))
        self._show_facets()
        self.view.scroll_to_start()

    def _on_order_chosen(self, order: SortOrder) -> None:
        self._list.set_order(order)
        self.view.scroll_to_start()

    def _on_hub_sort_chosen(self, _sort: object) -> None:
        self._ask_hub(at_once=True)
        self.view.scroll_to_start()

    def _on_facets_changed(self, facets: Facets) -> None:
        limit = limit_bytes(self._mirror)
        self._filter_with(partial(self._filter.set_facets, facets, limit_bytes=limit))
        self._show_facets()
        self._filter_with(partial(self._ask_hub, at_once=True))

    def _show_facets(self) -> None:
        facets = self._filter.facets
        self.head.filter_button.set_facets(facets)
        is_useful = bool(facets.names) or self.head.segment is Segment.HUB
        self.head.filter_bar.set_facets(facets, suggests=is_useful)

    def _choices(self) -> dict[str, list[str]]:
        items = [row.item for row in self._list.rows]
        return choices(item for item in items if not isinstance(item, Note))

    def _on_hub_changing(self) -> None:
        self._changes += 1

    def _on_hub_changed(self) -> None:
        self._restore_current()
        self._changes -= 1
        self._update_page()

    def _filter_with(self, change: Callable[[], object]) -> None:
        """Change the rows without losing the one that the user chose."""
        self._changes += 1
        change()
        if self.browse is not None:
            self.browse.refresh_notes()
        self._restore_current()
        self._changes -= 1
        self._update_page()

    def _restore_current(self) -> None:
        row = self._row(self.view.currentIndex())
        if self._wanted is None or (row is not None and row.id == self._wanted):
            return
        for key in (f"installed:{self._wanted}", f"hub:{self._wanted}"):
            index = self._index_of(key)
            if index.isValid():
                # By the selection model: the view would scroll to it.
                self.view.selectionModel().setCurrentIndex(
                    index, QItemSelectionModel.SelectionFlag.ClearAndSelect
                )
                return
        # Qt has chosen a neighbour, which nobody asked for.
        self.view.selectionModel().clear()

    def _index_of(self, key: str) -> QModelIndex:
        place = self._list.place_of(key)
        return self._filter.mapFromSource(self._list.index(-1 if place is None else place))

    def _update_page(self) -> None:
        """Show the list, or say why there is nothing to list."""
        self._fits.look_soon()
        results = self.browse.results if self.browse is not None else None
        rows = self._filter.rowCount() - self._filter.count(RowKind.HEADER)
        is_searching = results is not None and results.is_searching
        if rows or (is_searching and self._filter.segment is Segment.ALL):
            self._pages.setCurrentWidget(self.view)
            return
        said = empty(self._mirror, self._filter, results, self.search.text().strip())
        self._remedy = said.remedy
        self._empty.show_message(
            icon=said.icon, title=said.title, text=said.text, button=said.button
        )
        self._pages.setCurrentWidget(self._empty)

    def _on_empty_clicked(self) -> None:
        match self._remedy:
            case Remedy.CLEAR_SEARCH:
                self.search.clear()
                self.focus_search()
            case Remedy.CLEAR_FILTERS:
                self._on_facets_changed(Facets())
            case Remedy.RETRY if self.browse is not None:
                self.browse.go_on()
            case Remedy.BROWSE:
                self.show_segment(Segment.HUB)
                self.focus_search()
            case _:
                pass

    def _on_current_changed(self, current: QModelIndex) -> None:
        if not self._changes:
            row = self._row(current)
            self._wanted = row.id if row is not None and row.id else None

    def focus_list(self) -> None:
        """Move the keyboard to the list, to its first model if none is selected."""
        if not self._filter.rowCount():
            return
        if not self.view.currentIndex().isValid():
            for place in range(self._filter.rowCount()):
                index = self._filter.index(place, 0)
                if index.flags() & Qt.ItemFlag.ItemIsSelectable:
                    self.view.setCurrentIndex(index)
                    break
        self.view.setFocus(Qt.FocusReason.TabFocusReason)

    def _row(self, index: QModelIndex) -> Row | None:
        row = index.data(Role.ROW)
        return row if isinstance(row, Row) else None

    def _on_enter_pressed(self, index: QModelIndex) -> None:
        row = self._row(index)
        if row is not None and row.id:
            self.inspect_requested.emit(row.id)
        elif row is not None:
            self._on_pressed((row.offer, row.id))

    def _on_pressed(self, wish: tuple[Offer, str]) -> None:
        offer, model_id = wish
        deeds: dict[Offer, Callable[[str], object]] = {
            Offer.RUN: self.run_requested.emit,
            Offer.DOWNLOAD: self._download,
            Offer.ASK: self.open_page_requested.emit,
            Offer.REPAIR: self.repair_requested.emit,
        }
        if offer is Offer.ANSWER and self.browse is not None:
            self.browse.go_on()
        elif offer in deeds:
            deeds[offer](model_id)

    def _download(self, model_id: str) -> None:
        if self._mirror.is_stale:
            return
        self._pending.add(model_id)
        self.download_requested.emit(wanted_revision(self.search.text(), model_id))

    def _on_menu_requested(self, request: MenuRequest) -> None:
        row = self._row(request.row)
        if row is None or not row.id:
            return
        wishes = Wishes(
            run=self.run_requested.emit,
            new_profile=self.new_profile_requested.emit,
            inspect=self.inspect_requested.emit,
            copy_id=self.copy_id_requested.emit,
            open_page=self.open_page_requested.emit,
            reveal=self.reveal_requested.emit,
            delete=self.delete_requested.emit,
            download=self._download,
            download_and_run=self.download_and_run_requested.emit,
            repair=self.repair_requested.emit,
        )
        is_local = self._mirror.has_local_disk
        menu = make_menu(row, wishes, self, is_live=not self._mirror.is_stale, is_local=is_local)
        menu.popup(request.position)
