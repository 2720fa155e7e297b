"""A card that floats over the content, says one thing and offers an action or two."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QEvent, QObject, QPoint, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QHideEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme
from app.gui.widgets import icons

_WIDEST = 680
_MARGIN = 16
"""From the edges of what it floats over."""
_ROOMY = 380
"""From this width on, text and buttons stand side by side."""
_RADIUS = 10
_SHADE = 6
"""Room around the card for its shadow; a part of the widget."""
_LIFE_MS = 8_000
"""How long good news stays; it is read in three seconds."""
_OFFER_LIFE_MS = 30_000
"""How long it stays with something to do about it, which can be done elsewhere too."""
_NARROW = 380
"""Room beside the widget that it should not cover, below which it covers it all the same."""
_MOST_WAITING = 8
_MOVES = (QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.Resize, QEvent.Type.Move)


class _Notice(NamedTuple):
    """One thing to say, and what can be done about it."""

    text: str
    is_bad: bool = True
    action_text: str = ""
    action: Callable[[], None] | None = None
    also: tuple[str, Callable[[], None]] | None = None


class NoticeBar(QFrame):
    """Hidden until `show_notice`. It moves no other widget.

    Trouble waits in line and is seen until it is closed; news and offers replace each other and go
    by themselves.
    """

    gone = Signal()
    """It was closed, or went by itself."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._host: QWidget | None = None
        self._foot: QWidget | None = None
        self._shown = _Notice("")
        self._later: deque[_Notice] = deque(maxlen=_MOST_WAITING)
        """Trouble that is shown when what is shown now has been closed."""
        self._spared: QWidget | None = None
        self._side: QWidget | None = None
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._button = QPushButton()
        self._button.clicked.connect(self._on_action)
        self._second = QPushButton()
        self._second.clicked.connect(self._on_second)
        self._close = QPushButton()
        self._close.setProperty("kind", "flat")
        self._close.setToolTip(self.tr("Dismiss"))
        self._close.setAccessibleName(self.tr("Dismiss this notice"))
        self._close.clicked.connect(self.dismiss)
        self._more = QLabel()
        self._more.setObjectName("settingHelp")
        self._life = QTimer(self)
        self._life.setSingleShot(True)
        self._life.timeout.connect(self._on_read)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(14 + _SHADE, 8 + _SHADE, 8 + _SHADE, 8 + _SHADE)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(8)
        self._arrange(is_narrow=False)
        theme().changed.connect(self._restyle)
        self._restyle()
        self.hide()

    def float_over(
        self,
        host: QWidget,
        *,
        above: QWidget,
        spares: QWidget | None = None,
        beside: QWidget | None = None,
    ) -> None:
        """Stand at the bottom of `host`, above one widget and left of `beside` while it is shown.

        spares: what stands at the left and stays in sight where there is room for both.
        """
        self._host, self._foot, self._spared, self._side = host, above, spares, beside
        self.setParent(host)
        self.hide()
        for watched in (host, spares, beside):
            if watched is not None:
                watched.installEventFilter(self)

    @property
    def text(self) -> str:
        """What it says now; empty while hidden."""
        return "" if self.isHidden() else self._text.text()

    @property
    def is_bad(self) -> bool:
        """True while it tells of trouble."""
        return self._shown.is_bad and not self.isHidden()

    @property
    def offers_action(self) -> bool:
        """True while it shows a button."""
        return self._shown.action is not None and not self.isHidden()

    def show_notice(
        self,
        text: str,
        *,
        is_bad: bool = True,
        action_text: str = "",
        action: Callable[[], None] | None = None,
        also: tuple[str, Callable[[], None]] | None = None,
    ) -> None:
        """Show a sentence, and a button or two when there is something to do about it."""
        new = _Notice(text, is_bad, action_text, action, also)
        shown = self._shown
        if not self.isHidden() and shown.is_bad and shown.text != text:
            if is_bad and action is None:
                if new not in self._later:
                    self._later.append(new)
                self._tell_more()
                return
            if shown.action is None:
                self._later.appendleft(shown)
        self._show(new)

    def dismiss(self) -> None:
        """Close what is shown; trouble that waits comes next."""
        if self._later:
            self._show(self._later.popleft())
        else:
            self.hide()

    def clear(self) -> None:
        """Forget everything that was said: it is over."""
        self._later.clear()
        self.hide()

    def _show(self, notice: "_Notice") -> None:
        self._shown = notice
        self._text.setText(notice.text)
        self._button.setText(notice.action_text)
        self._button.setVisible(notice.action is not None)
        second_text = "" if notice.also is None else notice.also[0]
        self._second.setText(second_text)
        self._second.setVisible(notice.also is not None)
        self._restyle()
        self.setAccessibleName(notice.text)
        self._tell_more()
        self.show()
        self.raise_()
        if notice.is_bad:
            self._life.stop()
        else:
            self._life.start(_LIFE_MS if notice.action is None else _OFFER_LIFE_MS)

    def _tell_more(self) -> None:
        count = len(self._later)
        self._more.setText(self.tr("{count} more").format(count=count))
        self._more.setVisible(count > 0)
        self._place()

    def _arrange(self, *, is_narrow: bool) -> None:
        """Put the buttons beside the text, or below it where there is no room beside."""
        grid, middle, top = self._grid, Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignTop
        grid.addWidget(self._icon, 0, 0, top if is_narrow else middle)
        grid.addWidget(self._text, 0, 1, 1, 4 if is_narrow else 1)
        grid.addWidget(self._button, int(is_narrow), 1 if is_narrow else 2)
        grid.addWidget(self._second, int(is_narrow), 2 if is_narrow else 3)
        grid.addWidget(self._more, int(is_narrow), 3 if is_narrow else 4)
        grid.addWidget(self._close, 0, 5, top if is_narrow else middle)
        grid.setColumnStretch(1, 0 if is_narrow else 1)
        grid.setColumnStretch(4, 1 if is_narrow else 0)

    def _on_read(self) -> None:
        if self.underMouse():
            self._life.start()
        else:
            self.dismiss()

    def _place(self) -> None:
        if self._host is None:
            return
        room = self._host.rect()
        if self._foot is not None:
            room.setBottom(room.bottom() - self._foot.height())
        if self._side is not None and self._side.isVisible():
            room.setRight(self._side.mapTo(self._host, QPoint(0, 0)).x())
        if (spared := self._spared) is not None and spared.isVisible():
            edge = spared.mapTo(self._host, spared.rect().topRight()).x() + 1
            room.setLeft(edge if room.right() - edge > _NARROW else 0)
        widest = min(_WIDEST, room.width() - 2 * _MARGIN) + 2 * _SHADE
        wanted = self._line_width() + 2 * _SHADE
        width = min(widest, wanted)
        self._arrange(is_narrow=width < _ROOMY)
        height = self._grid.totalHeightForWidth(width)
        left = room.left() + (room.width() - width) // 2
        self.setGeometry(left, room.height() - height - _MARGIN + _SHADE, width, height)

    def _line_width(self) -> int:
        """Return the width at which the text stands in one line."""
        text = self._text.fontMetrics().horizontalAdvance(self._text.text()) + 12
        button = self._button.sizeHint().width() + 10 if self._shown.action is not None else 0
        button += self._more.sizeHint().width() + 10 if self._later else 0
        button += self._second.sizeHint().width() + 10 if self._shown.also is not None else 0
        return 14 + 16 + 10 + text + button + 10 + self._close.sizeHint().width() + 8

    @guarded(False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if self.isHidden():
            return False
        if watched is self._host and event.type() in (QEvent.Type.Resize, QEvent.Type.ChildAdded):
            self._place()
            self.raise_()
        elif watched in (self._spared, self._side) and event.type() in _MOVES:
            self._place()
        return False

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the card, its edge and a soft shadow."""
        t = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        card = QRectF(self.rect()).adjusted(_SHADE, _SHADE, -_SHADE, -_SHADE)
        painter.setPen(Qt.PenStyle.NoPen)
        for spread in range(_SHADE, 0, -1):
            painter.setBrush(QColor(0, 0, 0, 7 if t.is_dark else 4))
            around = card.adjusted(-spread, -spread + 2, spread, spread)
            painter.drawRoundedRect(around, _RADIUS + spread, _RADIUS + spread)
        painter.setBrush(t.color("card"))
        painter.drawRoundedRect(card, _RADIUS, _RADIUS)
        ink = QColor(t.color("bad" if self._shown.is_bad else "line2"))
        ink.setAlphaF(0.6 if self._shown.is_bad else 1.0)
        painter.setBrush(t.color("bads") if self._shown.is_bad else t.color("card"))
        painter.setPen(QPen(ink, 1))
        painter.drawRoundedRect(card.adjusted(0.5, 0.5, -0.5, -0.5), _RADIUS, _RADIUS)

    def hideEvent(self, event: QHideEvent) -> None:
        """Tell that it is gone; a window that is put away only hides it for a while."""
        super().hideEvent(event)
        if self.isHidden():
            self.gone.emit()

    def _restyle(self) -> None:
        colour = theme().color("bad" if self._shown.is_bad else "acc")
        name = "triangle-alert" if self._shown.is_bad else "info"
        self._icon.setPixmap(icons.pixmap(name, colour.name(), 16, self.devicePixelRatioF()))
        self._close.setIcon(icons.icon("x", theme().color("tx2")))
        self.update()

    def _on_action(self) -> None:
        action = self._shown.action
        self.dismiss()
        if action is not None:
            action()

    def _on_second(self) -> None:
        also = self._shown.also
        self.dismiss()
        if also is not None:
            also[1]()
