"""Lucide icons in the theme's colours, sharp at every scale."""

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from app import paths

_FILLED = frozenset({"pause", "play", "square"})
"""Outlines of these look weak at button size."""


@lru_cache(maxsize=256)
def _svg(name: str) -> str:
    return (paths.resources() / "icons" / f"{name}.svg").read_text(encoding="utf-8")


@lru_cache(maxsize=512)
def pixmap(name: str, colour: str, size: int, scale: float = 1.0) -> QPixmap:
    """Return the icon as a pixmap of `size` logical pixels at a device pixel ratio of `scale`.

    Raises FileNotFoundError for an icon that is not in resources/icons.
    """
    svg = _svg(name).replace("currentColor", colour)
    if name in _FILLED:
        svg = svg.replace('fill="none"', f'fill="{colour}"', 1)
    image = QPixmap(QSize(round(size * scale), round(size * scale)))
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(image.rect()))
    painter.end()
    image.setDevicePixelRatio(scale)
    return image


def icon(name: str, colour: QColor | str, size: int = 16) -> QIcon:
    """Return the icon for buttons and menus, with pictures for 1x and 2x screens."""
    text = colour if isinstance(colour, str) else colour.name()
    result = QIcon()
    result.addPixmap(pixmap(name, text, size, 1.0))
    result.addPixmap(pixmap(name, text, size, 2.0))
    return result
