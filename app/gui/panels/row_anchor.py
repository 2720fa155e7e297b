"""Keeps rows where they are on the screen while what stands above their list changes its height."""

from collections import Counter
from collections.abc import Callable, Iterable

from PySide6.QtCore import QModelIndex, QPoint
from PySide6.QtWidgets import QWidget

from app.gui.models.model_list import Role
from app.gui.models.model_rows import Row
from app.gui.widgets.list_view import ListView


class RowAnchor:
    """`hold` before the change, `release` after it; rows are found again by their keys."""

    def __init__(self, panel: QWidget, view: ListView, find: Callable[[str], QModelIndex]) -> None:
        self._panel = panel
        self._view = view
        self._find = find
        self._held: dict[str, int] | None = None

    def hold(self) -> None:
        """Remember where the rows in view are."""
        self._view.settle()
        model = self._view.model()
        self._held = self._tops(model.index(n, 0) for n in self._view.visible_rows())

    def release(self) -> None:
        """Scroll so that as many of the rows as possible are where they were.

        What stands above has grown or shrunk, and one of them may have gone into it.
        """
        held, self._held = self._held, None
        layout = self._panel.layout()
        if held is None or layout is None or not self._panel.isVisible():
            return
        self._view.settle()
        layout.activate()
        now = self._tops(self._find(key) for key in held)
        moves = Counter(top - held[key] for key, top in now.items())
        if moves:
            bar = self._view.verticalScrollBar()
            bar.setValue(bar.value() + moves.most_common(1)[0][0])

    def _tops(self, indexes: Iterable[QModelIndex]) -> dict[str, int]:
        """Return where rows begin in the panel, in pixels, by their keys."""
        origin = self._view.viewport().mapTo(self._panel, QPoint(0, 0)).y()
        found = [(index.data(Role.ROW), index) for index in indexes if index.isValid()]
        return {
            row.key: origin + self._view.visualRect(index).top()
            for row, index in found
            if isinstance(row, Row)
        }
