"""A list of tall rows that stays where it is while its rows change."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    Qt,
    Signal,
)
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QWidget

from app.gui.guarded import guarded

_Index = QModelIndex | QPersistentModelIndex

_ANCHORS: Final = 12
"""Rows remembered before a change; more than fit in a usual window, so that one survives."""
_WHEEL_STEP: Final = 30
"""Pixels for one line of the wheel; a whole row would be three tiles for each notch."""
_ENTER: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class MenuRequest(NamedTuple):
    """Where a context menu is wanted."""

    row: QModelIndex
    position: QPoint
    """On the screen."""


class ListView(QListView):
    """Keeps rows at their pixel on insert, remove and sort, and repaints only what changed."""

    enter_pressed = Signal(object)  # QModelIndex
    menu_requested = Signal(object)  # MenuRequest
    left_at_top = Signal()
    """Arrow up on the first row."""
    pointer_left = Signal()
    """The pointer is on no row any more."""
    moved = Signal()
    """Other rows may be in view."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._anchor: list[tuple[QPersistentModelIndex, int]] | None = None
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.verticalScrollBar().setSingleStep(_WHEEL_STEP)
        self.setMouseTracking(True)
        self.viewportEntered.connect(self.pointer_left)
        self.verticalScrollBar().valueChanged.connect(self._on_scrolled)

    def setModel(self, model: QAbstractItemModel | None) -> None:
        if model is not None:
            # Before super(): the view's own handlers would run first and hide the old places.
            model.rowsAboutToBeInserted.connect(self._take_anchor)
            model.rowsAboutToBeRemoved.connect(self._take_anchor)
            model.layoutAboutToBeChanged.connect(self._take_anchor)
        super().setModel(model)

    def scroll_to_start(self) -> None:
        """Show the first rows, whatever changed just now."""
        self._anchor = None
        self.verticalScrollBar().setValue(0)

    def settle(self) -> None:
        """Lay out now what changed, with the rows in place."""
        self.executeDelayedItemsLayout()

    def visible_rows(self) -> range:
        """Return the places of the rows in view."""
        first, last = self._visible_rows()
        return range(first, last + 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.moved.emit()

    def reveal(self, index: QModelIndex) -> None:
        """Scroll as little as needed to show the row, whatever changed just now."""
        self.doItemsLayout()
        self._anchor = None
        self.scrollTo(index)

    def doItemsLayout(self) -> None:
        super().doItemsLayout()
        anchor, self._anchor = self._anchor, None
        for index, old_top in anchor or ():
            if index.isValid():
                bar = self.verticalScrollBar()
                bar.setValue(bar.value() + self.visualRect(index).top() - old_top)
                return

    def dataChanged(
        self,
        topLeft: _Index,  # noqa: N803 - Qt's name
        bottomRight: _Index,  # noqa: N803 - Qt's name
        roles: Sequence[int] = (),  # noqa: ARG002
    ) -> None:
        # The stock handler lays out the whole list and repaints every visible row.
        first, last = self._visible_rows()
        for row in range(max(first, topLeft.row()), min(last, bottomRight.row()) + 1):
            self.viewport().update(self.visualRect(self.model().index(row, 0)))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index = self.currentIndex()
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if plain and event.key() in _ENTER and index.isValid():
            self.enter_pressed.emit(index)
        elif plain and event.key() == Qt.Key.Key_Up and index.row() <= 0:
            self.left_at_top.emit()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
            self.scrollTo(index)
            place = self.visualRect(index).center()
        else:
            place = event.pos()
            index = self.indexAt(place)
        if index.isValid():
            self.menu_requested.emit(MenuRequest(index, self.viewport().mapToGlobal(place)))

    @guarded(False)
    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self.pointer_left.emit()
        return super().viewportEvent(event)

    def _on_scrolled(self, _value: int) -> None:
        self.moved.emit()

    def _take_anchor(self) -> None:
        # At the start the list stays at the start, so that a new first row is seen. A change that
        # comes before the last one is laid out keeps the older anchor.
        if self._anchor is not None or self.verticalScrollBar().value() == 0:
            return
        first, last = self._visible_rows()
        model = self.model()
        indexes = [model.index(row, 0) for row in range(first, min(last + 1, first + _ANCHORS))]
        self._anchor = [(QPersistentModelIndex(i), self.visualRect(i).top()) for i in indexes]

    def _visible_rows(self) -> tuple[int, int]:
        """Return the first and the last visible row; the last is below the first when empty."""
        area = self.viewport().rect()
        first = self.indexAt(QPoint(area.center().x(), area.top()))
        last = self.indexAt(QPoint(area.center().x(), area.bottom()))
        return max(0, first.row()), last.row() if last.isValid() else self.model().rowCount() - 1
