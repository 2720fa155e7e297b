"""Markdown by strangers as text: it loads nothing, runs nothing and comes piece by piece."""

from collections.abc import Sequence
from typing import Final, cast

from PySide6.QtCore import QSize, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QFont,
    QFontDatabase,
    QResizeEvent,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextLength,
    QTextList,
    QTextOption,
    QTextTable,
    QTextTableCellFormat,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme

_FEATURES: Final = (
    QTextDocument.MarkdownFeature.MarkdownDialectGitHub
    | QTextDocument.MarkdownFeature.MarkdownNoHTML
)
_PIXELS: Final = {1: 17, 2: 15, 3: 13}
"""Text size by level of heading; deeper ones have the size of the text."""
_CODE_PIXELS: Final = 12
_PAD: Final = 14
_LEADING: Final = 125
"""Percent of the font's own line height."""
_INDENT: Final = 20
_QUOTE = QTextFormat.Property.BlockQuoteLevel
_ADJUSTMENT = QTextFormat.Property.FontSizeAdjustment


class CardView(QTextBrowser):
    """As high as its text, so that the page around it scrolls; the text can be selected."""

    link_clicked = Signal(object)  # str, as it stands in the text
    finished = Signal()
    """All pieces are there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("cardView")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setUndoRedoEnabled(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        self.document().setDocumentMargin(_PAD)
        self.document().setDefaultFont(_font("secondary", 13))
        self.document().setIndentWidth(_INDENT)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.anchorClicked.connect(self._on_anchor)
        self.highlighted.connect(self._on_hovered)
        self._pieces: list[tuple[str, bool]] = []
        self._next = 0
        self._end = 0
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._add_piece)
        theme().changed.connect(self._begin_again)

    def show_pieces(self, pieces: Sequence[tuple[str, bool]], *, count: int) -> None:
        """Show the first `count` pieces, a piece with each turn of the event loop.

        pieces: Markdown without HTML and pictures, or True and code that is shown as it is.
        """
        self._pieces = list(pieces)
        self._next, self._end = 0, min(count, len(self._pieces))
        self.clear()
        self._timer.start()

    def show_more(self, count: int) -> None:
        """Show `count` more pieces."""
        self._end = min(self._end + count, len(self._pieces))
        self._timer.start()

    @property
    def has_more(self) -> bool:
        """True while pieces are left that `show_more` would show."""
        return self._end < len(self._pieces)

    @property
    def is_busy(self) -> bool:
        """True while pieces are still to come."""
        return self._timer.isActive()

    @guarded(None)
    def loadResource(self, kind: int, name: QUrl | str) -> None:  # noqa: ARG002 - Qt's signature
        # Nothing that a card names is ever fetched, from the network or from this disk.
        return

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(0, self.height())

    def wheelEvent(self, e: QWheelEvent) -> None:
        # The page scrolls, not the text in it.
        e.ignore()

    def resizeEvent(self, e: QResizeEvent) -> None:
        # Qt lays the whole text out again at every event, and a new height changes nothing in it.
        if e.size().width() != e.oldSize().width():
            super().resizeEvent(e)
            self._fit()

    def _add_piece(self) -> None:
        if self._next >= self._end:
            self._timer.stop()
            self.finished.emit()
            return
        text, is_code = self._pieces[self._next]
        self._next += 1
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.beginEditBlock()
        if is_code:
            _insert_code(cursor, text)
        else:
            if not cursor.atBlockStart():
                cursor.insertBlock(QTextBlockFormat(), QTextCharFormat())
            first = cursor.block()
            cursor.insertMarkdown(text, _FEATURES)
            # Tables are known only when the change is complete.
            cursor.endEditBlock()
            cursor.beginEditBlock()
            _dress(first)
            # Behind a frame Qt leaves the block empty that the text was to go into.
            _shrink(first)
        cursor.endEditBlock()

    def _fit(self) -> None:
        height = round(self.document().size().height())
        if height != self.height():
            self.setFixedHeight(height)

    def _begin_again(self) -> None:
        self.show_pieces(self._pieces, count=self._end)

    def _on_anchor(self, url: QUrl) -> None:
        self.link_clicked.emit(url.toString())

    def _on_hovered(self, url: QUrl) -> None:
        self.viewport().setToolTip(url.toString()[:300])


def _font(role: str, pixels: int) -> QFont:
    font = QFont(theme().font(role))
    font.setPixelSize(pixels)
    return font


def _insert_code(cursor: QTextCursor, text: str) -> None:
    box = QTextFrameFormat()
    box.setBackground(theme().color("chip"))
    box.setPadding(8)
    box.setTopMargin(2)
    box.setBottomMargin(8)
    box.setBorder(0)
    cursor.insertFrame(box)
    look = QTextCharFormat()
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(_CODE_PIXELS)
    look.setFont(font)
    cursor.insertText(text, look)
    cursor.movePosition(QTextCursor.MoveOperation.End)
    _shrink(cursor.block())


def _shrink(block: QTextBlock) -> None:
    """Make the empty block that a frame or a table leaves behind it take no room."""
    if not block.text():
        shape = QTextBlockFormat()
        shape.setLineHeight(1, QTextBlockFormat.LineHeightTypes.FixedHeight.value)
        QTextCursor(block).setBlockFormat(shape)


def _dress(block: QTextBlock) -> None:
    """Give a block and all after it the looks of the app."""
    tables: set[int] = set()
    was_table = False
    while block.isValid():
        table = cast("QTextTable | None", QTextCursor(block).currentTable())
        if table is None:
            _dress_block(block, is_after_table=was_table)
        elif table.objectIndex() not in tables:
            tables.add(table.objectIndex())
            _dress_table(table)
        was_table = table is not None
        block = block.next()


def _dress_block(block: QTextBlock, *, is_after_table: bool) -> None:
    cursor = QTextCursor(block)
    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
    shape = block.blockFormat()
    level = shape.headingLevel()
    quote = shape.intProperty(_QUOTE)
    above = 14 if level and block.blockNumber() else 0
    shape.setTopMargin(max(above, 10 if is_after_table else 0))
    shape.setBottomMargin(3 if _is_item(block) and _is_item(block.next()) else 8)
    shape.setLineHeight(_LEADING, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    if quote:
        shape.setLeftMargin(_PAD * quote)
    cursor.setBlockFormat(shape)
    if level:
        _dress_heading(block, _font("tile", _PIXELS.get(level, _PIXELS[3])))
    elif quote:
        look = QTextCharFormat()
        look.setForeground(theme().color("tx2"))
        cursor.mergeCharFormat(look)


def _is_item(block: QTextBlock) -> bool:
    """Return True for an item of a list."""
    return block.isValid() and cast("QTextList | None", block.textList()) is not None


def _dress_heading(block: QTextBlock, font: QFont) -> None:
    parts: list[tuple[int, int, QTextCharFormat]] = []
    at = block.begin()
    while not at.atEnd():
        fragment = at.fragment()
        parts.append((fragment.position(), fragment.length(), fragment.charFormat()))
        at += 1
    for position, length, look in parts:
        # While this is there, Qt takes the size from the document's font.
        look.clearProperty(_ADJUSTMENT)
        look.setFont(font)
        cursor = QTextCursor(block)
        cursor.setPosition(position)
        cursor.setPosition(position + length, QTextCursor.MoveMode.KeepAnchor)
        cursor.setCharFormat(look)


def _dress_table(table: QTextTable) -> None:
    edge = QTextTableCellFormat()
    edge.setBorder(0.5)
    edge.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    edge.setBorderBrush(theme().color("line2"))
    edge.setPadding(5)
    for row in range(table.rows()):
        for column in range(table.columns()):
            table.cellAt(row, column).setFormat(edge)
    look = table.format()
    look.setBorder(0)
    look.setBorderCollapse(True)
    look.setCellSpacing(0)
    look.setTopMargin(4)
    look.setBottomMargin(10)
    look.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
    table.setFormat(look)
