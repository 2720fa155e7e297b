"""How an entry of the command palette looks."""

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.gui.guarded import guarded
from app.gui.models.palette_list import ENTRY_ROLE, PLACES_ROLE, PaletteEntry
from app.gui.theme import theme
from app.gui.widgets import icons

HEIGHT: Final = 36
_SIDE: Final = 6.0
_PAD: Final = 12.0
_ICON: Final = 16
_GAP: Final = 10.0
_KEY_PAD: Final = 6.0
_KEY_HEIGHT: Final = 18.0
_Index = QModelIndex | QPersistentModelIndex


class PaletteRow(QStyledItemDelegate):
    """Icon, title with the letters that were typed, what it belongs to, and its keys."""

    @guarded(QSize(0, HEIGHT))
    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: ARG002
        return QSize(0, HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        entry = index.data(ENTRY_ROLE)
        if not isinstance(entry, PaletteEntry):
            return
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        row = QRectF(option.rect).adjusted(_SIDE, 1, -_SIDE, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if is_chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().color("fill"))
            painter.drawRoundedRect(row, 7, 7)
        ink = theme().color("on_fill" if is_chosen else "tx2")
        middle = row.center().y()
        picture = icons.pixmap(entry.icon, ink.name(), _ICON, painter.device().devicePixelRatio())
        painter.drawPixmap(QPointF(row.left() + _PAD, middle - _ICON / 2), picture)
        right = self._paint_keys(painter, row, entry.keys, is_chosen=is_chosen)
        left = row.left() + _PAD + _ICON + _GAP
        left = self._paint_title(painter, left, right, middle, index, is_chosen=is_chosen)
        self._paint_detail(painter, left + _GAP, right, middle, entry.detail, is_chosen=is_chosen)
        painter.restore()

    def _paint_keys(self, painter: QPainter, row: QRectF, keys: str, *, is_chosen: bool) -> float:
        """Paint the keys at the right end and return where the room for the texts ends."""
        right = row.right() - _PAD
        if not keys:
            return right
        font = theme().font("label")
        metrics = QFontMetricsF(font)
        width = metrics.horizontalAdvance(keys) + 2 * _KEY_PAD
        box = QRectF(right - width, row.center().y() - _KEY_HEIGHT / 2, width, _KEY_HEIGHT)
        if not is_chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().color("chip"))
            painter.drawRoundedRect(box, 4, 4)
        painter.setFont(font)
        painter.setPen(theme().color("on_fill" if is_chosen else "tx2"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, keys)
        return box.left() - _GAP

    def _paint_title(
        self,
        painter: QPainter,
        left: float,
        right: float,
        middle: float,
        index: _Index,
        *,
        is_chosen: bool,
    ) -> float:
        plain, strong = theme().font("body"), QFont(theme().font("body"))
        strong.setWeight(QFont.Weight.Bold)
        room = max(0.0, right - left)
        text = QFontMetricsF(strong).elidedText(
            str(index.data()), Qt.TextElideMode.ElideMiddle, room
        )
        is_whole = text == str(index.data())
        places = frozenset(index.data(PLACES_ROLE)) if is_whole else frozenset[int]()
        base = round(middle + QFontMetricsF(plain).capHeight() / 2)
        for run, is_found in _runs(text, places):
            font = strong if is_found else plain
            painter.setFont(font)
            token = "on_fill" if is_chosen else "acc" if is_found else "tx"
            painter.setPen(theme().color(token))
            painter.drawText(QPointF(left, base), run)
            left += QFontMetricsF(font).horizontalAdvance(run)
        return left

    def _paint_detail(
        self,
        painter: QPainter,
        left: float,
        right: float,
        middle: float,
        text: str,
        *,
        is_chosen: bool,
    ) -> None:
        font = theme().font("secondary")
        metrics = QFontMetricsF(font)
        room = right - left
        if room < metrics.averageCharWidth() * 5:
            return
        painter.setFont(font)
        painter.setPen(theme().color("on_fill" if is_chosen else "tx2"))
        short = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)
        painter.drawText(QPointF(left, round(middle + metrics.capHeight() / 2)), short)


def _runs(text: str, places: frozenset[int]) -> list[tuple[str, bool]]:
    """Return a text in parts that are found, or not, throughout."""
    runs: list[tuple[str, bool]] = []
    for number, letter in enumerate(text):
        is_found = number in places
        if runs and runs[-1][1] == is_found:
            runs[-1] = (runs[-1][0] + letter, is_found)
        else:
            runs.append((letter, is_found))
    return runs
