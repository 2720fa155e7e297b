"""The inspector's frame: a head with name and Close, and one page below it."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.gui.inspector.page import InspectorPage
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.elided_label import ElidedLabel

_SIDE, _TOP = 20, 16
_BUTTON = 28
_SMALLEST = 340


class Inspector(QFrame):
    """Shows one page at a time, or hides. Esc and Close hide it; `closed` comes then."""

    opening = Signal()
    """Comes before anything has moved."""
    opened = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("inspector")
        self.setMinimumWidth(_SMALLEST)
        self.page: InspectorPage | None = None
        self._focus_before: QWidget | None = None
        self.title = ElidedLabel(
            theme().font("tile"), elide=Qt.TextElideMode.ElideMiddle, parent=self
        )
        self.subtitle = ElidedLabel(
            theme().font("secondary"), elide=Qt.TextElideMode.ElideMiddle, parent=self
        )
        self.close_button = QPushButton(self)
        self.close_button.setProperty("kind", "flat")
        self.close_button.setFixedSize(_BUTTON, _BUTTON)
        self.close_button.setToolTip(self.tr("Close (Esc)"))
        self.close_button.setAccessibleName(self.tr("Close the inspector"))
        self.close_button.clicked.connect(self.close_page)
        self._lay_out()
        theme().changed.connect(self._dress)
        self._dress()
        self.hide()

    def show_page(self, page: InspectorPage) -> None:
        """Show a page in place of the one that is there, which is deleted."""
        if self.page is None:
            self._focus_before = self.window().focusWidget()
            self.opening.emit()
        self._drop_page()
        self.page = page
        page.retitled.connect(self._show_titles)
        page.closing_wanted.connect(self.close_page)
        self._body.addWidget(page, 1)
        self._show_titles()
        self.show()
        page.show()
        self.opened.emit()

    def close_page(self) -> None:
        """Hide, and give the keyboard back to whoever had it."""
        if self.page is None:
            return
        had_focus = self.isAncestorOf(self.window().focusWidget() or self.window())
        self._drop_page()
        self.hide()
        self.closed.emit()
        if had_focus and self._focus_before is not None and self._focus_before.isVisible():
            self._focus_before.setFocus()
        self._focus_before = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close_page()
        else:
            super().keyPressEvent(event)

    def _lay_out(self) -> None:
        names = QVBoxLayout()
        names.setSpacing(2)
        names.addWidget(self.title)
        names.addWidget(self.subtitle)
        head = QHBoxLayout()
        head.setContentsMargins(_SIDE, _TOP, _SIDE - 8, 10)
        head.setSpacing(8)
        head.addLayout(names, 1)
        head.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self._body = QVBoxLayout(self)
        self._body.setContentsMargins(0, 0, 0, 0)
        self._body.setSpacing(0)
        self._body.addLayout(head)

    def _drop_page(self) -> None:
        if self.page is not None:
            self._body.removeWidget(self.page)
            self.page.hide()
            self.page.deleteLater()
            self.page = None

    def _show_titles(self) -> None:
        if self.page is not None:
            self.title.setText(self.page.title)
            self.subtitle.setText(self.page.subtitle)
            self.subtitle.setVisible(bool(self.page.subtitle))

    def _dress(self) -> None:
        self.title.set_colour(theme().color("tx"))
        self.subtitle.set_colour(theme().color("tx2"))
        self.close_button.setIcon(icons.icon("x", theme().tokens.tx2))
        self.close_button.setIconSize(QSize(16, 16))
