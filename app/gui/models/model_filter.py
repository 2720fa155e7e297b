"""Which models the list shows and in which order."""

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel

from app.gui.guarded import guarded
from app.gui.models.model_list import ModelList, SortOrder

_Index = QModelIndex | QPersistentModelIndex


class ModelFilter(QSortFilterProxyModel):
    """Filters by words and by hidden ids, and sorts; reads the source's plain rows only."""

    def __init__(self, source: ModelList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source = source
        self._order = SortOrder.NAME
        self._hidden: frozenset[str] = frozenset()
        self.words: tuple[str, ...] = ()
        """What every row matches, lower case."""
        self.setSourceModel(source)
        self.sort(0)

    @property
    def order(self) -> SortOrder:
        """What the rows are sorted by."""
        return self._order

    def set_text(self, text: str) -> None:
        """Show only rows in which every word of `text` occurs."""
        words = tuple(text.lower().split())
        if words != self.words:
            self.beginFilterChange()
            self.words = words
            self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def set_hidden(self, ids: frozenset[str]) -> None:
        """Never show the models with these ids."""
        if ids != self._hidden:
            self.beginFilterChange()
            self._hidden = ids
            self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def set_order(self, order: SortOrder) -> None:
        """Sort by `order` from now on."""
        if order is not self._order:
            self._order = order
            self.invalidate()

    @guarded(True)
    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: ARG002
        row = self._source.rows[source_row]
        if row.model.id in self._hidden:
            return False
        return all(word in row.haystack for word in self.words)

    @guarded(False)
    def lessThan(self, source_left: _Index, source_right: _Index) -> bool:
        rows, order = self._source.rows, self._order
        return rows[source_left.row()].keys[order] < rows[source_right.row()].keys[order]
