"""The app's icon: files that follow from the drawings are committed and must be current."""

import importlib
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

ROOT = Path(__file__).parent.parent
# Another version of Qt may round a blended colour another way.
TOLERANCE = 3


@pytest.fixture(scope="module")
def icons() -> Iterator[Any]:
    """The program that renders and packs the icon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "resources/packaging")
        patch.delitem(sys.modules, "icons", raising=False)
        yield importlib.import_module("icons")
        sys.modules.pop("icons", None)


def _channels(image: QImage) -> bytes:
    pixels = image.convertToFormat(QImage.Format.Format_RGBA8888_Premultiplied)
    return bytes(pixels.constBits())


def _is_same(left: QImage, right: QImage) -> bool:
    if left.size() != right.size():
        return False
    pairs = zip(_channels(left), _channels(right), strict=True)
    return all(abs(a - b) <= TOLERANCE for a, b in pairs)


def _parts(data: bytes) -> dict[bytes, bytes]:
    kind, length = struct.unpack_from(">4sI", data)
    assert (kind, length) == (b"icns", len(data))
    parts, at = {}, 8
    while at < len(data):
        kind, length = struct.unpack_from(">4sI", data, at)
        parts[kind] = data[at + 8 : at + length]
        at += length
    return parts


def _unpack_runs(data: bytes) -> bytes:
    """As Apple reads it: below 128 that many plus one plain bytes, else one byte repeated."""
    out, at = bytearray(), 0
    while at < len(data):
        count = data[at]
        if count < 128:
            out += data[at + 1 : at + 2 + count]
            at += 2 + count
        else:
            out += bytes([data[at + 1]]) * (count - 125)
            at += 2
    return bytes(out)


def test_png_files_show_the_drawings(icons: Any, qtbot: QtBot) -> None:
    for size in icons.PNG_SIZES:
        committed = QImage(str(icons.DRAWINGS / f"{size}.png"))
        assert _is_same(committed, icons.render(icons.drawing_for(size), size)), size
    for name, size in icons.MENU_BAR_FILES.items():
        drawing = icons.MENU_BAR / "menu-bar.svg"
        assert _is_same(QImage(str(icons.MENU_BAR / name)), icons.render(drawing, size)), name


def test_icns_shows_the_drawings_at_every_size_of_macos(icons: Any, qtbot: QtBot) -> None:
    parts = _parts(icons.ICNS.read_bytes())
    assert parts.keys() == _parts(icons.icns()).keys()
    sizes = set()
    for kind, data in parts.items():
        if data.startswith(b"ARGB"):
            size = {b"ic04": 16, b"ic05": 32}[kind]
            values = _unpack_runs(data[4:])
            planes = [values[n * size * size : (n + 1) * size * size] for n in (1, 2, 3, 0)]
            pixels = bytes(v for pixel in zip(*planes, strict=True) for v in pixel)
            image = QImage(pixels, size, size, QImage.Format.Format_RGBA8888)
        else:
            image = QImage.fromData(data, "PNG")
            size = image.width()
        assert _is_same(image, icons.render(icons.drawing_for(size), size)), kind
        sizes.add(size)
    assert sizes == {16, 32, 64, 128, 256, 512, 1024}


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 300)), max_size=20))
def test_packed_channel_unpacks_to_itself(icons: Any, runs: list[tuple[int, int]]) -> None:
    data = b"".join(bytes([value]) * count for value, count in runs)
    assert _unpack_runs(icons.pack_runs(data)) == data


def test_icon_of_the_menu_bar_is_black_with_alpha_only(icons: Any, qtbot: QtBot) -> None:
    for name in icons.MENU_BAR_FILES:
        image = QImage(str(icons.MENU_BAR / name)).convertToFormat(QImage.Format.Format_RGBA8888)
        pixels = bytes(image.constBits())
        assert {*pixels[0::4], *pixels[1::4], *pixels[2::4]} == {0}
        assert set(pixels[3::4]) >= {0, 255}


def test_icon_fills_the_grid_of_macos(icons: Any, qtbot: QtBot) -> None:
    """824 of 1024 points, as other icons in the Dock; around it there is only shadow."""
    image = icons.render(icons.drawing_for(1024), 1024)
    middle = [image.pixelColor(x, 512).alpha() for x in range(1024)]
    solid = [x for x, alpha in enumerate(middle) if alpha == 255]
    assert (solid[0], solid[-1]) == (100, 923)
    assert max(middle[:99]) < 80
