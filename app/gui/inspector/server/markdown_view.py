"""Shows Markdown as high as it is, without loading anything; links open after a click only."""

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import (
    QColor,
    QDesktopServices,
    QFontDatabase,
    QPalette,
    QResizeEvent,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme

_SCHEMES = ("http", "https")
_CODE_PIXELS = 12
_LARGE_HEADINGS = 2
"""Levels that are a step larger than text; all are bold. Markdown's own sizes suit a whole page."""
_GAP = 8
_INDENT = 18
_PICTURE = "\N{OBJECT REPLACEMENT CHARACTER}"


class MarkdownView(QTextBrowser):
    """Read-only, selectable text. HTML in it stays text; pictures are never fetched."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source = ""
        self.setObjectName("markdownView")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDocumentMargin(0)
        self.document().setIndentWidth(_INDENT)
        self.document().setDefaultFont(theme().font("body"))
        self.viewport().setAutoFillBackground(False)
        self.anchorClicked.connect(_open)
        theme().changed.connect(self._dress)
        self._dress()

    def show_markdown(self, source: str) -> None:
        """Show another text; what of it is selected stays selected."""
        if source == self._source:
            return
        self._source = source
        cursor = self.textCursor()
        anchor, place = cursor.anchor(), cursor.position()
        features = QTextDocument.MarkdownFeature
        self.document().setMarkdown(
            source, features.MarkdownDialectGitHub | features.MarkdownNoHTML
        )
        self._dress_blocks()
        if anchor != place:
            last = self.document().characterCount() - 1
            cursor = self.textCursor()
            cursor.setPosition(min(anchor, last))
            cursor.setPosition(min(place, last), QTextCursor.MoveMode.KeepAnchor)
            self.setTextCursor(cursor)
        self._fit()

    def loadResource(self, type: int, name: QUrl | str) -> object:  # noqa: A002, ARG002 - Qt's names
        return None

    def wheelEvent(self, event: QWheelEvent) -> None:
        # The page scrolls, this never does.
        event.ignore()

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit()

    def _fit(self) -> None:
        self.document().setTextWidth(self.viewport().width())
        height = max(1, round(self.document().size().height() + 0.5))
        if height != self.height():
            self.setFixedHeight(height)

    def _dress_blocks(self) -> None:
        """Give every paragraph its space, headings and code their letters; drop the pictures."""
        self._name_pictures()
        block, is_first, was_code = self.document().begin(), True, False
        while block.isValid():
            style = block.blockFormat()
            is_code = style.hasProperty(QTextFormat.Property.BlockCodeFence)
            is_code = is_code or style.nonBreakableLines()
            is_item = bool(block.textList())
            new = QTextBlockFormat()
            gap = 2 if is_item else 0 if is_code and was_code else _GAP
            new.setTopMargin(0 if is_first else gap)
            new.setBottomMargin(0)
            cursor = QTextCursor(block)
            if is_code:
                new.setNonBreakableLines(False)
                new.setBackground(theme().color("trough" if theme().is_dark else "chip"))
                self._set_letters(cursor, _code_letters())
            elif style.headingLevel():
                self._set_letters(cursor, _heading_letters(style.headingLevel()))
            cursor.mergeBlockFormat(new)
            block, is_first, was_code = block.next(), False, is_code

    def _set_letters(self, cursor: QTextCursor, letters: QTextCharFormat) -> None:
        cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock)
        cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
        cursor.mergeCharFormat(letters)

    def _name_pictures(self) -> None:
        """Put a link in the place of each picture, which is never loaded."""
        cursor = self.document().find(_PICTURE)
        while not cursor.isNull():
            style = cursor.charFormat()
            if style.isImageFormat():
                picture = style.toImageFormat()
                link = QTextCharFormat()
                link.setAnchor(True)
                link.setAnchorHref(picture.name())
                link.setForeground(theme().color("acc"))
                text = str(picture.property(QTextFormat.Property.ImageAltText) or "")
                cursor.insertText(text or self.tr("picture"), link)
            cursor = self.document().find(_PICTURE, cursor)

    def _dress(self) -> None:
        t = theme()
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Base, QColor(0, 0, 0, 0))
        palette.setColor(QPalette.ColorRole.Text, t.color("tx"))
        palette.setColor(QPalette.ColorRole.Link, t.color("acc"))
        palette.setColor(QPalette.ColorRole.Highlight, t.color("fill"))
        palette.setColor(QPalette.ColorRole.HighlightedText, t.color("on_fill"))
        self.setPalette(palette)
        source, self._source = self._source, ""
        self.show_markdown(source)


def _code_letters() -> QTextCharFormat:
    letters = QTextCharFormat()
    letters.setFontFamilies(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).families())
    letters.setProperty(QTextFormat.Property.FontPixelSize, _CODE_PIXELS)
    return letters


def _heading_letters(level: int) -> QTextCharFormat:
    letters = QTextCharFormat()
    step = 1 if level <= _LARGE_HEADINGS else 0
    letters.setProperty(QTextFormat.Property.FontSizeAdjustment, step)
    return letters


def _open(url: QUrl) -> None:
    if url.scheme() in _SCHEMES:
        QDesktopServices.openUrl(url)
