"""Paints a download as a tile with its bar and takes clicks on its two buttons."""

from enum import Enum
from typing import Final

from PySide6.QtCore import (
    QAbstractItemModel,
    QCoreApplication,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter
from PySide6.QtWidgets import QAbstractItemView, QStyledItemDelegate, QStyleOptionViewItem

from app.gui.delegates.tile_look import (
    AT_REST,
    AUTHOR_BASE,
    BUTTON_HEIGHT,
    HOT,
    LAST_MIDDLE,
    Face,
    Look,
)
from app.gui.guarded import guarded
from app.gui.models import download_text
from app.gui.models.download_list import DownloadRole
from app.gui.theme import theme
from app.gui.widgets import icons
from app.wire.errors import ErrorCode
from app.wire.nouns import Download, DownloadState, Failure

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
    LOG_IN = "log_in"
    """The setting for the token of the hub."""
    FREE_SPACE = "free_space"
    """The settings of the model folder, with what can be cleared there."""


_FACES: Final = {
    DownloadAction.PAUSE: "pause",
    DownloadAction.RESUME: "play",
    DownloadAction.RETRY: "rotate-cw",
    DownloadAction.CANCEL: "x",
}
_REMEDIES: Final = {
    ErrorCode.TOKEN_NEEDED: (DownloadAction.LOG_IN, "Add token…"),
    ErrorCode.REPO_NOT_FOUND: (DownloadAction.LOG_IN, "Add token…"),
    ErrorCode.ACCESS_NEEDED: (DownloadAction.OPEN_PAGE, "Ask for access"),
    ErrorCode.DISK_FULL: (DownloadAction.FREE_SPACE, "Free up space…"),
    ErrorCode.STORE_FAILED: (DownloadAction.FREE_SPACE, "Model folder…"),
}
"""What leads out of a failure, and the words for it; without one there is another try."""
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


def remedy(failure: Failure) -> tuple[DownloadAction, str]:
    """Return what leads out of a failure, and what its button says."""
    action, text = _REMEDIES.get(failure.code, (DownloadAction.RETRY, "Try again"))
    return action, QCoreApplication.translate("DownloadTile", text)


def small_buttons(download: Download) -> list[DownloadAction]:
    """Return what the small buttons of a download do, from the left."""
    main = main_action(download)
    if download.failure is not None and remedy(download.failure)[0] is main:
        return [DownloadAction.CANCEL]
    first = [DownloadAction.PAUSE] if download.state is DownloadState.WAITING else []
    return [*first, main, DownloadAction.CANCEL]


class DownloadTile(QStyledItemDelegate):
    """Name, share, bar and a line that says how it goes; or why it does not, and the way out."""

    pressed = Signal(object)  # tuple[DownloadAction, str]: what, and the download's id

    def __init__(self, parent: QAbstractItemView) -> None:
        super().__init__(parent)
        self._view = parent
        self._hovered: tuple[int, DownloadAction] | None = None
        self._wanted: frozenset[str] = frozenset()
        self._look = Look()
        theme().changed.connect(self._on_theme_changed)

    def button_rects(
        self, option: QStyleOptionViewItem, download: Download
    ) -> dict[DownloadAction, QRectF]:
        """Return where the buttons of a download are, in the viewport, from the left."""
        tile = _tile_rect(option)
        right, failure = tile.right() - _PAD + 5, download.failure
        top = tile.top() + (6 if failure is not None else (HEIGHT - _BUTTON) / 2 + 6)
        actions = small_buttons(download)
        rects = {
            action: QRectF(right - _BUTTON - place * (_BUTTON + 2), top, _BUTTON, _BUTTON)
            for place, action in enumerate(reversed(actions))
        }
        found = {action: rects[action] for action in actions}
        if failure is not None:
            action, text = remedy(failure)
            width = self._look.button_width(Face(text))
            top = tile.top() + LAST_MIDDLE - BUTTON_HEIGHT / 2
            found[action] = QRectF(tile.right() - _PAD - width, top, width, BUTTON_HEIGHT)
        return found

    def _on_theme_changed(self) -> None:
        self._look = Look()
        self._view.viewport().update()

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
        self._look.card(painter, tile, option)
        rects = self.button_rects(option, download)
        if download.failure is not None:
            self._paint_name(painter, tile, download, right=min(r.left() for r in rects.values()))
            self._paint_failure(
                painter, tile, rects, download.failure, download_text.line(download)
            )
            action, text = remedy(download.failure)
            inks = HOT if self._hovered == (index.row(), action) else AT_REST
            self._look.button(painter, rects[action], Face(text), inks)
        else:
            self._paint_name(painter, tile, download, right=tile.right() - _PAD)
            right = min(rect.left() for rect in rects.values()) - 12
            self._paint_bar(painter, tile, right, download)
            self._paint_line(painter, tile, right, download)
        for action in small_buttons(download):
            is_hot = self._hovered == (index.row(), action)
            self._paint_button(painter, rects[action], action, is_hot=is_hot)
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
        download = index.data(DownloadRole.DOWNLOAD)
        rects = self.button_rects(option, download)
        return next((action for action, rect in rects.items() if rect.contains(position)), None)

    def _set_hovered(self, hovered: tuple[int, DownloadAction] | None) -> None:
        if hovered != self._hovered:
            self._hovered = hovered
            is_hand = hovered is not None
            shape = Qt.CursorShape.PointingHandCursor if is_hand else Qt.CursorShape.ArrowCursor
            self._view.viewport().setCursor(shape)
            self._view.viewport().update()

    def _paint_name(
        self, painter: QPainter, tile: QRectF, download: Download, *, right: float
    ) -> None:
        t = theme()
        share = download_text.percent(download)
        value, name = t.font("small_value"), t.font("name")
        painter.setFont(value)
        width = QFontMetricsF(value).horizontalAdvance(share)
        painter.setPen(t.color("acc"))
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
        if download.revision != "main":
            author = f"{author} · {download.revision}"
        if download.id in self._wanted:
            author = self.tr("then runs")
        author = small.elidedText(author, Qt.TextElideMode.ElideRight, right - width - 12 - left)
        painter.drawText(QPointF(left, tile.top() + _NAME_BASE), author)

    def _paint_failure(
        self,
        painter: QPainter,
        tile: QRectF,
        rects: dict[DownloadAction, QRectF],
        failure: Failure,
        line: str,
    ) -> None:
        look, left = self._look, tile.left() + _PAD
        line = look.elided("secondary", line, tile.width() - 2 * _PAD)
        look.text(painter, QPointF(left, tile.top() + AUTHOR_BASE), line, "secondary", "bad")
        room = rects[remedy(failure)[0]].left() - 12 - left
        hint = look.elided("secondary", failure.hint, room)
        base = look.base("secondary", tile.top() + LAST_MIDDLE)
        look.text(painter, QPointF(left, base), hint, "secondary", "tx2")

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


def _tile_rect(option: QStyleOptionViewItem) -> QRectF:
    # From the widget's width: a scroll bar that comes or goes must not change the tile's.
    rect = QRectF(option.rect)
    return QRectF(MARGIN, rect.top(), option.widget.width() - 2 * MARGIN, HEIGHT)
