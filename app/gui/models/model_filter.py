"""Which models the list shows."""

from bisect import bisect_left, bisect_right
from enum import Enum
from typing import Final

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel

from app.gui.guarded import guarded
from app.gui.models.facets import Facets
from app.gui.models.model_list import ModelList
from app.gui.models.model_rows import Note, Row, RowKind

_Index = QModelIndex | QPersistentModelIndex
_NO_FACETS: Final = Facets()


class Segment(Enum):
    """Which models are looked at."""

    ALL = "all"
    INSTALLED = "installed"
    HUB = "hub"


_EVERY: Final = frozenset(RowKind)
_KINDS: Final = {
    Segment.ALL: _EVERY,
    Segment.INSTALLED: frozenset((RowKind.INSTALLED,)),
    Segment.HUB: _EVERY - {RowKind.INSTALLED},
}


class ModelFilter(QSortFilterProxyModel):
    """Filters by words, facets, segment and hidden ids; the order is the source's."""

    def __init__(self, source: ModelList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source = source
        self._hidden: frozenset[str] = frozenset()
        self._segment = Segment.ALL
        self._facets = _NO_FACETS
        self._limit_bytes = 0
        self._answers = True
        self._verdicts: list[bool] | None = None
        """One for each source row while all of them are judged anew."""
        self.words: tuple[str, ...] = ()
        """What every row matches, lower case."""
        self._counts: dict[RowKind, int] = {}
        for signal in (self.rowsInserted, self.rowsRemoved, self.layoutChanged):
            signal.connect(self._forget_counts)
        self.setSourceModel(source)

    @property
    def segment(self) -> Segment:
        """Which models are looked at."""
        return self._segment

    @property
    def hidden(self) -> frozenset[str]:
        """The ids that are never shown."""
        return self._hidden

    @property
    def facets(self) -> Facets:
        """The filters in use."""
        return self._facets

    def set_words(self, words: tuple[str, ...], *, answers: bool) -> None:
        """Show only rows in which all words occur, lower case.

        answers: the rows of the hub are its answer to these words, which it may match in its
        own way; otherwise they are left from an earlier search.
        """
        if (words, answers) != (self.words, self._answers):
            self.words, self._answers = words, answers
            self._judge_all()

    def set_hidden(self, ids: frozenset[str]) -> None:
        """Never show the models with these ids, in any segment."""
        if ids != self._hidden:
            changed, self._hidden = self._hidden ^ ids, ids
            self._source.touch(changed)

    def set_segment(self, segment: Segment) -> None:
        """Look at these models from now on."""
        if segment is not self._segment:
            self._segment = segment
            self._judge_all()

    def set_facets(self, facets: Facets, *, limit_bytes: int) -> None:
        """Show only what passes these filters; limit_bytes: the memory that models may use."""
        if (facets, limit_bytes) != (self._facets, self._limit_bytes):
            is_felt = facets != self._facets or facets.fits
            self._facets = facets if facets != _NO_FACETS else _NO_FACETS
            self._limit_bytes = limit_bytes
            if is_felt:
                self._judge_all()

    def count(self, kind: RowKind) -> int:
        """Return how many rows of a kind are shown."""
        if kind not in self._counts:
            places = range(self.rowCount())
            first = bisect_left(places, kind, key=self._kind)
            self._counts[kind] = bisect_right(places, kind, first, key=self._kind) - first
        return self._counts[kind]

    def _kind(self, place: int) -> RowKind:
        return self._source.rows[self.mapToSource(self.index(place, 0)).row()].kind

    def _forget_counts(self) -> None:
        self._counts.clear()

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: ARG002
        # Called for every row at every key: even the wrapper of `guarded` would be felt.
        verdicts = self._verdicts
        if verdicts is not None and source_row < len(verdicts):
            return verdicts[source_row]
        return self._judge(source_row)

    @guarded(True)
    def _judge(self, source_row: int) -> bool:
        row, haystack = self._source.rows[source_row], self._source.haystacks[source_row]
        is_found = not self._is_searched(row.kind) or all(word in haystack for word in self.words)
        is_there = row.kind in self._kinds() and row.id not in self._hidden
        return is_found and is_there and self._is_accepted(row)

    def _judge_all(self) -> None:
        # By kinds, and only what a filter in use asks for: this runs at every key.
        rows, haystacks, kinds = self._source.rows, self._source.haystacks, self._kinds()
        verdicts: list[bool] = []
        for kind in RowKind:
            first, last = self._source.block(kind)
            if kind not in kinds:
                verdicts += [False] * (last - first)
                continue
            part = [True] * (last - first)
            if self._is_searched(kind):
                texts = haystacks[first:last]
                for word in self.words:
                    part = [is_in and word in text for is_in, text in zip(part, texts, strict=True)]
            if self._has_rules(kind):
                items = rows[first:last]
                part = [p and self._is_accepted(r) for p, r in zip(part, items, strict=True)]
            verdicts += part
        for model_id in self._hidden:
            for key in (f"installed:{model_id}", f"hub:{model_id}"):
                if (place := self._source.place_of(key)) is not None:
                    verdicts[place] = False
        self._verdicts = verdicts
        self.invalidate()
        # The proxy asks for its rows when it is asked for them.
        self.rowCount()
        self._verdicts = None

    def _kinds(self) -> frozenset[RowKind]:
        return _KINDS[self._segment]

    def _is_searched(self, kind: RowKind) -> bool:
        return kind is RowKind.INSTALLED or (kind is RowKind.HUB and not self._answers)

    def _has_rules(self, kind: RowKind) -> bool:
        is_doubled = kind is RowKind.HUB and self._segment is Segment.ALL
        return is_doubled or self._facets is not _NO_FACETS

    def _is_accepted(self, row: Row) -> bool:
        item = row.item
        if row.kind is RowKind.HUB and row.installed is not None and self._segment is Segment.ALL:
            # It stands above, among the installed ones.
            return False
        if isinstance(item, Note) or self._facets is _NO_FACETS:
            return True
        return self._facets.accept(item, limit_bytes=self._limit_bytes)
