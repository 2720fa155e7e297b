"""The columns of compact rows, and the line of their names above them."""

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.gui import format as fmt
from app.gui.mirror import Series
from app.gui.panels import tile_text as say
from app.gui.panels.tile_details import first_token_tip, requests, seconds
from app.gui.theme import theme
from app.wire.nouns import Server

PAD = 14
_GAP = 12
_WIDTHS = {
    "state": 112, "tokens_per_s": 54, "prompt_tokens_per_s": 50, "tokens_total": 58,
    "requests_open": 56, "ttft_p50_s": 50, "memory_bytes": 64, "cpu_percent": 46,
    "gpu_percent": 46, "time": 88,
}  # fmt: skip
"""All columns but the name, from the left."""
METRIC_COLUMNS = tuple(name for name in _WIDTHS if name not in ("state", "time"))
_BY_ROOM = {
    "cpu_percent": 130, "gpu_percent": 130,
    "requests_open": 180, "ttft_p50_s": 180, "prompt_tokens_per_s": 180,
}  # fmt: skip
"""Columns that a narrow row leaves out, the last of them first, and the pixels that each of them
leaves to the name at least."""
_MOST_NAME = 320
HEADER_HEIGHT = 18
_LEFT = ("name", "state")


def columns(width: int) -> dict[str, tuple[int, int]]:
    """Return left edge and width of each column of a row of `width` pixels.

    Where there is no room for all of them, the figures that matter least go, then the name gives
    way.
    """
    widths = dict(_WIDTHS)
    for name, least in reversed(_BY_ROOM.items()):
        if _rest(width, widths) < least:
            del widths[name]
    rest = _rest(width, widths)
    spare = max(0, rest - _MOST_NAME) // len(widths)
    result = {"name": (PAD, max(40, rest - spare * len(widths)))}
    left = PAD + result["name"][1] + _GAP
    for name, wide in widths.items():
        result[name] = (left, wide + spare)
        left += wide + spare + _GAP
    return result


def _rest(width: int, widths: dict[str, int]) -> int:
    return width - 2 * PAD - sum(w + _GAP for w in widths.values())


def figure(column: str, server: Server, series: Series | None) -> str:
    """Return what the column of a metric says."""
    known = series if server.state.serves or column in say.TILE_METRICS else None
    value = None if known is None else known.latest(column)
    match column:
        case "requests_open":
            queued = None if known is None else known.latest("requests_queued")
            text = fmt.count(0.0 if value is None and queued else value)
            return f"{text} + {fmt.count(queued)}" if queued else text
        case "ttft_p50_s":
            return fmt.UNKNOWN if value is None else seconds(value)
        case "tokens_total" | "prompt_tokens_per_s":
            return fmt.count(value)
        case _:
            return " ".join(part for part in say.figure(column, value) if part)


def tip(column: str, server: Server, series: Series | None) -> str:
    """Return what the figure of a column means, with what it leaves out."""
    value = None if series is None else series.latest(column)
    more = ""
    if column == "ttft_p50_s":
        more = first_token_tip(series)
    elif column == "requests_open" and series is not None and server.state.serves:
        more = requests(series)
    return more or say.meaning(column, server, value)


def is_left(column: str) -> bool:
    """Return True for columns of words; figures stand at the right."""
    return column in _LEFT


class CompactHeader(QWidget):
    """The names of the columns, in line with the rows below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(HEADER_HEIGHT)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(theme().font("label"))
        painter.setPen(theme().color("tx2"))
        texts = {
            "name": QCoreApplication.translate("CompactHeader", "Server"),
            "state": QCoreApplication.translate("CompactHeader", "State"),
            "prompt_tokens_per_s": QCoreApplication.translate("CompactHeader", "Prefill"),
            "tokens_total": QCoreApplication.translate("CompactHeader", "Tokens"),
            "requests_open": QCoreApplication.translate("CompactHeader", "Requests"),
            "ttft_p50_s": QCoreApplication.translate("CompactHeader", "TTFT"),
            "time": QCoreApplication.translate("CompactHeader", "Up"),
        }
        for name, (left, width) in columns(self.width()).items():
            side = Qt.AlignmentFlag.AlignLeft if is_left(name) else Qt.AlignmentFlag.AlignRight
            text = texts.get(name) or say.LABELS[name]
            painter.drawText(
                left, 0, width, self.height(), side | Qt.AlignmentFlag.AlignVCenter, text
            )
