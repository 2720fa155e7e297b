"""Paints a download as a tile with its bar and takes clicks on its two buttons."""

from enum import Enum
from typing import Final

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.gui.guarded import guarded
from app.gui.models import download_text
from app.gui.models.download_list import DownloadRole
from app.gui.theme import theme
from app.gui.widgets import icons
from app.wire.errors import ErrorCode
from app.wire.nouns import Download, DownloadState

_Index = QModelIndex | QPersistentModelIndex

MARGIN: Final = 14
HEIGHT: Final = 84
GAP: Final = 8
_PAD: Final = 13.0
_NAME_BASE, _BAR_TOP, _LINE_BASE = 26.0, 40.0, 67.0
_BAR_HEIGHT: Final = 6.0
_BUTTON: Final = 26.0
_ICON: Final = 15


class DownloadAction(Enum):
    """What the user can do with a download."""

    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    CANCEL = "cancel"
    MOVE_TOP = "move_top"
    MOVE_UP = "move_up"
    MOVE_DOWN = "move_down"
    MOVE_BOTTOM = "move_bottom"
    PAUSE_ALL = "pause_all"
    """This and the next are about all downloads, whichever was asked."""
    RESUME_ALL = "resume_all"
    INSPECT = "inspect"
    COPY_ID = "copy_id"
    OPEN_PAGE = "open_page"
    """Its page on the hub, where its authors are asked for access."""


_FACES: Final = {
    DownloadAction.PAUSE: "pause",
    DownloadAction.RESUME: "play",
    DownloadAction.RETRY: "rotate-cw",
    DownloadAction.CANCEL: "x",
    DownloadAction.OPEN_PAGE: "external-link",
}
_AT_THE_HUB: Final = (ErrorCode.ACCESS_NEEDED, ErrorCode.TOKEN_NEEDED)


def is_refused(download: Download) -> bool:
    """Return True when what stops a download is settled on its page on the hub."""
    return download.failure is not None and download.failure.code in _AT_THE_HUB


def main_action(download: Download) -> DownloadAction:
    """Return what the first button of a download does."""
    if download.state is DownloadState.PAUSED:
        return DownloadAction.RESUME
    if download.state.is_active and download.state is not DownloadState.WAITING:
        return DownloadAction.PAUSE
    return DownloadAction.RETRY


class DownloadTile(QStyledItemDelegate):
    """Name, share, bar, and one line that says how it goes or why it does not."""

    pressed = Signal(object)  # tuple[DownloadAction, str]: what, and the download's id

    def __init__(self, parent: QAbstractItemView) -> None:
        super().__init__(parent)
        self._view = parent
        self._hovered: tuple[int, DownloadAction] | None = None
        self._wanted: frozenset[str] = frozenset()
        theme().changed.connect(parent.viewport().update)

    def button_rects(self, option: QStyleOptionViewItem) -> tuple[QRectF, QRectF]:
        """Return where the first button and the cancel button of a row are, in the viewport."""
        tile = _tile_rect(option)
        top = tile.top() + (HEIGHT - _BUTTON) / 2 + 6
        right = tile.right() - _PAD + 5 - _BUTTON
        return (
            QRectF(right - _BUTTON - 2, top, _BUTTON, _BUTTON),
            QRectF(right, top, _BUTTON, _BUTTON),
        )

    def page_rect(self, option: QStyleOptionViewItem) -> QRectF:
        """Return where the button of a refused download for its page is, in the viewport."""
        first, cancel = self.button_rects(option)
        return first.translated(first.left() - cancel.left(), 0)

    def set_wanted(self, ids: frozenset[str]) -> None:
        """Say of these downloads that their models are started when they have come."""
        if ids != self._wanted:
            self._wanted = ids
            self._view.viewport().update()

    def clear_hover(self) -> None:
        """Forget the button under the pointer."""
        self._set_hovered(None)

    @guarded(QSize())
    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: ARG002
        return QSize(0, HEIGHT + GAP)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        download = index.data(DownloadRole.DOWNLOAD)
        if not isinstance(download, Download):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tile = _tile_rect(option)
        _paint_ground(painter, tile, option)
        first, cancel = self.button_rects(option)
        buttons = [(first, main_action(download)), (cancel, DownloadAction.CANCEL)]
        if is_refused(download):
            buttons.insert(0, (self.page_rect(option), DownloadAction.OPEN_PAGE))
        right = buttons[0][0].left() - 12
        self._paint_name(painter, tile, download)
        self._paint_bar(painter, tile, right, download)
        self._paint_line(painter, tile, right, download)
        for rect, action in buttons:
            self._paint_button(painter, rect, action, is_hot=self._hovered == (index.row(), action))
        painter.restore()

    @guarded(False)
    def editorEvent(
        self,
        event: QEvent,
        model: QAbstractItemModel,
        option: QStyleOptionViewItem,
        index: _Index,
    ) -> bool:
        if not isinstance(event, QMouseEvent):
            return super().editorEvent(event, model, option, index)
        action = self._action_at(event.position(), option, index)
        self._set_hovered(None if action is None else (index.row(), action))
        if (
            action is not None
            and event.type() == QEvent.Type.MouseButtonRelease
            and event.button() == Qt.MouseButton.LeftButton
        ):
            self.pressed.emit((action, index.data()))
            return True
        return action is not None

    def _action_at(
        self, position: QPointF, option: QStyleOptionViewItem, index: _Index
    ) -> DownloadAction | None:
        first, cancel = self.button_rects(option)
        if cancel.contains(position):
            return DownloadAction.CANCEL
        download = index.data(DownloadRole.DOWNLOAD)
        if first.contains(position):
            return main_action(download)
        if is_refused(download) and self.page_rect(option).contains(position):
            return DownloadAction.OPEN_PAGE
        return None

    def _set_hovered(self, hovered: tuple[int, DownloadAction] | None) -> None:
        if hovered != self._hovered:
            self._hovered = hovered
            is_hand = hovered is not None
            shape = Qt.CursorShape.PointingHandCursor if is_hand else Qt.CursorShape.ArrowCursor
            self._view.viewport().setCursor(shape)
            self._view.viewport().update()

    def _paint_name(self, painter: QPainter, tile: QRectF, download: Download) -> None:
        t = theme()
        share = download_text.percent(download)
        value, name = t.font("small_value"), t.font("name")
        painter.setFont(value)
        width = QFontMetricsF(value).horizontalAdvance(share)
        painter.setPen(t.color("acc"))
        right = tile.right() - _PAD
        painter.drawText(QPointF(right - width, tile.top() + _NAME_BASE), share)
        author, _, short = download.id.rpartition("/")
        metrics = QFontMetricsF(name)
        room = right - width - 12 - tile.left() - _PAD
        text = metrics.elidedText(short, Qt.TextElideMode.ElideMiddle, room)
        painter.setFont(name)
        painter.setPen(t.color("tx"))
        painter.drawText(QPointF(tile.left() + _PAD, tile.top() + _NAME_BASE), text)
        secondary = t.font("secondary")
        left = tile.left() + _PAD + metrics.horizontalAdvance(text) + 8
        small = QFontMetricsF(secondary)
        painter.setFont(secondary)
        painter.setPen(t.color("tx2"))
        if download.id in self._wanted:
            author = self.tr("then runs")
        author = small.elidedText(author, Qt.TextElideMode.ElideRight, right - width - 12 - left)
        painter.drawText(QPointF(left, tile.top() + _NAME_BASE), author)

    def _paint_bar(self, painter: QPainter, tile: QRectF, right: float, download: Download) -> None:
        t = theme()
        bar = QRectF(tile.left() + _PAD, tile.top() + _BAR_TOP, 0, _BAR_HEIGHT)
        bar.setRight(right)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.color("track"))
        painter.drawRoundedRect(bar, 3, 3)
        share = download_text.share(download) or 0.0
        if share > 0:
            moves = download.state.is_active
            bad = download.failure is not None
            painter.setBrush(t.color("bad" if bad else "fill" if moves else "other"))
            bar.setWidth(max(_BAR_HEIGHT, bar.width() * share))
            painter.drawRoundedRect(bar, 3, 3)

    def _paint_line(
        self, painter: QPainter, tile: QRectF, right: float, download: Download
    ) -> None:
        t = theme()
        font = t.font("secondary")
        room = right - tile.left() - _PAD
        text = QFontMetricsF(font).elidedText(
            download_text.line(download), Qt.TextElideMode.ElideRight, room
        )
        painter.setFont(font)
        painter.setPen(t.color("bad" if download.failure is not None else "tx2"))
        painter.drawText(QPointF(tile.left() + _PAD, tile.top() + _LINE_BASE), text)

    def _paint_button(
        self, painter: QPainter, rect: QRectF, action: DownloadAction, *, is_hot: bool
    ) -> None:
        t = theme()
        if is_hot:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.color("press"))
            painter.drawRoundedRect(rect, 6, 6)
        picture = icons.pixmap(
            _FACES[action], t.color("tx").name(), _ICON, self._view.devicePixelRatioF()
        )
        painter.drawPixmap(rect.center() - QPointF(_ICON / 2, _ICON / 2), picture)


def _paint_ground(painter: QPainter, tile: QRectF, option: QStyleOptionViewItem) -> None:
    is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
    has_focus = bool(option.state & QStyle.StateFlag.State_HasFocus)
    border = "acc" if is_chosen or has_focus else "line"
    width = 2.0 if has_focus else 1.0
    painter.setPen(QPen(theme().color(border), width))
    painter.setBrush(theme().color("card"))
    inset = width / 2
    inner = tile.adjusted(inset, inset, -inset, -inset)
    painter.drawRoundedRect(inner, 10 - inset, 10 - inset)


def _tile_rect(option: QStyleOptionViewItem) -> QRectF:
    # From the widget's width: a scroll bar that comes or goes must not change the tile's.
    rect = QRectF(option.rect)
    return QRectF(MARGIN, rect.top(), option.widget.width() - 2 * MARGIN, HEIGHT)
