"""Where the names and amounts below the memory bar go, and which of them find room."""

from functools import lru_cache
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QFontMetrics

from app.gui.panels.memory_shares import Share
from app.gui.theme import theme

SWATCH = 8
SWATCH_GAP = 6
VALUE_GAP = 5
_ITEM_GAP = 18
_NAME_MINIMUM = 64
"""A name is not elided to fewer pixels; further names go into the count of the rest."""


class LegendItem(NamedTuple):
    """One name with its amount, or the count of those that have no room."""

    share: Share | None
    name: str
    value: str
    left: float
    width: float


class _Measured(NamedTuple):
    share: Share
    own_width: int
    """Of everything but the name."""
    name_width: int


def legend(shares: list[Share], left: float, room: float) -> list[LegendItem]:
    """Return every share when there is room, with elided names when there is less, else the first
    ones and how many more there are. Other apps, which come last, always keep their place.
    """
    if not shares:
        return []
    measured = _measured(shares)
    servers, other = measured[:-1], measured[-1]
    least = SWATCH + SWATCH_GAP + VALUE_GAP + _ITEM_GAP
    most = min(len(servers), int(room // least))
    for shown in range(most, -1, -1):
        more = len(servers) - shown
        rest = QCoreApplication.translate("MemoryStrip", "+{count} more").format(count=more)
        items = _fit([*servers[:shown], other], rest if more else "", left, room)
        if items is not None:
            return items
    return []


def _measured(shares: list[Share]) -> list[_Measured]:
    fixed = SWATCH + SWATCH_GAP + VALUE_GAP
    # A pixel more, because widths are fractions and elision is strict.
    return [
        _Measured(
            share,
            fixed + _width(share.text, "secondary_strong"),
            _width(share.name, "secondary") + 1,
        )
        for share in shares
    ]


# Names stay and amounts come again; measuring hundreds of them at each painting would show.
@lru_cache(4096)
def _width(text: str, role: str) -> int:
    return QFontMetrics(theme().font(role)).horizontalAdvance(text)


def _fit(shares: list[_Measured], rest: str, left: float, room: float) -> list[LegendItem] | None:
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
    items: list[LegendItem] = []
    for share, own, _ in shares:
        width = cap if share.colour is not None else wanted[-1]
        name = names.elidedText(share.name, Qt.TextElideMode.ElideMiddle, width)
        if share.colour is None and rest:
            items.append(LegendItem(None, rest, "", left, names.horizontalAdvance(rest) + 1))
            left += names.horizontalAdvance(rest) + _ITEM_GAP
        full = own + names.horizontalAdvance(name)
        items.append(LegendItem(share, name, share.text, left, full + 1))
        left += full + _ITEM_GAP
    return items
