"""Shows the lines of a log: only those in sight are read and painted, however many there are."""

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from app.gui.guarded import guarded
from app.gui.inspector.server.log_text import ERROR, WARNING, LogText, Spot, matches_in
from app.gui.inspector.server.log_words import parts_of
from app.gui.theme import theme

_FONT_PIXELS = 12
_LEADING = 5
_LEFT = 12
_GAP = 10
_LONGEST = 4000
"""Characters of a line that are painted; nobody reads more by scrolling sideways."""
_WHEEL_LINES = 3


class LogLines(QAbstractScrollArea):
    """A LogText as rows: time, then what happened. Rows can be selected and copied.

    While it follows, it stays at the end; scrolling up ends that, scrolling to the end resumes.
    """

    following_changed = Signal(object)  # bool

    def __init__(self, text: LogText, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("logLines")
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Log"))
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self._text = text
        self._font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        self._font.setPixelSize(_FONT_PIXELS)
        self._bold = QFont(self._font)
        self._bold.setBold(True)
        metrics = QFontMetrics(self._font)
        self._height = metrics.height() + _LEADING
        self._ascent = metrics.ascent() + _LEADING // 2
        self._time_width = metrics.horizontalAdvance("00:00:00")
        self._widest = 0
        self._follows = True
        self._anchor: int | None = None
        self._focus: int | None = None
        self._words = ""
        self._spot: Spot | None = None
        self.painted_rows = 0
        """Rows of the last painting."""
        bar = self.verticalScrollBar()
        bar.setSingleStep(self._height * _WHEEL_LINES)
        bar.actionTriggered.connect(self._on_user_scroll)
        bar.valueChanged.connect(self.viewport().update)
        self.horizontalScrollBar().setSingleStep(24)
        self.horizontalScrollBar().valueChanged.connect(self.viewport().update)
        theme().changed.connect(self.viewport().update)

    @property
    def follows(self) -> bool:
        """True while it stays at the end."""
        return self._follows

    def set_follows(self, follows: bool) -> None:
        """Stay at the end from now on, or no more."""
        if follows != self._follows:
            self._follows = follows
            self.following_changed.emit(follows)
        if follows:
            self._to_end()

    def renew(self) -> None:
        """Show another text, or the same one through another filter."""
        self._anchor = self._focus = None
        self._widest = 0
        self._measure()
        if self._follows:
            self._to_end()
        self.viewport().update()

    def add_before(self, rows: int) -> None:
        """Take notice of rows before all others; what is in sight stays where it is."""
        if self._anchor is not None and self._focus is not None:
            self._anchor, self._focus = self._anchor + rows, self._focus + rows
        value = self.verticalScrollBar().value()
        self._measure()
        if self._follows:
            self._to_end()
        else:
            self.verticalScrollBar().setValue(value + rows * self._height)
        self.viewport().update()

    def add_behind(self) -> None:
        """Take notice of rows behind all others."""
        self._measure()
        if self._follows:
            self._to_end()
        self.viewport().update()

    def mark(self, words: str, spot: Spot | None) -> None:
        """Highlight `words` wherever they are, and the one at `spot` above all."""
        self._words, self._spot = words, spot
        self.viewport().update()

    def top_row(self) -> int:
        """Return the first row in sight."""
        return self.verticalScrollBar().value() // self._height

    def show_row(self, row: int) -> None:
        """Bring a row into sight, a third from the top unless it is in sight already."""
        top = row * self._height
        bar = self.verticalScrollBar()
        if not bar.value() <= top <= bar.value() + self.viewport().height() - self._height:
            bar.setValue(top - self.viewport().height() // 3)
        self._settle_following()

    def selected_text(self) -> str:
        """Return the selected rows; empty when none is."""
        if self._anchor is None or self._focus is None:
            return ""
        return self._text.join(*sorted((self._anchor, self._focus)))

    def visible_texts(self) -> list[str]:
        """Return the lines in sight as they are in the log."""
        return [self._text.text(row) for row in range(*self._rows_in_sight())]

    def select_all(self) -> None:
        """Select every row."""
        if len(self._text):
            self._anchor, self._focus = 0, len(self._text) - 1
            self.viewport().update()

    def copy(self) -> None:
        """Put the selected rows on the clipboard."""
        if text := self.selected_text():
            QGuiApplication.clipboard().setText(text)

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(360, 300)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        bar, key = self.verticalScrollBar(), event.key()
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif key == Qt.Key.Key_Home:
            self._scroll(bar.SliderAction.SliderToMinimum)
        elif key == Qt.Key.Key_End:
            self._scroll(bar.SliderAction.SliderToMaximum)
        elif key == Qt.Key.Key_PageUp:
            self._scroll(bar.SliderAction.SliderPageStepSub)
        elif key in (Qt.Key.Key_PageDown, Qt.Key.Key_Space):
            self._scroll(bar.SliderAction.SliderPageStepAdd)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        row = self._row_at(event.position().toPoint())
        extends = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if row is None:
            self._anchor = self._focus = None
        elif extends and self._anchor is not None:
            self._focus = row
        else:
            self._anchor = self._focus = row
        self.viewport().update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and self._anchor is not None:
            place = event.position().toPoint()
            bar = self.verticalScrollBar()
            if not 0 <= place.y() < self.viewport().height():
                bar.setValue(bar.value() + (self._height if place.y() > 0 else -self._height))
                self._settle_following()
            row = self._row_at(place)
            self._focus = row if row is not None else self._focus
            self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._measure()
        if self._follows:
            self._to_end()

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme()
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), t.color("field"))
        painter.setFont(self._font)
        first, last = self._rows_in_sight()
        offset = self.verticalScrollBar().value()
        left = _LEFT - self.horizontalScrollBar().value()
        selected = range(0)
        if self._anchor is not None and self._focus is not None:
            low, high = sorted((self._anchor, self._focus))
            selected = range(low, high + 1)
        current = -1
        if self._spot is not None and self._text.is_shown(self._spot.block, self._spot.line):
            current = self._text.row_of(self._spot.block, self._spot.line)
        for row in range(first, last):
            place = QPoint(left, row * self._height - offset)
            ground = "accs" if row in selected else "warns" if row == current else ""
            if ground:
                painter.fillRect(
                    QRect(0, place.y(), self.viewport().width(), self._height), t.color(ground)
                )
            self._paint_row(painter, row, place, is_current=row == current)
        self.painted_rows = max(0, last - first)
        if self._widest + _LEFT * 2 > self.horizontalScrollBar().maximum() + self._page_width():
            self._measure_width()

    def _paint_row(self, painter: QPainter, row: int, place: QPoint, *, is_current: bool) -> None:
        t = theme()
        level = self._text.level(row)
        line = parts_of(self._text.text(row)[:_LONGEST])
        base = place.y() + self._ascent
        x = place.x()
        painter.setPen(t.color("tx3" if not is_current else "tx2"))
        painter.drawText(x, base, line.time)
        x += self._time_width + _GAP
        if line.level:
            ink = t.color("bad" if level == ERROR else "warn")
            painter.setPen(ink)
            painter.setFont(self._bold)
            painter.drawText(x, base, line.level)
            x += painter.fontMetrics().horizontalAdvance(line.level + " ")
            painter.setFont(self._font)
        metrics = painter.fontMetrics()
        for begin, end in matches_in(line.text, self._words):
            left = x + metrics.horizontalAdvance(line.text[:begin])
            width = metrics.horizontalAdvance(line.text[begin:end])
            box = QRect(left - 1, place.y() + 1, width + 2, self._height - 2)
            painter.fillRect(box, self._match_ground(is_current))
        painter.setPen(t.color({ERROR: "bad", WARNING: "warn"}.get(level, "tx")))
        painter.drawText(x, base, line.text)
        end = x - place.x() + metrics.horizontalAdvance(line.text)
        self._widest = max(self._widest, end)

    def _match_ground(self, is_current: bool) -> QColor:
        colour = theme().color("warn" if is_current else "acc")
        colour.setAlphaF(0.42 if is_current else 0.24)
        return colour

    def _rows_in_sight(self) -> tuple[int, int]:
        first = self.top_row()
        count = self.viewport().height() // self._height + 2
        return first, min(len(self._text), first + count)

    def _row_at(self, place: QPoint) -> int | None:
        row = (place.y() + self.verticalScrollBar().value()) // self._height
        return row if 0 <= row < len(self._text) else None

    def _measure(self) -> None:
        bar, page = self.verticalScrollBar(), self.viewport().height()
        bar.setPageStep(max(self._height, page - self._height))
        bar.setRange(0, max(0, len(self._text) * self._height - page + 6))
        self._measure_width()

    def _measure_width(self) -> None:
        bar = self.horizontalScrollBar()
        bar.setPageStep(self._page_width())
        bar.setRange(0, max(0, self._widest + 2 * _LEFT - self._page_width()))

    def _page_width(self) -> int:
        return self.viewport().width()

    def _to_end(self) -> None:
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _scroll(self, action: object) -> None:
        self.verticalScrollBar().triggerAction(action)  # pyright: ignore[reportArgumentType] - an enum
        self._settle_following()

    def _on_user_scroll(self, _action: int) -> None:
        bar = self.verticalScrollBar()
        follows = bar.sliderPosition() >= bar.maximum() - 1
        if follows != self._follows:
            self._follows = follows
            self.following_changed.emit(follows)

    def _settle_following(self) -> None:
        bar = self.verticalScrollBar()
        follows = bar.value() >= bar.maximum() - 1
        if follows != self._follows:
            self._follows = follows
            self.following_changed.emit(follows)
