"""What stands above the list of models and never scrolls: title, segments, search, filters."""

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.gui.delegates.tile_look import MARGIN
from app.gui.models.model_filter import Segment
from app.gui.panels.model_filters import Choices, FilterBar, FilterButton
from app.gui.panels.model_sort import SortButton
from app.gui.theme import theme
from app.gui.widgets.search_field import SearchField
from app.gui.widgets.segments import Segments

_PLACE_ROOM: Final = 120
SEGMENTS: Final = (Segment.ALL, Segment.INSTALLED, Segment.HUB)


class ModelsHead(QWidget):
    """The controls of the models panel."""

    def __init__(self, choices: Choices, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.summary = QLabel(self)
        self.place = QLabel(self)
        self.place.setObjectName("placeMark")
        self.segments = Segments(
            (self.tr("All"), self.tr("Installed"), self.tr("Hugging Face")), self
        )
        self.segments.setAccessibleName(self.tr("Which models to show"))
        self.search = SearchField(self.tr("Search models"), self)
        self.search.setToolTip(self.tr("Words of a name, an id, or the address of a model's page"))
        self.filter_button = FilterButton(choices, self)
        self.filter_bar = FilterBar(self)
        self.sort = SortButton(self)
        self.segments.chosen.connect(self._name_search)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._title())
        column.addSpacing(10)
        segments = QHBoxLayout()
        segments.setContentsMargins(MARGIN, 0, MARGIN, 0)
        segments.addWidget(self.segments)
        column.addLayout(segments)
        column.addSpacing(8)
        column.addLayout(self._tools())
        column.addSpacing(10)
        column.addWidget(self.filter_bar)

    @property
    def segment(self) -> Segment:
        """Which models are looked at."""
        return SEGMENTS[self.segments.index]

    def choose(self, segment: Segment) -> None:
        """Look at these models."""
        self.segments.choose(SEGMENTS.index(segment))

    def _name_search(self, _index: int) -> None:
        names = {
            Segment.ALL: self.tr("Search models"),
            Segment.INSTALLED: self.tr("Search installed"),
            Segment.HUB: self.tr("Search Hugging Face"),
        }
        self.search.setPlaceholderText(names[self.segment])
        self.search.setAccessibleName(names[self.segment])

    def show_place(self, name: str) -> None:
        """Say on which other computer these models are; "" is this one."""
        metrics = self.place.fontMetrics()
        shown = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, _PLACE_ROOM)
        self.place.setText(self.tr("on {0}").format(shown) if name else "")
        self.place.setToolTip(name)
        self.place.setVisible(bool(name))

    def _title(self) -> QHBoxLayout:
        title = QLabel(self.tr("Models"), self)
        title.setFont(theme().font("page"))
        title.setFixedHeight(36)
        self.summary.setObjectName("modelsSummary")
        self.summary.setFont(theme().font("secondary"))
        # The summary is smaller than the title; two pixels put both on one base line.
        self.summary.setContentsMargins(0, 4, 0, 0)
        self.place.setFont(theme().font("secondary"))
        self.place.setContentsMargins(0, 4, 0, 0)
        self.place.hide()
        row = QHBoxLayout()
        row.setContentsMargins(MARGIN + 2, 0, MARGIN + 2, 0)
        row.addWidget(title)
        row.addSpacing(4)
        row.addWidget(self.place)
        row.addStretch()
        row.addWidget(self.summary)
        return row

    def _tools(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(MARGIN, 0, MARGIN, 0)
        row.setSpacing(8)
        row.addWidget(self.search, 1)
        row.addWidget(self.filter_button)
        row.addWidget(self.sort)
        return row
