"""How a profile looks as a row in the picker's lists."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QPainter

from app.gui.models.profile_list import FAULT_ROLE, MODEL_ROLE, NOTE_ROLE
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.list_row import PAD, ListRow, write_elided

_ICON = 14


class ProfileRow(ListRow):
    """Name above model, with what its server does or would take at the right.

    A profile with a mistake shows a warning in place of the model.
    """

    def write(
        self,
        painter: QPainter,
        index: QModelIndex | QPersistentModelIndex,
        lines: tuple[QRect, QRect],
        *,
        is_chosen: bool,
    ) -> None:
        """Write the name and the note above, the model or the mistake below."""
        colours, (top, second) = theme(), lines
        name, fault = str(index.data()), str(index.data(FAULT_ROLE))
        if note := str(index.data(NOTE_ROLE)):
            painter.setFont(colours.font("label"))
            width = painter.fontMetrics().horizontalAdvance(note)
            painter.setPen(colours.color("on_fill" if is_chosen else "tx2"))
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(top, side, note)
            top.setRight(top.right() - width - PAD)
        painter.setFont(colours.font("name"))
        painter.setPen(colours.color("on_fill" if is_chosen else "tx"))
        write_elided(painter, top, name)
        ink = "on_fill" if is_chosen else ("warn" if fault else "tx2")
        if fault:
            scale = painter.device().devicePixelRatioF()
            mark = icons.pixmap("triangle-alert", colours.color(ink).name(), _ICON, scale)
            painter.drawPixmap(second.left(), second.top() + 1, mark)
            second.setLeft(second.left() + _ICON + 6)
        painter.setFont(colours.font("secondary"))
        painter.setPen(colours.color(ink))
        write_elided(painter, second, fault or str(index.data(MODEL_ROLE)))
