"""A row of a pop-up list: two lines, on a tint when it is chosen."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.gui.guarded import guarded
from app.gui.theme import theme

ROW_HEIGHT = 44
PAD = 12
_CHOSEN = QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver


class ListRow(QStyledItemDelegate):
    """Paints the ground of a row; subclasses write the two lines."""

    @guarded(None)
    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        row = QRect(option.rect)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType] - not in the stubs
        state = QStyle.StateFlag(option.state)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType] - not in the stubs
        is_chosen = bool(state & _CHOSEN)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if is_chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().color("fill"))
            painter.drawRoundedRect(row.adjusted(4, 1, -4, -1), 6, 6)
        room = row.adjusted(PAD, 5, -PAD, -5)
        top = QRect(room.left(), room.top(), room.width(), 18)
        second = QRect(room.left(), room.top() + 18, room.width(), 16)
        self.write(painter, index, (top, second), is_chosen=is_chosen)
        painter.restore()

    def write(
        self,
        painter: QPainter,
        index: QModelIndex | QPersistentModelIndex,
        lines: tuple[QRect, QRect],
        *,
        is_chosen: bool,
    ) -> None:
        """Write the upper and the lower line into their rooms."""
        raise NotImplementedError

    @guarded(QSize(0, ROW_HEIGHT))
    def sizeHint(
        self,
        option: QStyleOptionViewItem,  # noqa: ARG002 - Qt's signature
        index: QModelIndex | QPersistentModelIndex,  # noqa: ARG002 - Qt's signature
    ) -> QSize:
        return QSize(0, ROW_HEIGHT)


def write_elided(painter: QPainter, room: QRect, text: str) -> None:
    """Write a text in the painter's font and ink, without its middle where the room is short."""
    metrics = QFontMetrics(painter.font())
    short = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, room.width())
    painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, short)
