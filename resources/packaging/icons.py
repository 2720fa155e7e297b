"""Renders the drawings of the app's icon to PNG files and packs them into an .icns for macOS.

Run `python resources/packaging/icons.py` after a change of a drawing; the results are committed.
"""

import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ROOT = Path(__file__).parents[2]
DRAWINGS = ROOT / "resources/icons/app"
MENU_BAR = ROOT / "resources/icons/menu-bar"
ICNS = ROOT / "resources/packaging/icon.icns"

PNG_SIZES = (16, 32, 48, 64, 128, 256, 512)
"""Window icon, launcher and About; one file each."""
MENU_BAR_FILES = {"menu-bar.png": 18, "menu-bar@2x.png": 36}

# Apple's type for each size. The two at 1x hold raw channels: Finder draws PNG there wrongly.
_RAW_TYPES = {b"ic04": 16, b"ic05": 32}
_PNG_TYPES = {
    b"ic11": 32,
    b"ic12": 64,
    b"ic07": 128,
    b"ic13": 256,
    b"ic08": 256,
    b"ic14": 512,
    b"ic09": 512,
    b"ic10": 1024,
}
_SHORTEST_RUN, _LONGEST_RUN, _LONGEST_PLAIN = 3, 130, 128


def drawing_for(size: int) -> Path:
    """Return the drawing for a size in pixels: few and whole pixels where there are few."""
    for limit in (16, 32):
        if size <= limit:
            return DRAWINGS / f"app-{limit}.svg"
    return DRAWINGS / "app.svg"


def render(drawing: Path, size: int) -> QImage:
    """Return a drawing as a square image with alpha."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(drawing)).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return image


def png(image: QImage) -> bytes:
    """Return an image as a PNG file, as small as it gets."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG", 0)  # pyright: ignore[reportCallIssue, reportArgumentType]
    buffer.close()
    return bytes(data.data())


def icns() -> bytes:
    """Return the icon of the macOS app."""
    parts = [
        *((kind, raw_channels(render(drawing_for(s), s))) for kind, s in _RAW_TYPES.items()),
        *((kind, png(render(drawing_for(size), size))) for kind, size in _PNG_TYPES.items()),
    ]
    return pack(parts)


def pack(parts: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return an .icns file of typed parts."""
    body = b"".join(kind + struct.pack(">I", len(data) + 8) + data for kind, data in parts)
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def raw_channels(image: QImage) -> bytes:
    """Return an image as four packed channels: alpha, red, green, blue."""
    # By a name: the bits live no longer than their image.
    plain = image.convertToFormat(QImage.Format.Format_RGBA8888)
    pixels = bytes(plain.constBits())
    return b"ARGB" + b"".join(pack_runs(pixels[channel::4]) for channel in (3, 0, 1, 2))


def pack_runs(data: bytes) -> bytes:
    """Return data with runs of 3 to 130 equal bytes shortened to two."""
    out = bytearray()
    plain = bytearray()

    def flush() -> None:
        for start in range(0, len(plain), _LONGEST_PLAIN):
            piece = plain[start : start + _LONGEST_PLAIN]
            out.append(len(piece) - 1)
            out.extend(piece)
        plain.clear()

    for value, count in _runs(data):
        if count < _SHORTEST_RUN:
            plain.extend([value] * count)
        else:
            flush()
            out.extend((count - _SHORTEST_RUN + 128, value))
    flush()
    return bytes(out)


def _runs(data: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(data):
        end = start + 1
        while end < len(data) and data[end] == data[start] and end - start < _LONGEST_RUN:
            end += 1
        yield data[start], end - start
        start = end


def write_all() -> None:
    """Write every file that follows from the drawings."""
    for size in PNG_SIZES:
        (DRAWINGS / f"{size}.png").write_bytes(png(render(drawing_for(size), size)))
    for name, size in MENU_BAR_FILES.items():
        (MENU_BAR / name).write_bytes(png(render(MENU_BAR / "menu-bar.svg", size)))
    ICNS.write_bytes(icns())


if __name__ == "__main__":
    application = QGuiApplication([*sys.argv[:1], "-platform", "offscreen"])
    write_all()
