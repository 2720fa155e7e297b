"""The columns of compact rows, and the line of their names above them."""

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.gui.panels import tile_text as say
from app.gui.theme import theme

PAD = 14
_GAP = 14
_STATE = 112
_TIME = 92
_FIGURES = {"tokens_per_s": 58, "memory_bytes": 66, "cpu_percent": 48, "gpu_percent": 48}
_LEAST_NAME = 132
_MOST_NAME = 420
HEADER_HEIGHT = 18
_LEFT = ("name", "state")


def columns(width: int) -> dict[str, tuple[int, int]]:
    """Return left edge and width of each column of a row of `width` pixels.

    Where there is no room for all of them, the name gives way first, then CPU and GPU go.
    """
    widths = {"state": _STATE, **_FIGURES, "time": _TIME}
    for name in ("gpu_percent", "cpu_percent"):
        if width - 2 * PAD - sum(w + _GAP for w in widths.values()) < _LEAST_NAME:
            del widths[name]
    rest = width - 2 * PAD - sum(w + _GAP for w in widths.values())
    spare = max(0, rest - _MOST_NAME) // len(widths)
    result = {"name": (PAD, max(40, rest - spare * len(widths)))}
    left = PAD + result["name"][1] + _GAP
    for name, wide in widths.items():
        result[name] = (left, wide + spare)
        left += wide + spare + _GAP
    return result


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
            "time": QCoreApplication.translate("CompactHeader", "Up"),
        }
        for name, (left, width) in columns(self.width()).items():
            side = Qt.AlignmentFlag.AlignLeft if is_left(name) else Qt.AlignmentFlag.AlignRight
            text = texts.get(name) or say.LABELS[name]
            painter.drawText(
                left, 0, width, self.height(), side | Qt.AlignmentFlag.AlignVCenter, text
            )
