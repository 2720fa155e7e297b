"""Garbage is collected in the GUI thread alone, and all of it."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from patience import DEADLINE_MS
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from app.gui import main


class Ring:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.myself = self


@pytest.fixture
def collector(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app's own collection, with a short time between two full ones."""
    app = main.make_application()
    monkeypatch.setattr(main, "_FULL_GC_MS", 20)
    before = set(app.findChildren(QTimer))
    main._collect_in_gui_thread(app)
    yield
    for timer in set(app.findChildren(QTimer)) - before:
        timer.stop()
        timer.deleteLater()
    gc.unfreeze()


def test_old_garbage_is_freed_by_a_full_collection(qtbot: QtBot, collector: None) -> None:
    ring = Ring()
    # A thing that has lived for a while is in the oldest generation.
    gc.collect(0)
    gc.collect(1)
    freed = weakref.ref(ring)
    del ring
    gc.collect(1)
    assert freed() is not None
    qtbot.waitUntil(lambda: freed() is None, timeout=DEADLINE_MS)
