"""Notifications: news for somebody who does something else, and nothing for who looks."""

import msgspec
import pytest
from panel_kit import Engine, server
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.gui import dock
from app.gui.main_window.notifications import Notifications
from app.wire.errors import ErrorCode
from app.wire.events import Removed, Upsert
from app.wire.nouns import Download, DownloadState, Failure, Model, ModelSource, ServerState

TINY = Model("acme/Tiny", "Tiny", "acme", ModelSource.HUB, "/m", 2_300_000_000)
BROKEN = Failure(ErrorCode.MODEL_UNSUPPORTED, "Tiny cannot be loaded.")


class Desk:
    """An engine, a window that is hidden, and what was put on the screen."""

    def __init__(self, qtbot: QtBot) -> None:
        self.engine = Engine(server())
        self.mirror = self.engine.mirror
        self.window = QWidget()
        qtbot.addWidget(self.window)
        self.said: list[tuple[str, str]] = []
        self.notifications = Notifications(
            self.mirror, self.window, lambda *words: self.said.append(words), parent=self.window
        )

    def put(self, kind: str, item: object) -> None:
        self.engine.seq += 1
        raw = msgspec.Raw(msgspec.json.encode(item))
        self.mirror.apply(Upsert(self.engine.seq, kind, raw))

    def remove(self, kind: str, item_id: str, *, is_done: bool = False) -> None:
        self.engine.seq += 1
        self.mirror.apply(Removed(self.engine.seq, kind, item_id, is_done))

    def download(self, state: DownloadState, failure: Failure | None = None) -> None:
        self.put("download", Download("acme/Tiny", state, 100, 50, failure))


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot)


def test_server_that_fails_is_told_once_with_its_reason(desk: Desk) -> None:
    desk.put("server", server())
    for _ in range(2):
        desk.put("server", server(state=ServerState.FAILED, failure=BROKEN))
    assert desk.said == [("Coding assistant failed", "Tiny cannot be loaded.")]


def test_server_that_had_failed_before_is_no_news(desk: Desk) -> None:
    desk.put("server", server("old", state=ServerState.FAILED, failure=BROKEN))
    assert desk.said == []


def test_download_that_ends_with_a_model_is_told(desk: Desk) -> None:
    desk.download(DownloadState.DOWNLOADING)
    desk.remove("download", "acme/Tiny")
    assert desk.said == []
    desk.put("model", TINY)
    assert desk.said == [("Download finished", "Tiny, 2.3 GB")]
    desk.put("model", msgspec.structs.replace(TINY, size_bytes=1))
    assert len(desk.said) == 1


def test_download_that_changes_nothing_is_told_as_any_other(desk: Desk) -> None:
    desk.put("model", TINY)
    desk.download(DownloadState.DOWNLOADING)
    desk.remove("download", "acme/Tiny", is_done=True)
    desk.put("model", TINY)
    assert desk.said == [("Download finished", "Tiny, 2.3 GB")]


def test_download_that_is_cancelled_is_not_told(desk: Desk) -> None:
    desk.put("model", TINY)
    desk.download(DownloadState.DOWNLOADING)
    desk.remove("download", "acme/Tiny")
    desk.put("model", msgspec.structs.replace(TINY, id="acme/Other"))
    assert desk.said == []


def test_download_that_stops_is_told_with_its_reason(desk: Desk) -> None:
    desk.download(DownloadState.DOWNLOADING)
    desk.download(DownloadState.FAILED, Failure(ErrorCode.DOWNLOAD_FAILED, "The disk is full."))
    assert desk.said == [("Download stopped", "The disk is full.")]


def test_window_in_use_gets_no_notification(desk: Desk, qtbot: QtBot) -> None:
    desk.window.show()
    desk.window.activateWindow()
    qtbot.waitUntil(desk.window.isActiveWindow)
    desk.put("server", server())
    desk.put("server", server(state=ServerState.FAILED, failure=BROKEN))
    assert desk.said == []


def test_setting_that_is_off_silences_them(desk: Desk) -> None:
    desk.notifications.is_on = False
    desk.put("server", server())
    desk.put("server", server(state=ServerState.FAILED, failure=BROKEN))
    assert desk.said == []


def _download(name: str, state: DownloadState, total: int | None, done: int) -> Download:
    return Download(name, state, total, done)


@pytest.mark.parametrize(
    ("downloads", "text"),
    [
        ([], ""),
        ([("a", DownloadState.RESOLVING, None, 0)], ""),
        ([("a", DownloadState.PAUSED, 100, 50)], ""),
        ([("a", DownloadState.DOWNLOADING, 100, 0)], "0%"),
        ([("a", DownloadState.DOWNLOADING, 100, 50)], "50%"),
        (
            [("a", DownloadState.DOWNLOADING, 100, 50), ("b", DownloadState.QUEUED, 300, 0)],
            "12%",
        ),
        ([("a", DownloadState.VERIFYING, 100, 100)], "99%"),
        ([("a", DownloadState.DOWNLOADING, 100, 900)], "99%"),
    ],
)
def test_dock_tells_the_share_of_all_downloads(
    downloads: list[tuple[str, DownloadState, int | None, int]], text: str
) -> None:
    assert dock.badge([_download(*row) for row in downloads]) == text


def test_dock_is_written_only_when_it_changes(qtbot: QtBot) -> None:
    written: list[str] = []
    tile = dock.Dock(written.append)
    half = [_download("a", DownloadState.DOWNLOADING, 1000, 500)]
    for downloads in ([], half, half, []):
        tile.show(downloads)
    assert written == ["50%", ""]
    # Elsewhere than on a Mac nothing is there to be written.
    dock.Dock().show(half)
