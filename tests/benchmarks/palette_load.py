"""Opens the palette with many entries and prints how long that and a letter take.

Usage: palette_load.py ENTRIES
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from PySide6.QtWidgets import QApplication, QWidget

from app.gui.dialogs.palette import Palette
from app.gui.models.palette_list import PaletteEntry
from app.gui.theme import theme

ROUNDS = 20
QUERIES = ("s", "sh mo", "mi4", "model-77", "zzz")


def main() -> int:
    app = QApplication([])
    theme().refresh()
    window = QWidget()
    window.resize(1400, 860)
    window.show()
    palette = Palette(window)
    entries = [
        PaletteEntry(f"show:{n}", f"Show Model-{n}-Instruct-4bit") for n in range(int(sys.argv[1]))
    ]

    def open_it() -> None:
        palette.open(entries, ["show:7"])
        palette.repaint()

    def press() -> None:
        for query in QUERIES:
            palette.field.setText(query)
            palette.repaint()

    opened = least_ms(open_it, palette.dismiss)
    open_it()
    pressed = least_ms(press, palette.field.clear) / len(QUERIES)
    app.processEvents()
    print(json.dumps({"open_ms": opened, "key_ms": pressed}))
    return 0


def least_ms(work: Callable[[], object], undo: Callable[[], object]) -> float:
    """Return the shortest time of some rounds in milliseconds."""
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
        undo()
    return min(times) * 1000


if __name__ == "__main__":
    sys.exit(main())
