"""The pop-up at the top of the window that tells which engine is shown, and shows another one."""

from typing import Final

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QMenu, QPushButton, QSizePolicy, QWidget

from app.gui.guarded import guarded
from app.gui.mirror import Mirror
from app.gui.theme import theme
from app.gui.widgets import icons

_ARROW: Final = 14
_WIDEST: Final = 170
_NARROW: Final = 84
"""Pixels for the name: as a rule, and where the header has little room."""


class EngineSwitch(QPushButton):
    """Quiet for this computer, tinted for another one, since all that is shown is there then."""

    menu_wanted = Signal(object)  # QMenu, to be filled

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("engineSwitch")
        self.setIconSize(QSize(15, 15))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._mirror = mirror
        self._is_narrow = False
        self.clicked.connect(self._open)
        mirror.place_changed.connect(self.refresh)
        self.refresh()

    def set_narrow(self, *, is_narrow: bool) -> None:
        """Take less room: this computer needs no name, another one a short one."""
        if is_narrow != self._is_narrow:
            self._is_narrow = is_narrow
            self.refresh()

    @guarded(QSize())
    def minimumSizeHint(self) -> QSize:
        # Not the whole name: it would hold the header at a width at which it is not narrow yet.
        room = 0 if self.text() == "" else self.fontMetrics().horizontalAdvance(self.text())
        name = _NARROW if self._mirror.place else 0
        hint = self.sizeHint()
        return QSize(hint.width() - max(0, room - name), hint.height())

    def refresh(self, _changed: object = None) -> None:
        """Show which engine is in use, in the colours of the theme."""
        place, t = self._mirror.place, theme()
        name = place or self.tr("This computer")
        room = _NARROW if self._is_narrow else _WIDEST
        shown = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, room)
        self.setText("" if self._is_narrow and not place else shown)
        self.setIcon(icons.icon("monitor", t.tokens.acc if place else t.tokens.tx2))
        self.setToolTip(self.tr("All of this is on {}. Show another engine.").format(name))
        self.setAccessibleName(self.tr("Engine: {}").format(name))
        if self.property("remote") != bool(place):
            self.setProperty("remote", bool(place))
            self.style().unpolish(self)
            self.style().polish(self)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        tokens = theme().tokens
        colour = tokens.acc if self._mirror.place else tokens.tx2
        arrow = icons.pixmap("chevron-down", colour, _ARROW, self.devicePixelRatioF())
        QPainter(self).drawPixmap(self.width() - _ARROW - 7, (self.height() - _ARROW) // 2, arrow)

    def _open(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.menu_wanted.emit(menu)
        menu.popup(self.mapToGlobal(self.rect().bottomLeft() + QPoint(0, 5)))
