"""The command palette: type a few letters of what is wanted, and Enter."""

from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLabel,
    QLineEdit,
    QListView,
    QVBoxLayout,
    QWidget,
)

from app.gui.delegates.palette_row import HEIGHT, PaletteRow
from app.gui.guarded import guarded
from app.gui.models.palette_list import PaletteEntry, PaletteList
from app.gui.theme import theme
from app.gui.widgets import icons

_WIDTH: Final = 620
_MARGIN: Final = 24
_TOP: Final = 72
_FIELD: Final = 48
_ICON: Final = 18
_MOST_ROWS: Final = 9
_RADIUS: Final = 12
_STEPS: Final = {
    Qt.Key.Key_Down: 1,
    Qt.Key.Key_Up: -1,
    Qt.Key.Key_PageDown: _MOST_ROWS - 1,
    Qt.Key.Key_PageUp: 1 - _MOST_ROWS,
}
_ENTER: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class Palette(QWidget):
    """Covers the window; a press beside the panel, Esc or the loss of the keyboard closes it."""

    chosen = Signal(object)  # PaletteEntry
    closed = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._focus_before: QWidget | None = None
        self.entries = PaletteList(self)
        self.panel = QFrame(self)
        self.panel.setObjectName("palettePanel")
        self.field = QLineEdit(self.panel)
        self.field.setObjectName("paletteField")
        self.field.setPlaceholderText(self.tr("Search commands, profiles, models and servers"))
        self.field.setAccessibleName(self.tr("Command palette"))
        self.field.setFrame(False)
        self.field.setFixedHeight(_FIELD)
        self.field.setTextMargins(_MARGIN + _ICON + 2, 0, 16, 0)
        self.field.setFont(theme().font("tile"))
        self.view = self._make_view()
        self._nothing = QLabel(self.tr("Nothing matches"), self.panel)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setFixedHeight(2 * HEIGHT)
        self._nothing.setObjectName("emptyText")
        column = QVBoxLayout(self.panel)
        column.setContentsMargins(0, 0, 0, 6)
        column.setSpacing(0)
        for widget in (self.field, self.view, self._nothing):
            column.addWidget(widget)
        column.addStretch()
        self.field.textChanged.connect(self._on_text)
        self.field.installEventFilter(self)
        window.installEventFilter(self)
        theme().changed.connect(self._dress)
        self._dress()
        self.hide()

    def open(self, entries: list[PaletteEntry], recent: list[str]) -> None:
        """Show what can be done; `recent` are the ids that were used last, the latest first."""
        if self.isHidden():
            self._focus_before = self.window().focusWidget()
        self.field.blockSignals(True)
        self.field.clear()
        self.field.blockSignals(False)
        self.entries.set_entries(entries, recent)
        self.setGeometry(self._window.rect())
        self._fit()
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def dismiss(self) -> None:
        """Close without a choice and give the keyboard back."""
        if self.isHidden():
            return
        had_focus = self.field.hasFocus()
        self.hide()
        if had_focus and self._focus_before is not None and self._focus_before.isVisible():
            self._focus_before.setFocus()
        self._focus_before = None
        self.closed.emit()

    def accept(self) -> None:
        """Close and do what is chosen."""
        entry = self.entries.entry_at(self.view.currentIndex().row())
        if entry is not None:
            self.dismiss()
            self.chosen.emit(entry)

    @guarded(False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._window:
            if event.type() is QEvent.Type.Resize and self.isVisible():
                self.setGeometry(self._window.rect())
                self._fit()
            return False
        if isinstance(event, QKeyEvent):
            if event.type() is QEvent.Type.ShortcutOverride and event.key() == Qt.Key.Key_Escape:
                event.accept()
                return True
            return event.type() is QEvent.Type.KeyPress and self._take_key(event)
        if event.type() is QEvent.Type.FocusOut and self.isVisible():
            self.dismiss()
        return False

    @guarded(False)
    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002 - Qt's name
        self._step(1 if next else -1)
        return True

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if not self.panel.geometry().contains(event.position().toPoint()):
            self.dismiss()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_dark = theme().is_dark
        painter.fillRect(self.rect(), QColor(0, 0, 0, 90 if is_dark else 40))
        box = QRectF(self.panel.geometry())
        painter.setPen(Qt.PenStyle.NoPen)
        # A soft shadow: rings that add up; an effect would paint the whole panel again each time.
        for spread in range(14, 0, -2):
            painter.setBrush(QColor(0, 0, 0, 12 if is_dark else 6))
            shade = box.adjusted(-spread, -spread / 2, spread, spread + 4)
            painter.drawRoundedRect(shade, _RADIUS + spread, _RADIUS + spread)

    def _make_view(self) -> QListView:
        view = QListView(self.panel)
        view.setObjectName("paletteList")
        view.setModel(self.entries)
        view.setItemDelegate(PaletteRow(view))
        view.setUniformItemSizes(True)
        view.setMouseTracking(True)
        view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        view.setFrameShape(QFrame.Shape.NoFrame)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setAccessibleName(self.tr("Matches"))
        view.clicked.connect(self._on_clicked)
        return view

    def _take_key(self, event: QKeyEvent) -> bool:
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Escape:
            self.dismiss()
        elif key in _ENTER:
            self.accept()
        elif key in _STEPS:
            self._step(_STEPS[key], wraps=abs(_STEPS[key]) == 1)
        else:
            return False
        return True

    def _step(self, step: int, *, wraps: bool = True) -> None:
        count = self.entries.rowCount()
        if not count:
            return
        row = self.view.currentIndex().row() + step
        row = row % count if wraps else min(max(row, 0), count - 1)
        self.view.setCurrentIndex(self.entries.index(row))

    def _on_text(self, text: str) -> None:
        self.entries.set_query(text)
        self._fit()

    def _on_clicked(self, index: QModelIndex) -> None:
        self.view.setCurrentIndex(index)
        self.accept()

    def _fit(self) -> None:
        """Give the panel the height of its rows, and choose the first."""
        count = self.entries.rowCount()
        room = max(1, (self.height() - _TOP - _FIELD - 2 * _MARGIN) // HEIGHT)
        self.view.setFixedHeight(HEIGHT * min(count, _MOST_ROWS, room))
        self.view.setVisible(count > 0)
        self._nothing.setVisible(count == 0)
        width = min(_WIDTH, self.width() - 2 * _MARGIN)
        below = self.view.height() if count else self._nothing.height()
        top = min(_TOP, self.height() // 8)
        place = QPoint((self.width() - width) // 2, top)
        self.panel.setGeometry(QRect(place.x(), place.y(), width, _FIELD + below + 7))
        if count:
            self.view.setCurrentIndex(self.entries.index(0))
            self.view.scrollToTop()
        self.update()

    def _dress(self) -> None:
        t = theme().tokens
        self.panel.setStyleSheet(
            f"QFrame#palettePanel {{ background: {t.card}; border: 1px solid {t.line2};"
            f" border-radius: {_RADIUS}px; }}"
            f"QLineEdit#paletteField {{ background: transparent; border: none; padding: 0;"
            f" border-bottom: 1px solid {t.line}; border-radius: 0;"
            f" min-height: {_FIELD - 1}px; max-height: {_FIELD - 1}px; }}"
            "QListView#paletteList { background: transparent; border: none; outline: none; }"
        )
        for action in self.field.actions():
            self.field.removeAction(action)
        self._glass().setPixmap(
            icons.pixmap("search", t.tx2, _ICON, max(2.0, self.devicePixelRatioF()))
        )

    def _glass(self) -> QLabel:
        found = self.field.findChild(QLabel, "paletteGlass")
        if isinstance(found, QLabel):
            return found
        label = QLabel(self.field)
        label.setObjectName("paletteGlass")
        label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        label.setGeometry(_MARGIN - 6, (_FIELD - _ICON) // 2, _ICON, _ICON)
        return label
