"""The button whose menu says how models are sorted: those on this disk, and those of the hub."""

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from app.gui.models.model_filter import Segment
from app.gui.models.model_rows import SortOrder
from app.gui.theme import theme
from app.gui.widgets import icons
from app.wire.hub import HubSort


class SortButton(QPushButton):
    """Offers the orders of what is looked at."""

    order_chosen = Signal(object)  # SortOrder
    hub_sort_chosen = Signal(object)  # HubSort

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("modelsSort")
        self.setAccessibleName(self.tr("Sort models"))
        self.setToolTip(self.tr("Sort models"))
        self.hub_sort = HubSort.TRENDING
        menu = QMenu(self)
        self._own = self._add_group(
            menu,
            self.tr("On this disk"),
            {
                SortOrder.NAME: self.tr("Sort by name"),
                SortOrder.SIZE: self.tr("Sort by size"),
                SortOrder.NEWEST: self.tr("Sort by newest"),
            },
        )
        self._line = menu.addSeparator()
        self._hub = self._add_group(
            menu,
            self.tr("On Hugging Face"),
            {
                HubSort.TRENDING: self.tr("Trending first"),
                HubSort.DOWNLOADS: self.tr("Most downloads first"),
                HubSort.LIKES: self.tr("Most likes first"),
                HubSort.UPDATED: self.tr("Last updated first"),
                HubSort.SIZE: self.tr("Smallest first"),
            },
        )
        self.setMenu(menu)
        theme().changed.connect(self._paint_icon)
        self._paint_icon()

    def set_segment(self, segment: Segment) -> None:
        """Offer what makes sense for these models."""
        for action in self._own:
            action.setVisible(segment is not Segment.HUB)
        for action in self._hub:
            action.setVisible(segment is not Segment.INSTALLED)
        self._line.setVisible(segment is Segment.ALL)

    def _add_group(
        self, menu: QMenu, title: str, names: dict[SortOrder, str] | dict[HubSort, str]
    ) -> list[QAction]:
        head = menu.addAction(title)
        head.setEnabled(False)
        group = QActionGroup(menu)
        actions = [head]
        for number, (order, name) in enumerate(names.items()):
            action = menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(number == 0)
            action.triggered.connect(partial(self._on_chosen, order))
            group.addAction(action)
            actions.append(action)
        return actions

    def _on_chosen(self, order: SortOrder | HubSort) -> None:
        if isinstance(order, SortOrder):
            self.order_chosen.emit(order)
        else:
            self.hub_sort = order
            self.hub_sort_chosen.emit(order)

    def _paint_icon(self) -> None:
        self.setIcon(icons.icon("arrow-up-down", theme().tokens.tx2))
