"""The row above many tiles: a filter, the order, and tiles or rows."""

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QPushButton, QWidget

from app.gui.guarded import guarded
from app.gui.panels.tile_order import TileOrder, order_text
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.elided_label import ElidedLabel

HEIGHT = 28
_FILTER_WIDTH = 260


class FilterField(QLineEdit):
    """A line whose Esc clears it before anything else hears of it."""

    left = Signal()

    @guarded(False)
    def event(self, event: QEvent) -> bool:
        is_escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if is_escape and event.type() is QEvent.Type.ShortcutOverride and self.text():
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        elif event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.left.emit()
        else:
            super().keyPressEvent(event)


class TileTools(QWidget):
    """Says what the user wants to see; it knows no tiles."""

    filter_changed = Signal(object)  # list[str], the words, lower case
    order_chosen = Signal(object)  # TileOrder; also when it is chosen again
    rows_wanted = Signal(bool)  # rows in place of tiles
    left = Signal()  # the keyboard wants to go on to the tiles

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.order = TileOrder.STARTED
        self._shows_rows = False
        self.filter = FilterField(self)
        self.filter.setPlaceholderText(self.tr("Filter by name, model or state"))
        self.filter.setAccessibleName(self.tr("Filter servers"))
        self.filter.setClearButtonEnabled(True)
        self.filter.setMaximumWidth(_FILTER_WIDTH)
        self._glass = QAction(self)
        self.filter.addAction(self._glass, QLineEdit.ActionPosition.LeadingPosition)
        self.filter.textChanged.connect(lambda: self.filter_changed.emit(self.words()))
        self.filter.left.connect(self.left)
        self.count_label = ElidedLabel(
            theme().font("secondary"), align=Qt.AlignmentFlag.AlignRight, parent=self
        )
        self.order_button = QPushButton(self)
        self.order_button.setProperty("kind", "flat")
        self.order_button.setObjectName("modelsSortText")
        self.order_button.setMenu(self._order_menu())
        self.rows_button = QPushButton(self)
        self.rows_button.setProperty("kind", "flat")
        self.rows_button.setFixedWidth(HEIGHT)
        self.rows_button.clicked.connect(lambda: self.rows_wanted.emit(not self._shows_rows))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.filter, 2)
        row.addWidget(self.count_label, 1)
        row.addWidget(self.order_button)
        row.addWidget(self.rows_button)
        self.setFixedHeight(HEIGHT)
        self.apply_theme()

    def _order_menu(self) -> QMenu:
        menu = QMenu(self)
        group = QActionGroup(menu)
        for order in TileOrder:
            action = menu.addAction(order_text(order))
            action.setCheckable(True)
            action.setChecked(order is self.order)
            action.setData(order.value)
            group.addAction(action)
        menu.triggered.connect(self._on_order_triggered)
        return menu

    def _on_order_triggered(self, action: QAction) -> None:
        self.order = TileOrder(action.data())
        self.apply_theme()
        self.order_chosen.emit(self.order)

    def words(self) -> list[str]:
        """Return what the filter looks for; empty for everything."""
        return self.filter.text().casefold().split()

    def show_filter(self, *, is_shown: bool) -> None:
        """Offer the filter, or leave its place empty."""
        if not is_shown:
            self.filter.clear()
        self.filter.setVisible(is_shown)

    def show_count(self, shown: int, of: int) -> None:
        """Tell how many servers there are, and how many of them the filter leaves."""
        text = self.tr("1 server") if of == 1 else self.tr("{count} servers").format(count=of)
        if shown != of:
            text = self.tr("{shown} of {count} servers").format(shown=shown, count=of)
        self.count_label.setText(text)

    def show_rows(self, *, is_on: bool) -> None:
        """Let the button offer the other of the two."""
        self._shows_rows = is_on
        self.apply_theme()

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        tokens = theme().tokens
        self._glass.setIcon(icons.icon("search", tokens.tx3))
        self.count_label.set_colour(theme().color("tx2"))
        self.order_button.setText(order_text(self.order))
        self.order_button.setIcon(icons.icon("arrow-up-down", tokens.tx2, 14))
        self.order_button.setIconSize(QSize(14, 14))
        text = self.tr("Sort by {order}. Choose again to sort anew.")
        self.order_button.setToolTip(text.format(order=order_text(self.order).lower()))
        offer = self.tr("Show tiles") if self._shows_rows else self.tr("Show compact rows")
        self.rows_button.setIcon(
            icons.icon("layout-grid" if self._shows_rows else "rows", tokens.tx2)
        )
        self.rows_button.setToolTip(offer)
        self.rows_button.setAccessibleName(offer)
