"""Paints a model as a tile and takes clicks on its button."""

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
from PySide6.QtGui import QMouseEvent, QPainter
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.gui import format as fmt
from app.gui.delegates.note_tile import note_button_rect, paint_note
from app.gui.delegates.tile_look import (
    AT_REST,
    AUTHOR_BASE,
    BUTTON_HEIGHT,
    CHIP_GAP,
    CHIP_HEIGHT,
    CHIP_PAD,
    DEAD,
    GAP,
    HOT,
    LAST_MIDDLE,
    MARGIN,
    NAME_BASE,
    PAD,
    PRESSED,
    TILE,
    Face,
    Look,
    tile_rect,
)
from app.gui.guarded import guarded
from app.gui.models.model_list import Role
from app.gui.models.model_rows import Note, Offer, Row
from app.gui.models.model_text import chips, fit_word, short_count
from app.gui.theme import theme
from app.wire.hub import Fit, HubModel, Verdict
from app.wire.nouns import Model, ModelSource, ServerState

__all__ = ["MARGIN", "ModelTile"]
_Index = QModelIndex | QPersistentModelIndex
_WARN: Final = 14
_SMALL: Final = 12
_LEADING: Final = 15
_VERDICTS: Final = {
    Verdict.FITS: ("check", "ok"),
    Verdict.TIGHT: ("triangle-alert", "warn"),
    Verdict.TOO_BIG: ("circle-x", "bad"),
}
_MAYBE: Final = ("info", "tx2")


class ModelTile(QStyledItemDelegate):
    """Name, size, author, chips and what to do; or in its place what a server does with it."""

    pressed = Signal(object)  # tuple[Offer, str]: what the button does, and the model's id
    opened = Signal(object)  # str, the model's id: a double click beside the button

    def __init__(self, parent: QAbstractItemView) -> None:
        super().__init__(parent)
        self._words: tuple[str, ...] = ()
        self._hovered = QPersistentModelIndex()
        self._pressed = QPersistentModelIndex()
        self._faces = {
            Offer.RUN: Face(self.tr("Run"), "play"),
            Offer.DOWNLOAD: Face(self.tr("Download"), "download"),
            Offer.ASK: Face(self.tr("Ask for access"), "external-link"),
            Offer.REPAIR: Face(self.tr("Repair"), "download"),
        }
        self._is_live = True
        self._look = Look()
        theme().changed.connect(self._on_theme_changed)

    def set_words(self, words: tuple[str, ...]) -> None:
        """Mark these lower-case words in names and authors."""
        self._words = words

    def set_live(self, is_live: bool) -> None:
        """Offer nothing, and tell no states, while the engine does not answer."""
        self._is_live = is_live
        self.clear_hover()
        self._update_view()

    def offer_at(self, index: _Index) -> Offer:
        """Return what the button of a row does now; NOTHING where there is none to press."""
        row = index.data(Role.ROW)
        if not isinstance(row, Row) or row.offer is Offer.WAIT:
            return Offer.NOTHING
        needs_engine = row.offer in (Offer.RUN, Offer.DOWNLOAD, Offer.REPAIR)
        return row.offer if self._is_live or not needs_engine else Offer.NOTHING

    def clear_hover(self) -> None:
        """Forget the button under the pointer: it has left the rows."""
        self._set_hovered(QPersistentModelIndex())

    def button_rect(self, option: QStyleOptionViewItem, index: _Index) -> QRectF:
        """Return where the button of a row is, in the viewport; empty where it has none."""
        row = index.data(Role.ROW)
        return self._button_rect(option, row) if isinstance(row, Row) else QRectF()

    @guarded(QSize())
    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: ARG002
        return QSize(0, int(TILE) + GAP)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        row = index.data(Role.ROW)
        if not isinstance(row, Row):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if isinstance(row.item, Note):
            paint_note(painter, self._look, option, row.kind, row.item)
            if row.item.button:
                self._paint_button(painter, option, index, row)
        else:
            self._paint_model(painter, option, index, row, row.item)
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
        offer = self.offer_at(index)
        is_on = offer is not Offer.NOTHING and self.button_rect(option, index).contains(
            event.position()
        )
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
                    self.pressed.emit((offer, index.data(Role.ROW).id))
                return is_on
            case QEvent.Type.MouseButtonDblClick:
                row = index.data(Role.ROW)
                if not is_on and _is_left(event) and row.id:
                    self.opened.emit(row.id)
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
        self._look = Look()
        self._update_view()

    def _update_view(self) -> None:
        view = self.parent()
        if isinstance(view, QAbstractItemView):
            view.viewport().update()

    def _button_rect(self, option: QStyleOptionViewItem, row: Row) -> QRectF:
        if isinstance(row.item, Note):
            return note_button_rect(self._look, option, row.item) if row.item.button else QRectF()
        face = self._faces.get(row.offer)
        if face is None:
            return QRectF()
        tile, width = tile_rect(option), self._look.button_width(face)
        top = tile.top() + LAST_MIDDLE - BUTTON_HEIGHT / 2
        return QRectF(tile.right() - PAD - width, top, width, BUTTON_HEIGHT)

    def _paint_model(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: _Index,
        row: Row,
        item: Model | HubModel,
    ) -> None:
        tile = tile_rect(option)
        self._look.card(painter, tile, option)
        line = tile.adjusted(PAD, 0, -PAD, 0)
        self._paint_name(painter, line, row, item)
        end = self._paint_fit(painter, line, index.data(Role.FIT))
        self._paint_author(painter, line, item, line.right() - end)
        if row.installed is not None and row.installed.problem and row.activity is None:
            end = line.right()
            if row.offer is Offer.REPAIR:
                end = self._paint_button(painter, option, index, row) - 10
            self._paint_fault(painter, line, row.installed.problem, end)
            return
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        left = self._paint_action(painter, option, index, row)
        self._paint_chips(painter, line, item, end=left, is_selected=is_selected)

    def _paint_name(
        self, painter: QPainter, line: QRectF, row: Row, item: Model | HubModel
    ) -> None:
        look, base = self._look, line.top() + NAME_BASE
        size = fmt.file_size(row.size_bytes)
        right = line.right() - look.width("secondary", size)
        look.text(painter, QPointF(right, base), size, "secondary", "tx2")
        if isinstance(item, HubModel) and item.gated:
            right -= _SMALL + 6
            icon = "lock" if item.must_ask else "lock-open"
            look.icon(painter, right, base - 4, icon, _SMALL, "tx2")
        name = look.elided("name", item.name, right - line.left() - 12, middle=True)
        look.found_text(painter, QPointF(line.left(), base), name, "name", "tx", self._words)

    def _paint_author(
        self, painter: QPainter, line: QRectF, item: Model | HubModel, right: float
    ) -> None:
        look, start = self._look, QPointF(line.left(), line.top() + AUTHOR_BASE)
        is_path = False
        if isinstance(item, HubModel):
            text = item.author
        elif item.source is ModelSource.DEMO:
            text = self.tr("Shows the machinery; answers make little sense")
        else:
            text, is_path = item.author or item.path, not item.author
        text = look.elided("secondary", text, right - start.x(), middle=is_path)
        look.found_text(painter, start, text, "secondary", "tx2", self._words)
        if isinstance(item, HubModel):
            left = start.x() + look.width("secondary", text) + 10
            self._paint_counts(painter, left, right, start.y(), item)

    def _paint_counts(
        self, painter: QPainter, left: float, right: float, base: float, model: HubModel
    ) -> None:
        look = self._look
        for icon, count in (("download", model.downloads), ("heart", model.likes)):
            text = short_count(count)
            width = _SMALL + 3 + look.width("secondary", text)
            if left + width > right:
                return
            look.icon(painter, left, base - 4, icon, _SMALL, "tx3")
            look.text(painter, QPointF(left + _SMALL + 3, base), text, "secondary", "tx2")
            left += width + 9

    def _paint_fit(self, painter: QPainter, line: QRectF, fit: Fit | None) -> float:
        """Paint a verdict at the right of the second line and return the room that it takes."""
        text = fit_word(fit) if fit is not None else ""
        if fit is None or not text:
            return 0.0
        look, base = self._look, line.top() + AUTHOR_BASE
        icon, token = _VERDICTS.get(fit.verdict, _MAYBE)
        width = look.width("secondary", text)
        left = line.right() - width
        look.text(painter, QPointF(left, base), text, "secondary", token)
        look.icon(painter, left - _SMALL - 4, base - 4, icon, _SMALL, token)
        return width + _SMALL + 12

    def _paint_fault(self, painter: QPainter, line: QRectF, fault: str, end: float) -> None:
        look, middle, left = self._look, line.top() + LAST_MIDDLE, line.left() + _WARN + 6
        look.icon(painter, line.left(), middle, "triangle-alert", _WARN, "warn")
        texts = look.lines("secondary", fault, end - left)
        middle -= (len(texts) - 1) * _LEADING / 2
        for number, text in enumerate(texts):
            base = look.base("secondary", middle + number * _LEADING)
            look.text(painter, QPointF(left, base), text, "secondary", "warn")

    def _paint_action(
        self, painter: QPainter, option: QStyleOptionViewItem, index: _Index, row: Row
    ) -> float:
        """Paint the button or the pill at its place and return its left edge."""
        tile = tile_rect(option)
        right, middle = tile.right() - PAD, tile.top() + LAST_MIDDLE
        if row.activity is not None:
            text, *inks = self._status(row.activity)
            return self._look.pill(painter, right, middle, text, (inks[0], inks[1]))
        if row.offer is Offer.WAIT:
            return self._look.pill(painter, right, middle, self.tr("Asking…"), ("tx2", "chip"))
        if row.offer is Offer.NOTHING:
            text = self.tr("Unsupported")
            return self._look.pill(painter, right, middle, text, ("tx2", "chip"))
        return self._paint_button(painter, option, index, row)

    def _status(self, state: ServerState) -> tuple[str, str, str]:
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
        self, painter: QPainter, option: QStyleOptionViewItem, index: _Index, row: Row
    ) -> float:
        rect = self._button_rect(option, row)
        note = row.item
        face = Face(note.button) if isinstance(note, Note) else self._faces[row.offer]
        colours = AT_REST if self.offer_at(index) is not Offer.NOTHING else DEAD
        if self._hovered == index:
            colours = PRESSED if self._pressed == index else HOT
        self._look.button(painter, rect, face, colours)
        return rect.left()

    def _paint_chips(
        self,
        painter: QPainter,
        line: QRectF,
        item: Model | HubModel,
        *,
        end: float,
        is_selected: bool,
    ) -> None:
        look, middle, left = self._look, line.top() + LAST_MIDDLE, line.left()
        for number, text in enumerate(chips(item)):
            width = round(look.width("label", text) + 2 * CHIP_PAD)
            if left + width > end - CHIP_GAP:
                continue
            # The first chip stands out; on a selected tile its tint would be the tile's own.
            fill = ("card" if is_selected else "accs") if number == 0 else "chip"
            rect = QRectF(left, middle - CHIP_HEIGHT / 2, width, CHIP_HEIGHT)
            look.chip(painter, rect, text, ("tx2" if number else "acc", fill))
            left += width + CHIP_GAP


def _is_left(event: QMouseEvent) -> bool:
    return event.button() == Qt.MouseButton.LeftButton
