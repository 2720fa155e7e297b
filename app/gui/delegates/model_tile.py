"""Paints a model as a tile and takes clicks on its Run button."""

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
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.gui import format  # noqa: A004 - the project's module of number formats
from app.gui.guarded import guarded
from app.gui.models.model_list import Role
from app.gui.theme import theme
from app.gui.widgets import icons
from app.wire.nouns import Model, ModelSource, ServerState

_Index = QModelIndex | QPersistentModelIndex
_State = QStyle.StateFlag

MARGIN: Final = 14
"""Left and right of a tile; the controls above the list use the same."""
_TILE: Final = 84.0
_GAP: Final = 8
_PAD: Final = 13.0
_NAME_BASE, _AUTHOR_BASE, _LAST_MIDDLE = 24.0, 43.0, 63.0
"""Pixels below the top of the tile: two base lines and the middle of the last line."""
_CHIP_HEIGHT, _CHIP_PAD, _CHIP_GAP = 18.0, 7.0, 6.0
_BUTTON_HEIGHT, _BUTTON_PAD, _PLAY, _PLAY_GAP = 24.0, 10.0, 10, 5.0
_PILL_HEIGHT, _DOT = 20.0, 6.0
_WARN: Final = 14


class _Look:
    """Fonts, metrics and colours of the current theme, made once and not in every paint."""

    def __init__(self) -> None:
        button = QFont(theme().font("secondary"))
        button.setWeight(QFont.Weight.Medium)
        self.fonts = {role: theme().font(role) for role in ("name", "secondary", "label")}
        self.fonts["button"] = button
        self.metrics = {role: QFontMetricsF(font) for role, font in self.fonts.items()}
        tokens = theme().tokens
        self.colours = {name: QColor(getattr(tokens, name)) for name in tokens._fields}
        self.found = QColor(tokens.acc)
        self.found.setAlphaF(0.22)

    def width(self, role: str, text: str) -> float:
        """Return the width of a text in pixels."""
        return self.metrics[role].horizontalAdvance(text)

    def base(self, role: str, middle: float) -> float:
        """Return the base line that puts the capitals of a text around `middle`."""
        return round(middle + self.metrics[role].capHeight() / 2)


class ModelTile(QStyledItemDelegate):
    """Name, size, author, chips and Run; or in place of Run what a server does with the model."""

    run_clicked = Signal(object)  # str, the model's id

    def __init__(self, parent: QAbstractItemView) -> None:
        super().__init__(parent)
        self._words: tuple[str, ...] = ()
        self._hovered = QPersistentModelIndex()
        self._pressed = QPersistentModelIndex()
        self._run_text = self.tr("Run")
        self._is_live = True
        self._look = _Look()
        theme().changed.connect(self._on_theme_changed)

    def set_words(self, words: tuple[str, ...]) -> None:
        """Mark these lower-case words in names and authors."""
        self._words = words

    def set_live(self, is_live: bool) -> None:
        """Offer nothing, and tell no states, while the engine does not answer."""
        self._is_live = is_live
        self.clear_hover()
        self._update_view()

    def can_run(self, index: _Index) -> bool:
        """Return True when the model of a row can be started from it now."""
        model = index.data(Role.MODEL)
        is_free = index.data(Role.ACTIVITY) is None
        return isinstance(model, Model) and not model.problem and is_free and self._is_live

    def clear_hover(self) -> None:
        """Forget the button under the pointer: it has left the rows."""
        self._set_hovered(QPersistentModelIndex())

    def button_rect(self, option: QStyleOptionViewItem) -> QRectF:
        """Return where the Run button of a row is, in the viewport."""
        tile = _tile_rect(option)
        text = self._look.width("button", self._run_text)
        width = round(_BUTTON_PAD + _PLAY + _PLAY_GAP + text + _BUTTON_PAD)
        left = tile.right() - _PAD - width
        return QRectF(left, tile.top() + _LAST_MIDDLE - _BUTTON_HEIGHT / 2, width, _BUTTON_HEIGHT)

    @guarded(QSize())
    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: ARG002
        return QSize(0, int(_TILE) + _GAP)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        model = index.data(Role.MODEL)
        if not isinstance(model, Model):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tile = _tile_rect(option)
        self._paint_card(painter, tile, option)
        line = tile.adjusted(_PAD, 0, -_PAD, 0)
        self._paint_name(painter, line, model)
        self._paint_author(painter, line, model)
        if model.problem:
            self._paint_problem(painter, line, model.problem)
        else:
            is_selected = bool(option.state & _State.State_Selected)
            end = self._paint_action(painter, option, index)
            self._paint_chips(painter, line, model, end=end, is_selected=is_selected)
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
        here = QPersistentModelIndex(index)
        is_on = self.can_run(index) and self.button_rect(option).contains(event.position())
        match event.type():
            case QEvent.Type.MouseMove:
                self._set_hovered(here if is_on else QPersistentModelIndex())
                return False
            case QEvent.Type.MouseButtonPress:
                self._pressed = here if is_on and _is_left(event) else QPersistentModelIndex()
                return is_on and _is_left(event)
            case QEvent.Type.MouseButtonRelease:
                was_pressed, self._pressed = self._pressed == here, QPersistentModelIndex()
                if is_on and was_pressed and _is_left(event):
                    self.run_clicked.emit(index.data(Role.MODEL).id)
                return is_on
            case QEvent.Type.MouseButtonDblClick:
                if self.can_run(index) and not is_on and _is_left(event):
                    self.run_clicked.emit(index.data(Role.MODEL).id)
                return True
            case _:
                return super().editorEvent(event, model, option, index)

    def _set_hovered(self, index: QPersistentModelIndex) -> None:
        if index == self._hovered:
            return
        self._hovered = index
        view = self.parent()
        if isinstance(view, QAbstractItemView):
            hand, arrow = Qt.CursorShape.PointingHandCursor, Qt.CursorShape.ArrowCursor
            view.viewport().setCursor(hand if index.isValid() else arrow)
            view.viewport().update()

    def _on_theme_changed(self) -> None:
        self._look = _Look()
        self._update_view()

    def _update_view(self) -> None:
        view = self.parent()
        if isinstance(view, QAbstractItemView):
            view.viewport().update()

    def _paint_card(self, painter: QPainter, tile: QRectF, option: QStyleOptionViewItem) -> None:
        colours, state = self._look.colours, option.state
        fill, border, width = colours["card"], colours["line"], 1.0
        if state & _State.State_Selected:
            fill, border = colours["accs"], colours["acc"]
            width = 2.0 if state & _State.State_HasFocus else 1.0
        elif state & _State.State_MouseOver:
            border = colours["line2"]
        inset = width / 2
        painter.setPen(QPen(border, width))
        painter.setBrush(fill)
        painter.drawRoundedRect(tile.adjusted(inset, inset, -inset, -inset), 10 - inset, 10 - inset)

    def _paint_name(self, painter: QPainter, line: QRectF, model: Model) -> None:
        size = format.file_size(model.size_bytes)
        size_width = self._look.width("secondary", size)
        base = line.top() + _NAME_BASE
        self._text(painter, QPointF(line.right() - size_width, base), size, "secondary", "tx2")
        room = line.width() - size_width - 12
        name = self._look.metrics["name"].elidedText(model.name, Qt.TextElideMode.ElideMiddle, room)
        self._found_text(painter, QPointF(line.left(), base), name, "name", "tx")

    def _paint_author(self, painter: QPainter, line: QRectF, model: Model) -> None:
        if model.source is ModelSource.DEMO:
            text = self.tr("Shows the machinery; answers make little sense")
        else:
            text = model.author or model.path
        metrics = self._look.metrics["secondary"]
        mode = Qt.TextElideMode.ElideMiddle if text == model.path else Qt.TextElideMode.ElideRight
        text = metrics.elidedText(text, mode, line.width())
        base = line.top() + _AUTHOR_BASE
        self._found_text(painter, QPointF(line.left(), base), text, "secondary", "tx2")

    def _paint_problem(self, painter: QPainter, line: QRectF, problem: str) -> None:
        look, middle = self._look, line.top() + _LAST_MIDDLE
        name = look.colours["warn"].name()
        picture = icons.pixmap("triangle-alert", name, _WARN, painter.device().devicePixelRatio())
        painter.drawPixmap(QPointF(line.left(), middle - _WARN / 2), picture)
        left = line.left() + _WARN + 6
        text = look.metrics["secondary"].elidedText(
            problem, Qt.TextElideMode.ElideRight, line.right() - left
        )
        base = look.base("secondary", middle)
        self._text(painter, QPointF(left, base), text, "secondary", "warn")

    def _paint_action(
        self, painter: QPainter, option: QStyleOptionViewItem, index: _Index
    ) -> float:
        """Paint the button or the pill at its place and return its left edge."""
        right = _tile_rect(option).right() - _PAD
        state = index.data(Role.ACTIVITY)
        if state is None:
            return self._paint_button(painter, option, index)
        return self._paint_pill(painter, option, right, *self._status(state))

    def _status(self, state: str) -> tuple[str, str, str]:
        """Return the word of a pill and the palette tokens of its ink and tint."""
        if not self._is_live:
            return self.tr("Unknown"), "tx2", "chip"
        match state:
            case ServerState.STALLED:
                return self.tr("Stalled"), "bad", "bads"
            case ServerState.BACKING_OFF:
                return self.tr("Starting again"), "warn", "warns"
            case ServerState.STARTING:
                return self.tr("Starting"), "warn", "warns"
            case _:
                return self.tr("Running"), "ok", "oks"

    def _paint_button(
        self, painter: QPainter, option: QStyleOptionViewItem, index: _Index
    ) -> float:
        look, rect = self._look, self.button_rect(option)
        fill, border, text, play = "card", "line2", "tx", "acc"
        if not self._is_live:
            text = play = "tx3"
        if self._hovered == index:
            fill = border = "fill_press" if self._pressed == index else "fill"
            text = play = "on_fill"
        painter.setPen(QPen(look.colours[border], 1))
        painter.setBrush(look.colours[fill])
        painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 6.5, 6.5)
        middle = rect.center().y()
        picture = icons.pixmap(
            "play", look.colours[play].name(), _PLAY, painter.device().devicePixelRatio()
        )
        painter.drawPixmap(QPointF(rect.left() + _BUTTON_PAD, middle - _PLAY / 2), picture)
        left = rect.left() + _BUTTON_PAD + _PLAY + _PLAY_GAP
        self._text(
            painter, QPointF(left, look.base("button", middle)), self._run_text, "button", text
        )
        return rect.left()

    def _paint_pill(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        right: float,
        text: str,
        ink: str,
        tint: str,
    ) -> float:
        look, middle = self._look, _tile_rect(option).top() + _LAST_MIDDLE
        width = 8 + _DOT + 5 + look.width("label", text) + 9
        rect = QRectF(right - width, middle - _PILL_HEIGHT / 2, width, _PILL_HEIGHT)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colours[tint])
        painter.drawRoundedRect(rect, _PILL_HEIGHT / 2, _PILL_HEIGHT / 2)
        painter.setBrush(look.colours[ink])
        painter.drawEllipse(QRectF(rect.left() + 8, middle - _DOT / 2, _DOT, _DOT))
        start = QPointF(rect.left() + 8 + _DOT + 5, look.base("label", middle))
        self._text(painter, start, text, "label", ink)
        return rect.left()

    def _paint_chips(
        self, painter: QPainter, line: QRectF, model: Model, *, end: float, is_selected: bool
    ) -> None:
        look, middle, left = self._look, line.top() + _LAST_MIDDLE, line.left()
        for number, text in enumerate(_chips(model, demo=self.tr("Demo"))):
            width = round(look.width("label", text) + 2 * _CHIP_PAD)
            if left + width > end - _CHIP_GAP:
                continue
            # The first chip stands out; on a selected tile its tint would be the tile's own.
            fill = ("card" if is_selected else "accs") if number == 0 else "chip"
            rect = QRectF(left, middle - _CHIP_HEIGHT / 2, width, _CHIP_HEIGHT)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colours[fill])
            painter.drawRoundedRect(rect, 5, 5)
            start = QPointF(left + _CHIP_PAD, look.base("label", middle))
            self._text(painter, start, text, "label", "tx2" if number else "acc")
            left += width + _CHIP_GAP

    def _text(self, painter: QPainter, start: QPointF, text: str, role: str, token: str) -> None:
        painter.setFont(self._look.fonts[role])
        painter.setPen(self._look.colours[token])
        painter.drawText(start, text)

    def _found_text(
        self, painter: QPainter, start: QPointF, text: str, role: str, token: str
    ) -> None:
        """Draw a text with the letters that were searched for on a tint."""
        self._text(painter, start, text, role, token)
        look, lower = self._look, text.lower()
        height = look.metrics[role].capHeight()
        for first, last in _spans(lower, self._words):
            left = start.x() + look.width(role, text[:first])
            width = look.width(role, text[first:last])
            rect = QRectF(left, start.y() - height - 4, width, height + 8)
            painter.save()
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.found)
            painter.drawRoundedRect(rect, 2, 2)
            painter.setClipRect(rect)
            self._text(painter, start, text, role, "tx")
            painter.restore()


def _tile_rect(option: QStyleOptionViewItem) -> QRectF:
    # From the view's width, not the row's: a scroll bar that comes or goes must not move the edge.
    width = option.widget.width() - 2 * MARGIN
    return QRectF(MARGIN, option.rect.top(), width, _TILE)


def _is_left(event: QMouseEvent) -> bool:
    return event.button() == Qt.MouseButton.LeftButton


def _chips(model: Model, *, demo: str) -> list[str]:
    texts = [demo] if model.source is ModelSource.DEMO else []
    texts.append(model.quantization or "")
    texts.append(format.parameters(model.parameters) if model.parameters else "")
    texts.append(format.family(model.family or ""))
    texts += [tag[:1].upper() + tag[1:] for tag in model.tags]
    return [text for text in texts if text]


def _spans(text: str, words: tuple[str, ...]) -> list[tuple[int, int]]:
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
