"""Rows on one ground, with a line between two that are visible."""

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget


class FormCard(QFrame):
    """Rows on one ground, with a line between two that are visible."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("settingsCard")
        self._rows: list[tuple[QFrame, QWidget]] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)

    def add(self, row: QWidget) -> None:
        """Add a row below the others."""
        line = QFrame(self)
        line.setObjectName("settingsLine")
        line.setFixedHeight(1)
        self._column.addWidget(line)
        self._column.addWidget(row)
        self._rows.append((line, row))
        self.draw_lines()

    def attach(self, more: QWidget) -> None:
        """Add something that belongs to the last row, without a line between."""
        self._column.addWidget(more)

    def draw_lines(self) -> bool:
        """Show the lines that are needed; return True when any row is visible."""
        has_before = False
        for line, row in self._rows:
            is_shown = not row.isHidden()
            line.setVisible(has_before and is_shown)
            has_before = has_before or is_shown
        return has_before
