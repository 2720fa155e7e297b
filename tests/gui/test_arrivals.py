"""Downloads that end: a model that is new, one that was there before, and a cancel."""

from pathlib import Path

import msgspec
import pytest
from panel_kit import Engine
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.gui.main_window.arrivals import Arrivals
from app.gui.memory import Memory
from app.wire.events import Removed, Upsert
from app.wire.nouns import Download, DownloadState, Model, ModelSource

TINY = Model("acme/Tiny", "Tiny", "acme", ModelSource.HUB, "/m", 2_300_000_000)


class Desk:
    def __init__(self, folder: Path, parent: QObject) -> None:
        self.parent = parent
        self.engine = Engine()
        self.engine.mirror.setParent(parent)
        memory = Memory(folder / "memory.json")
        self.arrivals = Arrivals(self.engine.mirror, memory, parent)
        self.said: list[object] = []
        self.arrivals.arrived.connect(self.said.append)
        self.arrivals.renewed.connect(self.said.append)

    def put(self, kind: str, item: object) -> None:
        raw = msgspec.Raw(msgspec.json.encode(item))
        self.engine.mirror.apply(Upsert(1, kind, raw))

    def end(self, *, is_done: bool) -> None:
        self.engine.mirror.apply(Removed(1, "download", TINY.id, is_done))

    def download(self) -> None:
        self.put("download", Download(TINY.id, DownloadState.DOWNLOADING, 100, 50))


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path) -> Desk:
    return Desk(tmp_path, QObject())


def test_model_that_is_new_arrives_once(desk: Desk) -> None:
    desk.download()
    desk.end(is_done=True)
    assert desk.said == []
    desk.put("model", TINY)
    desk.put("model", TINY)
    assert desk.said == [(TINY.id, False)]


def test_download_of_a_model_that_was_there_ends_with_a_word(desk: Desk) -> None:
    desk.put("model", TINY)
    desk.download()
    desk.end(is_done=True)
    desk.put("model", TINY)
    desk.put("model", TINY)
    assert desk.said == [TINY.id]


def test_cancel_of_a_download_says_nothing(desk: Desk) -> None:
    desk.put("model", TINY)
    desk.download()
    desk.end(is_done=False)
    desk.put("model", TINY)
    assert desk.said == []
