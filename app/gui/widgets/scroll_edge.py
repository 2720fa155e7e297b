"""A line under controls that is there while something is scrolled beneath them."""

from PySide6.QtWidgets import QFrame, QScrollBar, QWidget


class ScrollEdge(QFrame):
    """One pixel, drawn by the style sheet by its name and its property `scrolled`."""

    def __init__(self, bar: QScrollBar, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(1)
        bar.valueChanged.connect(self._update)

    def _update(self, value: int) -> None:
        if self.property("scrolled") != (value > 0):
            self.setProperty("scrolled", value > 0)
            self.style().unpolish(self)
            self.style().polish(self)
