"""The first-run sheet in the real window: who sees it, and what its answers do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hub import Fault, StandInHub
from model_kit import make_hub_repo
from pytestqt.qtbot import QtBot
from window_kit import Desk, free_port, open_window, wait_until

from app import paths
from app.gui.dialogs.welcome import WelcomeSheet
from app.gui.main_window import MainWindow
from app.gui.mirror import LinkState
from app.gui.models.starter import parameters_that_fit, starter_for
from app.wire.nouns import ServerState

GIB = 2**30
_QUIET_S = 1.5
"""The sheet comes 0.7 s after the last model."""


@pytest.fixture
def hub(standin: StandInHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A hub that has every model of the table; they are the demo model under other names."""
    demo = paths.demo_model()
    files = {f.name: f.read_bytes() for f in demo.iterdir() if f.suffix != ".md"}
    for memory in (4, 8, 16, 32):
        standin.add_model(starter_for(memory * GIB).id, files)
    for model in standin.models.values():
        standin.full_info(model, blobs=True)
    monkeypatch.setenv("HF_ENDPOINT", standin.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    yield standin
    for listener in standin._servers:
        listener.close_connections()


@contextmanager
def fresh_window(home: Path, qtbot: QtBot) -> Iterator[Desk]:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(f"gateway_port = {free_port()}\n")
    with open_window() as window:
        desk = Desk(window, home, qtbot)
        desk.until(lambda: desk.mirror.link is LinkState.LIVE)
        desk.until(lambda: desk.mirror.models)
        yield desk
        desk.tidy()


def sheet_of(window: MainWindow) -> WelcomeSheet | None:
    return window.parts.quick.welcoming.sheet


def await_sheet(desk: Desk) -> WelcomeSheet:
    desk.until(lambda: sheet_of(desk.window) is not None)
    sheet = sheet_of(desk.window)
    assert sheet is not None
    return sheet


def comes_no_sheet(desk: Desk) -> bool:
    return not wait_until(lambda: sheet_of(desk.window) is not None, _QUIET_S)


def test_download_and_run_gets_the_model_and_starts_it(
    home: Path, hub: StandInHub, qtbot: QtBot
) -> None:
    with fresh_window(home, qtbot) as desk:
        sheet = await_sheet(desk)
        assert desk.mirror.engine is not None
        starter = starter_for(desk.mirror.engine.machine.memory_bytes)
        desk.until(lambda: sheet.amount.text() == "717 KB to download")
        assert sheet.pill.text() == "Fits"
        assert sheet.download.isDefault()
        desk.click(sheet, "Download and run")
        desk.until(lambda: starter.id in desk.mirror.models)
        servers = desk.mirror.servers
        desk.until(lambda: any(s.model == starter.id for s in servers.values()))
        (server,) = servers.values()
        desk.until_state(server.id, ServerState.READY)


def test_sheet_without_a_network_leads_to_the_demo_and_comes_once(
    home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with fresh_window(home, qtbot) as desk:
        sheet = await_sheet(desk)
        desk.until(lambda: sheet.note.text())
        assert sheet.demo.isDefault()
        assert not sheet.download.isEnabled()
        assert sheet.demo.property("kind") == "primary"
        desk.click(sheet, "Try the demo")
        desk.until_state("demo", ServerState.READY)
    with fresh_window(home, qtbot) as desk:
        assert comes_no_sheet(desk)
        # Help > Welcome
        desk.window.parts.run_command("welcome")
        sheet = await_sheet(desk)
        desk.click(sheet, "Not now")
        assert sheet_of(desk.window) is None
        assert not desk.mirror.servers


def test_sheet_whose_model_has_left_the_hub_says_so(
    home: Path, hub: StandInHub, qtbot: QtBot
) -> None:
    hub.models.clear()
    with fresh_window(home, qtbot) as desk:
        sheet = await_sheet(desk)
        desk.until(lambda: sheet.note.text())
        assert "search for another" in sheet.note.text()
        assert sheet.demo.isDefault()


def test_sheet_can_be_tried_again_when_the_network_is_back(
    home: Path, hub: StandInHub, qtbot: QtBot
) -> None:
    fault = hub.add_fault(Fault("refuse", "^/api/models/"))
    with fresh_window(home, qtbot) as desk:
        sheet = await_sheet(desk)
        desk.until(lambda: sheet.note.text())
        hub.faults.remove(fault)
        desk.click(sheet.note, "Try again")
        desk.until(lambda: sheet.download.isEnabled() and sheet.download.isDefault())
        assert not sheet.note.isVisible()


def test_sheet_stays_away_from_somebody_who_has_a_model(home: Path, qtbot: QtBot) -> None:
    demo = paths.demo_model()
    files = {f.name: f.read_bytes() for f in demo.iterdir() if f.suffix != ".md"}
    make_hub_repo(home / "hf" / "hub", "acme/Mine-4bit", files)
    with fresh_window(home, qtbot) as desk:
        desk.until(lambda: "acme/Mine-4bit" in desk.mirror.models)
        assert comes_no_sheet(desk)


def test_suggested_model_grows_with_the_memory() -> None:
    names = [starter_for(gib * GIB).title for gib in (4, 8, 16, 64)]
    assert len(set(names)) == 4
    assert [parameters_that_fit(gib * GIB) for gib in (2, 12, 27, 96)] == [0, 12, 33, 134]
