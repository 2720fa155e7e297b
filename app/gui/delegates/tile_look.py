"""Fonts, colours and the small drawings that the tiles of the model list share."""

from collections.abc import Callable
from typing import Final, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from app.gui.theme import theme
from app.gui.widgets import icons

_State = QStyle.StateFlag

MARGIN: Final = 14
"""Left and right of a tile; the controls above the list use the same."""
TILE: Final = 84.0
GAP: Final = 8
PAD: Final = 13.0
NAME_BASE, AUTHOR_BASE, LAST_MIDDLE = 24.0, 43.0, 63.0
"""Pixels below the top of the tile: two base lines and the middle of the last line."""
CHIP_HEIGHT, CHIP_PAD, CHIP_GAP = 18.0, 7.0, 6.0
BUTTON_HEIGHT: Final = 24.0
AT_REST, HOT, PRESSED, DEAD = (
    ("card", "line2", "tx", "acc"),
    ("fill", "fill", "on_fill", "on_fill"),
    ("fill_press", "fill_press", "on_fill", "on_fill"),
    ("card", "line2", "tx3", "tx3"),
)
"""Colours of a button: the tokens of fill, border, text and icon."""
_BUTTON_PAD, _BUTTON_ICON, _BUTTON_GAP = 10.0, 12, 5.0
_PLAY: Final = 10
"""Filled shapes look bigger than outlines."""
_PILL_HEIGHT, _DOT = 20.0, 6.0
_MOST_WIDTHS: Final = 4_000
_MOST_PICTURES: Final = 400


class Face(NamedTuple):
    """What a button in a tile looks like."""

    text: str
    icon: str = ""


class Look:
    """Fonts, metrics and colours of the current theme, made once and not in every paint."""

    def __init__(self) -> None:
        button = QFont(theme().font("secondary"))
        button.setWeight(QFont.Weight.Medium)
        self.fonts = {role: theme().font(role) for role in ("tile", "name", "secondary", "label")}
        self.fonts["button"] = button
        self.metrics = {role: QFontMetricsF(font) for role, font in self.fonts.items()}
        tokens = theme().tokens
        self.colours = {name: QColor(getattr(tokens, name)) for name in tokens._fields}
        self.found = QColor(tokens.acc)
        self.found.setAlphaF(0.22)
        self._widths: dict[tuple[str, str], float] = {}
        self._pictures: dict[tuple[object, ...], QPixmap] = {}

    def width(self, role: str, text: str) -> float:
        """Return the width of a text in pixels."""
        width = self._widths.get((role, text))
        if width is None:
            if len(self._widths) > _MOST_WIDTHS:
                self._widths.clear()
            width = self._widths[role, text] = self.metrics[role].horizontalAdvance(text)
        return width

    def base(self, role: str, middle: float) -> float:
        """Return the base line that puts the capitals of a text around `middle`."""
        return round(middle + self.metrics[role].capHeight() / 2)

    def elided(self, role: str, text: str, room: float, *, middle: bool = False) -> str:
        """Return a text that is no wider than `room`."""
        if self.width(role, text) <= room:
            return text
        mode = Qt.TextElideMode.ElideMiddle if middle else Qt.TextElideMode.ElideRight
        return self.metrics[role].elidedText(text, mode, room)

    def lines(self, role: str, text: str, room: float) -> tuple[str, ...]:
        """Return a text as one line, or as two of which the second is no wider than `room`."""
        words = text.split(" ")
        count = len(words)
        while count > 1 and self.metrics[role].horizontalAdvance(" ".join(words[:count])) > room:
            count -= 1
        parts = (" ".join(words[:count]), " ".join(words[count:]))
        return tuple(self.elided(role, part, room) for part in parts if part)

    def text(self, painter: QPainter, start: QPointF, text: str, role: str, token: str) -> None:
        """Draw a text from the left end of its base line."""
        painter.setFont(self.fonts[role])
        painter.setPen(self.colours[token])
        painter.drawText(start, text)

    def icon(
        self, painter: QPainter, left: float, middle: float, name: str, size: int, token: str
    ) -> None:
        """Draw an icon whose middle is at `middle`."""
        picture = icons.pixmap(
            name, self.colours[token].name(), size, painter.device().devicePixelRatio()
        )
        painter.drawPixmap(QPointF(round(left), round(middle - size / 2)), picture)

    def found_text(
        self,
        painter: QPainter,
        start: QPointF,
        text: str,
        role: str,
        token: str,
        words: tuple[str, ...],
    ) -> None:
        """Draw a text with the letters that were searched for on a tint."""
        spots = spans(text.lower(), words) if words else []
        height = self.metrics[role].capHeight()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.found)
        for first, last in spots:
            left = start.x() + self.width(role, text[:first])
            width = self.width(role, text[first:last])
            painter.drawRoundedRect(QRectF(left, start.y() - height - 4, width, height + 8), 2, 2)
        self.text(painter, start, text, role, "tx" if spots else token)

    def card(self, painter: QPainter, tile: QRectF, option: QStyleOptionViewItem) -> None:
        """Draw the ground of a tile: plain, hovered, selected, focused."""
        state = option.state
        fill, border, width = "card", "line", 1.0
        if state & _State.State_Selected:
            fill, border = "accs", "acc"
            width = 2.0 if state & _State.State_HasFocus else 1.0
        elif state & _State.State_MouseOver:
            border = "line2"
        inset = width / 2

        def draw(canvas: QPainter, frame: QRectF) -> None:
            canvas.setPen(QPen(self.colours[border], width))
            canvas.setBrush(self.colours[fill])
            inner = frame.adjusted(inset, inset, -inset, -inset)
            canvas.drawRoundedRect(inner, 10 - inset, 10 - inset)

        self._picture(painter, tile, ("card", fill, border, width), draw)

    def chip(self, painter: QPainter, rect: QRectF, text: str, inks: tuple[str, str]) -> None:
        """Draw a word on a small rounded ground; inks: the tokens of text and ground."""

        def draw(canvas: QPainter, frame: QRectF) -> None:
            canvas.setPen(Qt.PenStyle.NoPen)
            canvas.setBrush(self.colours[inks[1]])
            canvas.drawRoundedRect(frame, 5, 5)
            start = QPointF(CHIP_PAD, self.base("label", frame.center().y()))
            self.text(canvas, start, text, "label", inks[0])

        self._picture(painter, rect, ("chip", text, inks), draw)

    def _picture(
        self,
        painter: QPainter,
        rect: QRectF,
        key: tuple[object, ...],
        draw: Callable[[QPainter, QRectF], None],
    ) -> None:
        """Draw what looks the same in many rows; drawn once for each size and scale.

        Drawing it anew in each of them is most of what a list costs to paint. The place is on
        whole pixels, so that the picture is as sharp as the drawing.
        """
        scale = painter.device().devicePixelRatio()
        whole = (*key, rect.width(), rect.height(), scale)
        picture = self._pictures.get(whole)
        if picture is None:
            if len(self._pictures) > _MOST_PICTURES:
                self._pictures.clear()
            picture = QPixmap(round(rect.width() * scale), round(rect.height() * scale))
            picture.setDevicePixelRatio(scale)
            picture.fill(Qt.GlobalColor.transparent)
            canvas = QPainter(picture)
            canvas.setRenderHint(QPainter.RenderHint.Antialiasing)
            draw(canvas, QRectF(0, 0, rect.width(), rect.height()))
            canvas.end()
            self._pictures[whole] = picture
        painter.drawPixmap(rect.topLeft(), picture)

    def button_width(self, face: Face) -> float:
        """Return how wide a button is."""
        icon = _icon_size(face) + _BUTTON_GAP if face.icon else 0
        return round(_BUTTON_PAD + icon + self.width("button", face.text) + _BUTTON_PAD)

    def button(self, painter: QPainter, rect: QRectF, face: Face, colours: tuple[str, ...]) -> None:
        """Draw a button; colours: the tokens of fill, border, text and icon."""
        fill, border, text, icon = colours

        def draw(canvas: QPainter, frame: QRectF) -> None:
            canvas.setPen(QPen(self.colours[border], 1))
            canvas.setBrush(self.colours[fill])
            canvas.drawRoundedRect(frame.adjusted(0.5, 0.5, -0.5, -0.5), 6.5, 6.5)
            middle, left = frame.center().y(), _BUTTON_PAD
            if face.icon:
                size = _icon_size(face)
                self.icon(canvas, left, middle, face.icon, size, icon)
                left += size + _BUTTON_GAP
            self.text(canvas, QPointF(left, self.base("button", middle)), face.text, "button", text)

        self._picture(painter, rect, ("button", face, colours), draw)

    def pill(
        self, painter: QPainter, right: float, middle: float, text: str, inks: tuple[str, str]
    ) -> float:
        """Draw a state as a word with a dot, and return its left edge; inks: text and ground."""
        width = 8 + _DOT + 5 + self.width("label", text) + 9
        rect = QRectF(right - width, middle - _PILL_HEIGHT / 2, width, _PILL_HEIGHT)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.colours[inks[1]])
        painter.drawRoundedRect(rect, _PILL_HEIGHT / 2, _PILL_HEIGHT / 2)
        painter.setBrush(self.colours[inks[0]])
        painter.drawEllipse(QRectF(rect.left() + 8, middle - _DOT / 2, _DOT, _DOT))
        start = QPointF(rect.left() + 8 + _DOT + 5, self.base("label", middle))
        self.text(painter, start, text, "label", inks[0])
        return rect.left()


def tile_rect(option: QStyleOptionViewItem) -> QRectF:
    """Return where the tile of a row is, in the viewport."""
    # From the view's width, not the row's: a scroll bar that comes or goes must not move the edge.
    width = option.widget.width() - 2 * MARGIN
    return QRectF(MARGIN, option.rect.top(), width, TILE)


def spans(text: str, words: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return where the words occur, merged and in order."""
    found: list[tuple[int, int]] = []
    for word in words:
        at = text.find(word)
        while at >= 0:
            found.append((at, at + len(word)))
            at = text.find(word, at + len(word))
    merged: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _icon_size(face: Face) -> int:
    return _PLAY if face.icon == "play" else _BUTTON_ICON
