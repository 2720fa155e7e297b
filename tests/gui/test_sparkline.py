"""The sparklines: what is drawn, gaps included, and what is not."""

import subprocess
import sys
from itertools import pairwise
from math import isnan, nan

import pytest
from patience import DEADLINE_S
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from pytestqt.qtbot import QtBot

from app.gui.widgets.sparkline import GUTTER, SparkStrip, column_edges

RED = QColor("#ff0000")
BLUE = QColor("#0000ff")
GREY = QColor("#808080")


def strip(qtbot: QtBot) -> SparkStrip:
    widget = SparkStrip(2, 10)
    widget.setPalette(QPalette(QColor("white")))
    widget.setAutoFillBackground(True)
    qtbot.addWidget(widget)
    widget.set_colours([RED, BLUE], GREY)
    widget.resize(216, 40)
    widget.show()
    return widget


def reds(widget: SparkStrip) -> set[int]:
    image = widget.grab().toImage()
    return {
        x
        for x in range(image.width())
        for y in range(image.height() - 1)
        if image.pixelColor(x, y).red() > 150 and image.pixelColor(x, y).green() < 100
    }


@pytest.mark.parametrize("width", [352, 400, 437, 438])
def test_columns_are_equal_whole_pixels_and_end_at_the_edge(width: int) -> None:
    edges = column_edges(width, 4)
    widths = [share for _, share in edges]
    assert max(widths) - min(widths) <= 1
    assert edges[-1][0] + edges[-1][1] == width
    assert all(GUTTER - 1 <= b[0] - (a[0] + a[1]) <= GUTTER + 1 for a, b in pairwise(edges))


def test_series_of_gaps_makes_no_plot(qtbot: QtBot) -> None:
    widget = strip(qtbot)
    widget.show_series(0, [nan] * 10)
    assert not widget.has_plots
    assert widget.drawn(0) == []


def test_gap_stays_a_gap_and_is_not_drawn_as_zero(qtbot: QtBot) -> None:
    widget = strip(qtbot)
    widget.show_series(0, [nan, nan, nan, nan, 0.5, 0.5, 0.5, nan, 0.5, 0.5])
    drawn = widget.drawn(0)
    assert [isnan(value) for value in drawn[:4]] == [True] * 4
    assert isnan(drawn[7])
    columns = reds(widget)
    # Ten points over the 100 pixels of the column, eleven pixels apart.
    assert columns
    assert min(columns) >= 43
    assert not columns & set(range(69, 87))


def test_value_of_one_is_at_the_top_and_zero_on_the_base_line(qtbot: QtBot) -> None:
    widget = strip(qtbot)
    widget.show_series(0, [1.0] * 10)
    widget.show_series(1, [0.0] * 10)
    image = widget.grab().toImage()
    red_rows = [y for y in range(40) if image.pixelColor(50, y).red() > 200]
    blue_rows = [y for y in range(40) if image.pixelColor(160, y).red() < 100]
    assert red_rows
    assert min(red_rows) <= 4
    assert blue_rows
    assert min(blue_rows) >= 36


def test_wheel_goes_through_to_the_page(qtbot: QtBot) -> None:
    widget = strip(qtbot)
    widget.show_series(0, [0.5] * 10)
    assert widget.testAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)


def test_import_of_the_panel_does_not_import_pyqtgraph() -> None:
    code = (
        "import sys; import app.gui.panels.servers_panel; "
        "sys.exit(any(m in sys.modules for m in ('pyqtgraph', 'numpy')))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_S, check=False).returncode
        == 0
    )
