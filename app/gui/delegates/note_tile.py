"""Paints the rows of the model list that are no models: titles, states, and what comes next."""

from typing import Final

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyleOptionViewItem

from app.gui.delegates.tile_look import (
    AUTHOR_BASE,
    BUTTON_HEIGHT,
    LAST_MIDDLE,
    NAME_BASE,
    PAD,
    Face,
    Look,
    tile_rect,
)
from app.gui.models.model_rows import Note, RowKind

_ICON: Final = 16
_TITLE_BASE, _COUNT_BASE = 54.0, 74.0
_LINE: Final = 16.0


def note_button_rect(look: Look, option: QStyleOptionViewItem, note: Note) -> QRectF:
    """Return where the button of a note is, in the viewport."""
    tile = tile_rect(option)
    width = look.button_width(Face(note.button))
    return QRectF(
        tile.right() - PAD - width,
        tile.top() + LAST_MIDDLE - BUTTON_HEIGHT / 2,
        width,
        BUTTON_HEIGHT,
    )


def paint_note(
    painter: QPainter, look: Look, option: QStyleOptionViewItem, kind: RowKind, note: Note
) -> None:
    """Draw everything of a note but its button."""
    tile = tile_rect(option)
    if kind is RowKind.HEADER:
        _paint_header(painter, look, tile, note)
    elif note.button or note.icon:
        look.card(painter, tile, option)
        _paint_card(painter, look, tile, note)
    else:
        text = look.elided("secondary", note.title, tile.width())
        left = tile.center().x() - look.width("secondary", text) / 2
        base = look.base("secondary", tile.center().y())
        look.text(painter, QPointF(round(left), base), text, "secondary", "tx2")


def _paint_header(painter: QPainter, look: Look, tile: QRectF, note: Note) -> None:
    left, top = tile.left() + 2, tile.top()
    look.text(painter, QPointF(left, top + _TITLE_BASE), note.title, "tile", "tx")
    text = look.elided("secondary", note.text, tile.width() - 4)
    look.text(painter, QPointF(left, top + _COUNT_BASE), text, "secondary", "tx2")


def _paint_card(painter: QPainter, look: Look, tile: QRectF, note: Note) -> None:
    left, right = tile.left() + PAD, tile.right() - PAD
    if note.icon:
        token = "warn" if note.is_bad else "tx2"
        look.icon(painter, left, tile.top() + NAME_BASE - 5, note.icon, _ICON, token)
        left += _ICON + 8
    title = look.elided("name", note.title, right - left)
    look.text(painter, QPointF(left, tile.top() + NAME_BASE), title, "name", "tx")
    room = right - left
    first, second = _two_lines(look, note.text, room, room - _room_for_button(look, note))
    for number, line in enumerate((first, second)):
        base = tile.top() + AUTHOR_BASE + number * _LINE + number
        look.text(painter, QPointF(left, base), line, "secondary", "tx2")


def _room_for_button(look: Look, note: Note) -> float:
    return look.button_width(Face(note.button)) + 10 if note.button else 0.0


def _two_lines(look: Look, text: str, first_room: float, second_room: float) -> tuple[str, str]:
    """Return a text broken at a blank; the second line is elided."""
    words = text.split()
    count = len(words)
    while count > 1 and look.width("secondary", " ".join(words[:count])) > first_room:
        count -= 1
    first = look.elided("secondary", " ".join(words[:count]), first_room)
    return first, look.elided("secondary", " ".join(words[count:]), second_room)
