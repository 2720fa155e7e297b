"""The strip that says who uses the machine's memory, and how much is left."""

from PySide6.QtCore import QEvent, QLineF, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.gui import format as fmt
from app.gui.mirror import Mirror
from app.gui.panels.memory_legend import SWATCH, SWATCH_GAP, VALUE_GAP, LegendItem, legend
from app.gui.panels.memory_shares import FOREIGN, Growth, Preview, Share, growth_of, shares_of
from app.gui.theme import theme
from app.wire.fit import rounded_down

HEIGHT = 70
_GIB = 2**30
_PAD = 16
_NAME_ROOM = 120
"""Pixels for the name of another computer."""
_TITLE_TOP = 9
_BAR_TOP = 31
_BAR_HEIGHT = 8
_LEGEND_TOP = 46
_LEAST_COMING = 6
_HATCH = 5
"""Pixels between two strokes of what is not used yet."""


class MemoryStrip(QWidget):
    """A stacked bar over the physical memory with a legend; one colour per server for its life."""

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._colours: dict[str, int] = {}
        self._shares: list[Share] = []
        self._growth: list[Growth] = []
        self._preview: Preview | None = None
        self._total = 0.0
        self._limit: float | None = None
        self._title = ""
        self._shown: object = None
        """What decides whether there is something to paint."""
        self._hovered: tuple[str, int | None] | None = None
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.refresh()

    def shares(self) -> list[Share]:
        """Return what the strip shows: servers in order of appearance, then other apps."""
        return self._shares

    def total_text(self) -> str:
        """Return how much of the memory is in use, such as `32.5 of 64 GB`."""
        if not self._total:
            return ""
        used, total = self._used() / _GIB, self._total / _GIB
        whole = f"{total:.0f}" if abs(total - round(total)) < 0.05 else f"{total:.1f}"
        if self._preview is None:
            return self.tr("{used} of {total} GB").format(used=f"{used:.1f}", total=whole)
        used += self._preview.needed_bytes / _GIB
        text = self.tr("With {name}: {used} of {total} GB")
        return text.format(name=self._preview.name, used=f"{used:.1f}", total=whole)

    def _used(self) -> float:
        return sum(share.used_bytes or 0.0 for share in self._shares)

    def growth(self) -> list[Growth]:
        """Return what servers are about to take beside what they have."""
        return self._growth

    def preview(self) -> Preview | None:
        """Return the server that is shown as if it ran."""
        return self._preview

    def show_preview(self, preview: Preview | None) -> None:
        """Show a server as if it ran, hatched behind all that is used; None ends that."""
        if preview != self._preview:
            self._preview = preview
            self.update()

    def colour_index(self, server_id: str) -> int:
        """Return the number of a server's colour: the lowest that was free when it came."""
        if server_id not in self._colours:
            taken = set(self._colours.values())
            self._colours[server_id] = next(n for n in range(len(taken) + 1) if n not in taken)
        return self._colours[server_id]

    def forget(self, server_id: str) -> None:
        """Free the colour of a server that was removed."""
        self._colours.pop(server_id, None)
        self.refresh()

    def refresh(self) -> None:
        """Take the figures from the mirror; repaint only when something that is shown differs."""
        mirror = self._mirror
        machine = None if mirror.engine is None else mirror.engine.machine
        sample = mirror.machine
        has_gpu = machine is not None and machine.has_gpu
        title = self.tr("Unified memory") if has_gpu else self.tr("Memory")
        if mirror.place:
            name = QFontMetrics(theme().font("label")).elidedText(
                mirror.place, Qt.TextElideMode.ElideMiddle, _NAME_ROOM
            )
            title = self.tr("{} of {}").format(title, name)
        limit = None if machine is None else rounded_down(machine.gpu_limit_bytes or 0)
        total = 0.0 if sample is None else float(rounded_down(sample.memory_total_bytes))
        names: list[tuple[str, float | None, int]] = [
            (server.name, mirror.series[server.id].latest("memory_bytes"),
             self.colour_index(server.id))
            for server in mirror.servers.values()
            if server.state.has_process
        ]  # fmt: skip
        foreign = sum(server.memory_bytes or 0 for server in mirror.foreign.values())
        if foreign:
            names.append((self.tr("Other model servers"), float(foreign), FOREIGN))
        used = 0.0 if sample is None else float(sample.memory_used_bytes)
        shares = shares_of(names, used, self.tr("Other apps")) if sample is not None else []
        self._growth = growth_of(mirror, self.colour_index) if sample is not None else []
        before = self._shown
        self._title, self._shares, self._total, self._limit = title, shares, total, limit
        self._shown = (
            [(s.name, s.text, s.colour) for s in shares],
            [(g.name, fmt.memory_text(g.size_bytes)) for g in self._growth],
            total, limit, title, mirror.is_stale,
        )  # fmt: skip
        if self._shown != before:
            self._speak()
            self.update()

    def _speak(self) -> None:
        self.setAccessibleName(f"{self._title}: {self.total_text() or fmt.UNKNOWN}")
        self.setAccessibleDescription(
            ", ".join(f"{share.name} {share.text}" for share in self._shares)
        )

    def _colour(self, share: Share) -> QColor:
        if share.colour is None or self._mirror.is_stale:
            return theme().color("other")
        if share.colour == FOREIGN:
            return theme().color("tx3")
        return theme().server_colour(share.colour)

    def _bar(self) -> QRectF:
        return QRectF(_PAD, _BAR_TOP, self.width() - 2 * _PAD, _BAR_HEIGHT)

    def _segments(self) -> list[tuple[Share, QRectF]]:
        bar = self._bar()
        left, result = bar.left(), list[tuple[Share, QRectF]]()
        for share in self._shares:
            part = (share.used_bytes or 0.0) / self._total if self._total else 0.0
            width = bar.width() * part
            result.append((share, QRectF(left, bar.top(), width, bar.height())))
            left += width
        return result

    def _coming(self) -> list[tuple[QColor, QRectF]]:
        """Return colour and place of what is not used yet: growth, then the previewed server."""
        bar, result = self._bar(), list[tuple[QColor, QRectF]]()
        left = bar.left() + (bar.width() * self._used() / self._total if self._total else 0.0)
        parts = [(theme().server_colour(g.colour), g.size_bytes) for g in self._growth]
        if self._preview is not None:
            ink = "bad" if self._preview.is_too_big else "acc"
            parts.append((theme().color(ink), self._preview.needed_bytes))
        for colour, size in parts:
            width = bar.width() * size / self._total if self._total else 0.0
            room = min(width, bar.right() - left)
            # What is beyond the end is still to be seen.
            start = min(left, bar.right() - _LEAST_COMING)
            end = max(start + _LEAST_COMING, left + room)
            result.append((colour, QRectF(start, bar.top(), end - start, bar.height())))
            left += width
        return result

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(colours.color("line"))
        painter.setBrush(colours.color("card"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 10, 10)
        self._paint_head(painter)
        self._paint_bar(painter)
        self._paint_legend(painter)

    def _paint_head(self, painter: QPainter) -> None:
        row = QRectF(_PAD, _TITLE_TOP, self.width() - 2 * _PAD, 16)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setFont(theme().font("label"))
        painter.setPen(theme().color("tx2"))
        painter.drawText(row, middle, self._title)
        painter.setFont(theme().font("small_value"))
        is_too_big = self._preview is not None and self._preview.is_too_big
        painter.setPen(theme().color("bad" if is_too_big else self._ink()))
        room = row.width() - QFontMetrics(theme().font("label")).horizontalAdvance(self._title) - 24
        text = painter.fontMetrics().elidedText(
            self.total_text(), Qt.TextElideMode.ElideMiddle, round(room)
        )
        painter.drawText(row, middle | Qt.AlignmentFlag.AlignRight, text)

    def _paint_bar(self, painter: QPainter) -> None:
        colours, bar = theme(), self._bar()
        painter.save()
        clip = QPainterPath()
        clip.addRoundedRect(bar, _BAR_HEIGHT / 2, _BAR_HEIGHT / 2)
        painter.setClipPath(clip)
        painter.fillRect(bar, colours.color("trough"))
        for share, segment in self._segments():
            colour = self._colour(share)
            if self._hovered is not None and share.key != self._hovered:
                colour.setAlphaF(0.35)
            # A pixel of the card between two segments, so that neighbours part without colour.
            painter.fillRect(segment.adjusted(0, 0, -1 if segment.width() > 3 else 0, 0), colour)
        for colour, segment in self._coming():
            _hatch(painter, segment, colour)
        painter.restore()
        if self._limit and self._total and self._limit < self._total:
            left = round(bar.left() + bar.width() * self._limit / self._total)
            painter.fillRect(
                QRectF(left, bar.top() - 3, 1.5, bar.height() + 6), colours.color("tx2")
            )

    def _paint_legend(self, painter: QPainter) -> None:
        colours = theme()
        name_font, value_font = colours.font("secondary"), colours.font("secondary_strong")
        middle = Qt.AlignmentFlag.AlignVCenter
        for item in self._legend():
            left = item.left
            if item.share is not None:
                swatch = QRectF(left, _LEGEND_TOP + (16 - SWATCH) / 2, SWATCH, SWATCH)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self._colour(item.share))
                painter.drawRoundedRect(swatch, 2, 2)
                left += SWATCH + SWATCH_GAP
            painter.setFont(name_font)
            painter.setPen(colours.color("tx2"))
            painter.drawText(QRectF(left, _LEGEND_TOP, item.width, 16), middle, item.name)
            if item.value:
                left += QFontMetrics(name_font).horizontalAdvance(item.name) + VALUE_GAP
                painter.setFont(value_font)
                painter.setPen(colours.color(self._ink()))
                painter.drawText(QRectF(left, _LEGEND_TOP, item.width, 16), middle, item.value)

    def _ink(self) -> str:
        return "tx3" if self._mirror.is_stale else "tx"

    def legend_texts(self) -> list[str]:
        """Return the legend as it is painted, from the left."""
        return [f"{item.name} {item.value}".strip() for item in self._legend()]

    def _legend(self) -> list[LegendItem]:
        return legend(self._shares, float(_PAD), self.width() - 2 * _PAD)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self._hover(event.position())

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def _set_hovered(self, share: Share | None) -> None:
        key = None if share is None else share.key
        if key != self._hovered:
            self._hovered = key
            self.update()

    def _hover(self, where: QPointF) -> None:
        share = self._share_at(where)
        self._set_hovered(share)
        tip = self._tip(share, where)
        place = self.mapToGlobal(QPoint(round(where.x()), _BAR_TOP + _BAR_HEIGHT))
        if tip:
            QToolTip.showText(place, tip, self)
        else:
            QToolTip.hideText()

    def _share_at(self, where: QPointF) -> Share | None:
        if abs(where.y() - (_BAR_TOP + _BAR_HEIGHT / 2)) <= _BAR_HEIGHT:
            for share, segment in self._segments():
                if segment.left() <= where.x() < segment.right():
                    return share
        if where.y() >= _LEGEND_TOP:
            for item in self._legend():
                if item.left <= where.x() < item.left + item.width:
                    return item.share
        return None

    def _tip(self, share: Share | None, where: QPointF) -> str:
        if share is not None:
            return f"{share.name}: {share.text}"
        for growth, (_, segment) in zip(self._growth, self._coming(), strict=False):
            if segment.adjusted(0, -6, 0, 6).contains(where):
                text = self.tr("{name} may take {size} more")
                size = fmt.memory_text(growth.size_bytes)
                return text.format(name=growth.name, size=size)
        bar = self._bar()
        on_bar = bar.adjusted(0, -6, 0, 6).contains(where)
        if on_bar and self._total:
            free = max(0.0, self._total - sum(s.used_bytes or 0.0 for s in self._shares))
            lines = [self.tr("Free: {size}").format(size=fmt.memory_text(free))]
            if self._limit:
                size = fmt.memory_text(self._limit)
                lines.append(self.tr("The GPU can use up to {size}").format(size=size))
            return "\n".join(lines)
        hidden = [s for s in self._shares if all(i.share is not s for i in self._legend())]
        if hidden and where.y() >= _LEGEND_TOP:
            return "\n".join(f"{s.name}: {s.text}" for s in hidden)
        return ""


def _hatch(painter: QPainter, segment: QRectF, colour: QColor) -> None:
    """Paint what is not there yet: its colour in strokes on a tint."""
    painter.save()
    painter.setClipRect(segment, Qt.ClipOperation.IntersectClip)
    tint = QColor(colour)
    tint.setAlphaF(0.22)
    painter.fillRect(segment, tint)
    painter.setPen(QPen(colour, 1.5))
    height = segment.height()
    strokes: list[QLineF] = []
    x = segment.left() - height
    while x < segment.right():
        strokes.append(QLineF(x, segment.bottom(), x + height, segment.top()))
        x += _HATCH
    painter.drawLines(strokes)
    painter.restore()
