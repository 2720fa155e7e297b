"""How a profile looks as a row in the picker's lists."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.gui.guarded import guarded
from app.gui.models.profile_list import FAULT_ROLE, MODEL_ROLE, NOTE_ROLE
from app.gui.theme import theme
from app.gui.widgets import icons

ROW_HEIGHT = 44
_PAD = 12
_ICON = 14


class ProfileRow(QStyledItemDelegate):
    """Name above model, with what its server does or would take at the right.

    A profile with a mistake shows a warning in place of the model.
    """

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        colours = theme()
        row = QRect(option.rect)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType] - not in the stubs
        state = QStyle.StateFlag(option.state)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType] - not in the stubs
        is_chosen = bool(
            state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver)
        )
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if is_chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.color("fill"))
            painter.drawRoundedRect(row.adjusted(4, 1, -4, -1), 6, 6)
        room = row.adjusted(_PAD, 5, -_PAD, -5)
        name, fault = str(index.data()), str(index.data(FAULT_ROLE))
        top = QRect(room.left(), room.top(), room.width(), 18)
        if note := str(index.data(NOTE_ROLE)):
            painter.setFont(colours.font("label"))
            width = painter.fontMetrics().horizontalAdvance(note)
            painter.setPen(colours.color("on_fill" if is_chosen else "tx2"))
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(top, side, note)
            top.setRight(top.right() - width - _PAD)
        painter.setFont(colours.font("name"))
        painter.setPen(colours.color("on_fill" if is_chosen else "tx"))
        _draw(painter, top, name, Qt.TextElideMode.ElideMiddle)

        second = QRect(room.left(), room.top() + 18, room.width(), 16)
        ink = "on_fill" if is_chosen else ("warn" if fault else "tx2")
        if fault:
            scale = painter.device().devicePixelRatioF()
            colour = colours.color(ink).name()
            mark = icons.pixmap("triangle-alert", colour, _ICON, scale)
            painter.drawPixmap(second.left(), second.top() + 1, mark)
            second.setLeft(second.left() + _ICON + 6)
        painter.setFont(colours.font("secondary"))
        painter.setPen(colours.color(ink))
        _draw(painter, second, fault or str(index.data(MODEL_ROLE)), Qt.TextElideMode.ElideMiddle)
        painter.restore()

    @guarded(QSize(0, ROW_HEIGHT))
    def sizeHint(
        self,
        option: QStyleOptionViewItem,  # noqa: ARG002 - Qt's signature
        index: QModelIndex | QPersistentModelIndex,  # noqa: ARG002 - Qt's signature
    ) -> QSize:
        return QSize(0, ROW_HEIGHT)


def _draw(painter: QPainter, room: QRect, text: str, elide: Qt.TextElideMode) -> None:
    short = QFontMetrics(painter.font()).elidedText(text, elide, room.width())
    painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, short)
