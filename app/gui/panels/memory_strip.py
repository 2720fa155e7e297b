"""The strip that says who uses the machine's memory, and how much is left."""

from typing import NamedTuple

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QMouseEvent, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.gui import format as fmt
from app.gui.mirror import Mirror
from app.gui.theme import theme

HEIGHT = 70
_GIB = 2**30
_MIB = 2**20
_TENTH = _GIB / 10
_PAD = 16
_TITLE_TOP = 9
_BAR_TOP = 31
_BAR_HEIGHT = 8
_LEGEND_TOP = 46
_SWATCH = 8
_SWATCH_GAP = 6
_VALUE_GAP = 5
_ITEM_GAP = 18
_NAME_MINIMUM = 64
"""A name is not elided to fewer pixels; further names go into the count of the rest."""


FOREIGN = -1
"""Colour number of the model servers that the engine did not start."""


class Share(NamedTuple):
    """One user of memory."""

    name: str
    used_bytes: float | None
    """None while it is not known."""
    text: str
    """The amount for people; a server's is the one that its tile shows."""
    colour: int | None
    """Number of the server's colour; None for other apps."""

    @property
    def key(self) -> tuple[str, int | None]:
        """Which share it is, however much it uses."""
        return self.name, self.colour


class _Measured(NamedTuple):
    share: Share
    own_width: int
    """Of everything but the name."""
    name_width: int


class _Item(NamedTuple):
    share: Share | None
    name: str
    value: str
    left: float
    width: float


def shares_of(
    names: list[tuple[str, float | None, int]], used_bytes: float, other: str
) -> list[Share]:
    """Return every server's share and that of other apps; what is written adds up to the total.

    `names`: name, bytes and colour of each server. The servers' own figures are kept as the tiles
    show them, other apps take up the rounding.
    """
    shares = [Share(name, size, fmt.memory_text(size), colour) for name, size, colour in names]
    known = [size for _, size, _ in names if size is not None]
    total = round(max(used_bytes, sum(known)) / _TENTH) * _TENTH
    rest = max(0.0, total - sum(_written(size) for size in known))
    text = f"{rest / _GIB:.1f} GB"
    shares.append(Share(other, max(0.0, used_bytes - sum(known)), text, None))
    return shares


def _written(size: float) -> float:
    """Return the bytes that the text of an amount stands for."""
    number, unit = fmt.memory(size)
    return float(number) * (_GIB if unit == "GB" else _MIB)


class MemoryStrip(QWidget):
    """A stacked bar over the physical memory with a legend; one colour per server for its life."""

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._colours: dict[str, int] = {}
        self._shares: list[Share] = []
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
            return fmt.UNKNOWN
        used = sum(share.used_bytes or 0.0 for share in self._shares) / _GIB
        total = self._total / _GIB
        whole = f"{total:.0f}" if abs(total - round(total)) < 0.05 else f"{total:.1f}"
        return self.tr("{used} of {total} GB").format(used=f"{used:.1f}", total=whole)

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
        limit = None if machine is None else machine.gpu_limit_bytes
        total = 0.0 if sample is None else float(sample.memory_total_bytes)
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
        before = self._shown
        self._title, self._shares, self._total, self._limit = title, shares, total, limit
        self._shown = (
            [(s.name, s.text, s.colour) for s in shares], total, limit, title, mirror.is_stale
        )  # fmt: skip
        if self._shown != before:
            self._speak()
            self.update()

    def _speak(self) -> None:
        self.setAccessibleName(f"{self._title}: {self.total_text()}")
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
        painter.setPen(theme().color(self._ink()))
        painter.drawText(row, middle | Qt.AlignmentFlag.AlignRight, self.total_text())

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
                swatch = QRectF(left, _LEGEND_TOP + (16 - _SWATCH) / 2, _SWATCH, _SWATCH)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self._colour(item.share))
                painter.drawRoundedRect(swatch, 2, 2)
                left += _SWATCH + _SWATCH_GAP
            painter.setFont(name_font)
            painter.setPen(colours.color("tx2"))
            painter.drawText(QRectF(left, _LEGEND_TOP, item.width, 16), middle, item.name)
            if item.value:
                left += QFontMetrics(name_font).horizontalAdvance(item.name) + _VALUE_GAP
                painter.setFont(value_font)
                painter.setPen(colours.color(self._ink()))
                painter.drawText(QRectF(left, _LEGEND_TOP, item.width, 16), middle, item.value)

    def _ink(self) -> str:
        return "tx3" if self._mirror.is_stale else "tx"

    def legend_texts(self) -> list[str]:
        """Return the legend as it is painted, from the left."""
        return [f"{item.name} {item.value}".strip() for item in self._legend()]

    def _legend(self) -> list[_Item]:
        """Every share when there is room, with elided names when there is less, else the first
        ones and how many more there are. Other apps always keep their place.
        """
        if not self._shares:
            return []
        measured = self._measured()
        servers, other = measured[:-1], measured[-1]
        room = self.width() - 2 * _PAD
        for shown in range(len(servers), -1, -1):
            more = len(servers) - shown
            rest = self.tr("+{count} more").format(count=more) if more else ""
            items = self._fit([*servers[:shown], other], rest, room)
            if items is not None:
                return items
        return []

    def _measured(self) -> list[_Measured]:
        # Once for each painting: finding out how many servers fit would do it for all, each time.
        names = QFontMetrics(theme().font("secondary"))
        values = QFontMetrics(theme().font("secondary_strong"))
        fixed = _SWATCH + _SWATCH_GAP + _VALUE_GAP
        # A pixel more, because widths are fractions and elision is strict.
        return [
            _Measured(
                share,
                fixed + values.horizontalAdvance(share.text),
                names.horizontalAdvance(share.name) + 1,
            )
            for share in self._shares
        ]

    def _fit(self, shares: list[_Measured], rest: str, room: float) -> list[_Item] | None:
        names = QFontMetrics(theme().font("secondary"))
        wanted = [share.name_width for share in shares]
        room -= sum(share.own_width for share in shares) + _ITEM_GAP * (len(shares) - 1)
        if rest:
            room -= names.horizontalAdvance(rest) + _ITEM_GAP
        if sum(min(width, _NAME_MINIMUM) for width in wanted[:-1]) + wanted[-1] > room:
            return None
        # The longest names give way first.
        cap = max([*wanted, _NAME_MINIMUM])
        while sum(min(width, cap) for width in wanted[:-1]) + wanted[-1] > room:
            cap -= 1
        items: list[_Item] = []
        left = float(_PAD)
        for share, own, _ in shares:
            width = cap if share.colour is not None else wanted[-1]
            name = names.elidedText(share.name, Qt.TextElideMode.ElideMiddle, width)
            if share.colour is None and rest:
                items.append(_Item(None, rest, "", left, names.horizontalAdvance(rest) + 1))
                left += names.horizontalAdvance(rest) + _ITEM_GAP
            full = own + names.horizontalAdvance(name)
            items.append(_Item(share, name, share.text, left, full + 1))
            left += full + _ITEM_GAP
        return items

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
