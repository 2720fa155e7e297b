"""Brings the hub's answers into the list of models: rows, notes, next pages and details."""

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui.models.facets import Facets
from app.gui.models.hub_text import search_words
from app.gui.models.model_filter import ModelFilter, Segment
from app.gui.models.model_list import ModelList, Role
from app.gui.models.model_rows import Row, RowKind
from app.gui.panels.hub_lookups import HubLookups, needs_details
from app.gui.panels.hub_notes import Looked, notes
from app.gui.panels.hub_results import HubCalls, HubResults
from app.gui.widgets.list_view import ListView
from app.wire.hub import PAGE_SIZE, HubModel, HubSort

_AHEAD = 4
"""The next page is fetched when so few rows are left below the view."""


class HubBrowse(QObject):
    """Asks the hub for what the panel's controls say, and shows the answers in its list."""

    about_to_change = Signal()
    changed = Signal()
    """What is listed, or what there is to say about it, may be another."""

    def __init__(
        self, calls: HubCalls, models: ModelList, filter_: ModelFilter, view: ListView
    ) -> None:
        super().__init__(view)
        self._list = models
        self._filter = filter_
        self._view = view
        self._text = ""
        self._in_vain = 0
        self._version = 0
        self._seen = (0, 0)
        """Pages, and how many rows were shown after the last of them."""
        self.results = HubResults(calls, self)
        self._lookups = HubLookups(calls, self)
        self._lookups.found.connect(self._on_found)
        self.results.changed.connect(self._on_results)
        self._glance = QTimer(self)
        self._glance.setSingleShot(True)
        self._glance.setInterval(0)
        self._glance.timeout.connect(self._look)
        view.moved.connect(self._glance.start)

    def ask(
        self, text: str, facets: Facets, sort: HubSort, *, is_live: bool, at_once: bool = False
    ) -> None:
        """Search for what the controls say; nothing is asked where nobody would see the answer."""
        text = text.strip()
        self._text = text
        segment = self._filter.segment
        is_wanted = segment is Segment.HUB or (segment is Segment.ALL and bool(text))
        self.about_to_change.emit()
        if is_live or not is_wanted:
            query = facets.query(text, sort, page=PAGE_SIZE) if is_wanted else None
            self.results.want(query, at_once=at_once)
        # Without an engine the last answers stay in sight, for what they are worth.
        answers = is_live and self.results.is_current
        self._filter.set_words(search_words(text), answers=answers)
        self._set_notes()
        self.changed.emit()

    def go_on(self) -> None:
        """Do what the button of a note offers: try again, or look further."""
        if self.results.failure is not None:
            self.results.retry()
        else:
            self._in_vain = 0
            self.results.more()

    def refresh_notes(self) -> None:
        """Count again what the filters leave."""
        self._set_notes()
        self._glance.start()

    def renew_fits(self) -> None:
        """Count again whether the models in view fit: something else is in the memory now."""
        self._lookups.forget()
        shown = [row.item for row in self._visible_rows() if row.kind is RowKind.HUB]
        self._lookups.set_visible(item for item in shown if isinstance(item, HubModel))

    def _on_results(self) -> None:
        results = self.results
        self.about_to_change.emit()
        if results.is_current and results.pages == 1 and self._seen[0] != 1:
            self._lookups.forget()
        if results.is_current:
            self._lookups.resume()
        self._filter.set_words(search_words(self._text), answers=results.is_current)
        if results.version != self._version:
            # A key that is typed changes nothing in thousands of rows; only an answer does.
            self._version = results.version
            self._list.set_hub(results.models.values())
        self._count_pages()
        self._set_notes()
        self._glance.start()
        self.changed.emit()

    def _count_pages(self) -> None:
        pages = self.results.pages if self.results.is_current else 0
        shown = self._filter.count(RowKind.HUB)
        if pages != self._seen[0]:
            gained = shown > (self._seen[1] if pages > self._seen[0] else 0)
            self._in_vain = 0 if gained or not pages else self._in_vain + 1
            self._seen = (pages, shown)

    def _set_notes(self) -> None:
        looked = Looked(self._filter.count(RowKind.HUB), self._in_vain)
        self._list.set_notes(notes(self.results, self._filter.segment, looked))

    def _on_found(self, model: HubModel) -> None:
        self.results.put(model)
        self._list.put_hub(model)

    def _look(self) -> None:
        """Fetch what the view has come to."""
        rows = self._visible_rows()
        shown = [row.item for row in rows if row.kind is RowKind.HUB and row.installed is None]
        models = [item for item in shown if isinstance(item, HubModel)]
        self._lookups.set_visible(model for model in models if needs_details(model))
        if self.results.has_more and not Looked(0, self._in_vain).is_stuck:
            last = self._view.visible_rows().stop
            if last + _AHEAD >= self._filter.rowCount():
                self.results.more()

    def _visible_rows(self) -> list[Row]:
        found = [self._filter.index(n, 0).data(Role.ROW) for n in self._view.visible_rows()]
        return [row for row in found if isinstance(row, Row)]
