"""One server as a row of 44 pixels, for many of them."""

import time
from functools import partial

from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import (
    QEnterEvent,
    QFocusEvent,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QPushButton, QToolTip

from app.gui import format as fmt
from app.gui.mirror import Series
from app.gui.models.server_state import status, was_refused
from app.gui.panels import tile_text as say
from app.gui.panels.compact_columns import METRIC_COLUMNS, columns, figure, is_left, tip
from app.gui.panels.tile_actions import Face, TileAction, faces
from app.gui.panels.tile_base import HALO, ServerItem
from app.gui.panels.tile_details import pending_tip
from app.gui.panels.tile_text import no_engine
from app.gui.theme import theme
from app.gui.widgets import icons
from app.wire.nouns import Machine, Server, ServerState

ROW_HEIGHT = 44 + 2 * HALO
_BUTTON = 28
_SPACE = 4
_MOST_BUTTONS = 2
_PENDING_ICON = 12
_ICON = 14
_ICONS = {"square": 10, "play": 12}
"""Filled shapes look bigger than outlines."""


class _RowButton(QPushButton):
    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        row = self.parentWidget()
        if isinstance(row, CompactRow):
            # Only after this event is it known who has the focus now.
            QTimer.singleShot(0, row, row.refresh_buttons)


class CompactRow(ServerItem):
    """Paints its texts itself; its two buttons are made when pointer or keyboard come to it."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, ROW_HEIGHT)
        self._texts: dict[str, str] = {}
        self._columns = columns(400)
        self._status = status(server, None, is_live=True)
        self._series: Series | None = None
        self._buttons: list[_RowButton] = []
        self._faces: tuple[Face, ...] = ()
        self._is_open = True
        self.setMouseTracking(True)
        self.show_server(server, time.time())

    def text(self, column: str) -> str:
        """Return what a column says: `name`, `model`, `state`, `time` or a metric."""
        return self._texts.get(column, "")

    def button_texts(self) -> list[str]:
        """Return what the buttons that can be seen do, from the left."""
        return [button.toolTip() for button in self._buttons if button.isVisible()]

    def show_server(self, server: Server, now: float) -> None:
        self.server = server
        self._faces = tuple(f for f in faces(server) if f.action is not TileAction.LOG)
        self._faces = (self._faces[0], *self._faces[-1:]) if len(self._faces) > 1 else self._faces
        if server.state is ServerState.STOPPING:
            self._faces = faces(server)[:_MOST_BUTTONS]
        self._put("name", server.name)
        self._put("model", say.subtitle(server, is_live=self._is_live))
        self._put("pending", pending_tip(server) if server.pending and server.state.serves else "")
        failure = server.failure if server.state in say.TROUBLE else None
        self._put("failure", "" if failure is None else failure.message)
        self._show_status()
        self._settle_press()
        self.show_time(now)
        self._dress_buttons()
        self.is_stale = True

    def show_time(self, now: float) -> None:
        is_known = self._is_live or self.server.state is not ServerState.BACKING_OFF
        self._put("time", say.when(self.server, now) if is_known else "")
        self._expire_press(now)

    def show_figures(self, series: Series | None, machine: Machine | None) -> None:  # noqa: ARG002 - rows have no scale
        self.is_stale = False
        if not self.server.state.has_process:
            series = None
        self._series = series
        self._show_status()
        for name in METRIC_COLUMNS:
            self._put(name, figure(name, self.server, series))
        sentence = say.spoken_figures(self.server, series)
        if sentence != self.accessibleDescription():
            self.setAccessibleDescription(sentence)

    def set_live(self, is_live: bool) -> None:
        if is_live != self._is_live:
            super().set_live(is_live)
            self._put("model", say.subtitle(self.server, is_live=is_live))
            self._dress_buttons()

    def tell_copied(self) -> None:
        left, width = self._columns["name"]
        place = self.mapToGlobal(QRect(left, 0, width, self.height()).center())
        QToolTip.showText(place, self.tr("Copied"), self)

    def _show_status(self) -> None:
        opened = None if self._series is None else self._series.latest("requests_open")
        found = status(self.server, opened, is_live=self._is_live)
        if found != self._status:
            self._status = found
            self._update("state")
        self._texts["state"] = found.word
        name = say.spoken_name(self.server, found.word)
        if name != self.accessibleName():
            self.setAccessibleName(name)

    def _put(self, part: str, text: str) -> None:
        if self._texts.get(part, "") != text:
            self._texts[part] = text
            self._update(part)

    def _update(self, part: str) -> None:
        """Paint one column anew, and nothing else."""
        column = {"model": "name", "pending": "name"}.get(part, part)
        if column in self._columns:
            self.update(self._cell(column))
        elif part == "failure":
            self.update()

    def _cell(self, column: str) -> QRect:
        left, width = self._columns[column]
        return QRect(HALO + left, HALO, width, self.height() - 2 * HALO)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._columns = columns(self.width() - 2 * HALO)
        self._place_buttons()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_card(painter)
        dirty = event.rect()
        if dirty.intersects(self._cell("name")):
            self._paint_name(painter)
        if dirty.intersects(self._cell("state")):
            self._paint_state(painter)
        if self.text("failure"):
            self._paint_failure(painter)
            return
        for name in self._columns:
            if not is_left(name) and dirty.intersects(self._cell(name)):
                self._paint_figure(painter, name)

    def _paint_name(self, painter: QPainter) -> None:
        cell = self._cell("name")
        colours = theme()
        top = QRect(cell.left(), cell.top() + 5, cell.width(), 18)
        if self.text("pending"):
            scale = self.devicePixelRatioF()
            mark = icons.pixmap("rotate-cw", colours.tokens.acc, _PENDING_ICON, scale)
            place = top.right() - _PENDING_ICON
            painter.drawPixmap(place, top.top() + 3, mark)
            top.setRight(place - 6)
        painter.setFont(colours.font("name"))
        painter.setPen(colours.color("tx" if self._is_live else "tx2"))
        self._draw(painter, top, self.text("name"), is_at_right=False)
        painter.setFont(colours.font("label"))
        is_stalled = self.server.state is ServerState.STALLED and self._is_live
        painter.setPen(colours.color("bad" if is_stalled else "tx2"))
        below = QRect(cell.left(), cell.top() + 23, cell.width(), 15)
        self._draw(painter, below, self.text("model"), is_at_right=False)

    def _paint_state(self, painter: QPainter) -> None:
        cell = self._cell("state")
        colours = theme()
        font = colours.font("label")
        width = min(cell.width(), QFontMetrics(font).horizontalAdvance(self._status.word) + 30)
        pill = QRectF(cell.left(), cell.top() + (cell.height() - 20) / 2, width, 20)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.color(self._status.tint))
        painter.drawRoundedRect(pill, 10, 10)
        ink = colours.color(self._status.ink)
        painter.setBrush(ink)
        painter.drawEllipse(QRectF(pill.left() + 9, pill.center().y() - 3, 6, 6))
        painter.setFont(font)
        painter.setPen(ink)
        room = pill.adjusted(21, 0, -6, 0).toRect()
        self._draw(painter, room, self._status.word, is_at_right=False)

    def _paint_figure(self, painter: QPainter, name: str) -> None:
        if name == "time" and self._has_buttons():
            return
        colours = theme()
        text = self._texts.get(name, fmt.UNKNOWN)
        is_time = name == "time"
        painter.setFont(colours.font("secondary" if is_time else "secondary_strong"))
        ink = "tx2" if is_time or text == fmt.UNKNOWN else "tx"
        painter.setPen(colours.color(ink if self._is_live else "tx3"))
        self._draw(painter, self._cell(name), text, is_at_right=True)

    def _paint_failure(self, painter: QPainter) -> None:
        names = [name for name in self._columns if not is_left(name)]
        room = self._cell(names[0]).united(self._cell(names[-1]))
        if self._has_buttons():
            room.setRight(room.right() - self._buttons_width() - 8)
        painter.setFont(theme().font("secondary"))
        is_warning = self.server.state is ServerState.BACKING_OFF or was_refused(self.server)
        painter.setPen(theme().color(("warn" if is_warning else "bad") if self._is_live else "tx2"))
        self._draw(painter, room, self.text("failure"), is_at_right=False)

    def _draw(self, painter: QPainter, room: QRect, text: str, *, is_at_right: bool) -> None:
        side = Qt.AlignmentFlag.AlignRight if is_at_right else Qt.AlignmentFlag.AlignLeft
        elide = Qt.TextElideMode.ElideRight if text.count(" ") > 3 else Qt.TextElideMode.ElideMiddle
        short = painter.fontMetrics().elidedText(text, elide, room.width())
        painter.drawText(room, side | Qt.AlignmentFlag.AlignVCenter, short)

    def apply_theme(self) -> None:
        self._show_status()
        self._dress_buttons()
        self.update()

    def _has_buttons(self) -> bool:
        return any(button.isVisible() for button in self._buttons)

    def _buttons_width(self) -> int:
        return len(self._faces) * (_BUTTON + _SPACE) - _SPACE

    def refresh_buttons(self) -> None:
        """Show the buttons while pointer or keyboard are here."""
        wanted = self.underMouse() or self.hasFocus() or any(b.hasFocus() for b in self._buttons)
        if wanted and not self._buttons:
            self._make_buttons()
        for number, button in enumerate(self._buttons):
            button.setVisible(wanted and number < len(self._faces))
        self.update()

    def _make_buttons(self) -> None:
        before: ServerItem | QPushButton = self
        for number in range(_MOST_BUTTONS):
            button = _RowButton(self)
            button.setProperty("kind", "flat")
            button.setFixedSize(_BUTTON, _BUTTON)
            button.clicked.connect(partial(self._press, number))
            self.setTabOrder(before, button)
            before = button
            self._buttons.append(button)
        self._dress_buttons()
        self._place_buttons()

    def _press(self, number: int, _is_checked: object = None) -> None:
        if number < len(self._faces):
            self._on_pressed(self._faces[number].action)

    def _dress_buttons(self) -> None:
        tokens = theme().tokens
        for face, button in zip(self._faces, self._buttons, strict=False):
            is_open = self._is_open and self._is_live and face.is_open
            if not is_open and button.hasFocus():
                self.setFocus()
            button.setEnabled(is_open)
            button.setToolTip(face.text if self._is_live else no_engine())
            button.setAccessibleName(f"{face.text}, {self.server.name}")
            size = _ICONS.get(face.icon, _ICON)
            button.setIcon(icons.icon(face.icon, tokens.tx if is_open else tokens.line2, size))
            button.setIconSize(QSize(size, size))
        for number, button in enumerate(self._buttons):
            if number >= len(self._faces):
                if button.hasFocus():
                    self.setFocus()
                button.hide()
        if self._buttons:
            self._place_buttons()

    def _place_buttons(self) -> None:
        left = self.width() - HALO - 10 - self._buttons_width()
        for number, button in enumerate(self._buttons):
            button.move(left + number * (_BUTTON + _SPACE), (self.height() - _BUTTON) // 2)

    def _open_buttons(self, *, is_open: bool) -> None:
        self._is_open = is_open
        self._dress_buttons()

    def _press_start(self) -> bool:
        is_start = bool(self._faces) and self._faces[0].action is TileAction.START
        if is_start and self._is_open and self._is_live:
            self._on_pressed(TileAction.START)
            return True
        return False

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.refresh_buttons()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.refresh_buttons()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.refresh_buttons()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        QTimer.singleShot(0, self, self.refresh_buttons)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        text = self._tip(event.position().toPoint().x())
        if text != self.toolTip():
            self.setToolTip(text)

    def _tip(self, x: int) -> str:
        for name, (left, width) in self._columns.items():
            if left <= x - HALO < left + width:
                return self._tip_of(name)
        return ""

    def _tip_of(self, column: str) -> str:
        if column == "name":
            lines = (self.server.name, say.subtitle_tip(self.server), self.text("pending"))
            return "\n".join(line for line in lines if line)
        failure = self.server.failure
        if failure is not None and (column == "state" or self.text("failure")):
            return f"{failure.message}\n{failure.hint}".strip()
        if column == "time":
            return f"{self.text(column)}\n{say.when_tip(self.server)}".strip()
        if column == "state":
            return " · ".join(t for t in say.totals(self.server, self._series) if t)
        return tip(column, self.server, self._series)
