"""The notice of a newer version: wanted, quiet, once a day, and skipped for good."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import DEADLINE_MS
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot
from release_kit import Page
from window_kit import Desk

from app import __version__, paths
from app.gui.main_window import updates
from app.gui.main_window.updates import Updates
from app.gui.memory import Memory
from app.wire.release import Release
from app.wire.settings import BY_NAME

DAY_S = 24 * 3600


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    made.tell(made.release(tag_name="v99.1"))
    yield made
    made.close()


class Asker:
    """The part that asks, with a memory of its own and what it offered."""

    def __init__(self, qtbot: QtBot, folder: Path, page: Page) -> None:
        self.qtbot = qtbot
        self.page = page
        self.memory = Memory(folder / "window.json")
        self.offered: list[Release] = []
        self.takes = True
        self.updates = Updates(self.memory, self._offer, url=page.url)

    def _offer(self, release: Release) -> bool:
        if self.takes:
            self.offered.append(release)
        return self.takes

    def ask(self) -> None:
        """Let it look, and wait until the question is over, if there is one."""
        self.updates.look()
        self.qtbot.waitUntil(lambda: self.updates._process is None, timeout=DEADLINE_MS)

    def wait_s(self) -> float:
        return int(str(self.memory.value("updates_next"))) - time.time()


@pytest.fixture
def asker(qtbot: QtBot, tmp_path: Path, page: Page) -> Iterator[Asker]:
    made = Asker(qtbot, tmp_path, page)
    yield made
    made.updates.end()


def test_newer_version_is_offered_once_and_asked_for_once_a_day(asker: Asker) -> None:
    asker.ask()
    assert [release.version for release in asker.offered] == ["99.1"]
    asker.ask()
    assert len(asker.offered) == len(asker.page.asked) == 1
    assert DAY_S - 60 < asker.wait_s() <= DAY_S
    asker.memory.set_value("updates_next", int(time.time()) - 1)
    asker.updates.skip(asker.offered[0])
    asker.ask()
    assert len(asker.offered) == 1
    assert len(asker.page.asked) == 2


def test_offer_waits_until_the_user_can_be_told(asker: Asker) -> None:
    asker.takes = False
    asker.ask()
    assert asker.offered == []
    asker.takes = True
    asker.ask()
    assert len(asker.offered) == len(asker.page.asked) == 1


def test_version_in_use_is_not_offered(asker: Asker) -> None:
    asker.page.tell(asker.page.release(tag_name=f"v{__version__}"))
    asker.ask()
    assert asker.offered == []


def test_question_without_an_answer_is_a_line_in_the_log_and_comes_again_sooner(
    asker: Asker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "gui")
    asker.page.tell(b"<html>", 503)
    asker.ask()
    assert "no word of a newer version: status 503" in caplog.text
    assert 0 < asker.wait_s() <= DAY_S / 24
    asker.memory.set_value("updates_next", "nonsense")
    monkeypatch.setattr(paths, "program", lambda _mode: ["/no/such/program"])
    asker.ask()
    assert "the question was not answered" in caplog.text


def test_end_does_not_wait_for_a_page_that_is_slow(asker: Asker) -> None:
    asker.page.hold()
    asker.updates.look()
    asker.qtbot.waitUntil(lambda: bool(asker.page.asked), timeout=DEADLINE_MS)
    begin = time.monotonic()
    asker.updates.end()
    assert time.monotonic() - begin < 5
    assert asker.offered == []


def test_nothing_is_asked_without_an_address(qtbot: QtBot, tmp_path: Path) -> None:
    memory = Memory(tmp_path / "window.json")
    asker = Updates(memory, lambda _release: True, url="")
    asker.set_on(is_on=True)
    assert not asker._timer.isActive()


def test_switch_exists_only_in_a_released_program_and_is_off(
    desk: Desk, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def labels() -> set[str]:
        settings = desk.window.parts.settings
        settings.open()
        rows = {label.text() for label in settings.dialog.findChildren(QLabel)}
        settings.dialog.close()
        return rows

    label = BY_NAME["check_updates"].label
    assert label not in labels()
    monkeypatch.setattr(paths, "releases_url", lambda: page.url)
    assert label in labels()
    assert desk.window.parts.preferences.value("check_updates") is False


def test_newer_version_is_told_in_the_window_and_skipped_for_good(
    desk: Desk, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "_SOON_MS", 0)
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    system = desk.window.system
    monkeypatch.setattr(system.updates, "_url", page.url)
    parts = desk.window.parts
    parts.notice.hide()

    def press(text: str) -> None:
        buttons = parts.notice.findChildren(QPushButton)
        next(b for b in buttons if b.text() == text and b.isVisible()).click()

    def see() -> Callable[[], bool]:
        return lambda: parts.notice.text == "Version 99.1 is available."

    parts.settings._change_own("check_updates", True)
    desk.until(see())
    press("What is new")
    assert opened == [f"{page.root}/acme/app/releases/v1.2"]
    system.updates._found = Release("99.1", page.root)
    system.updates.look()
    assert see()()
    press("Skip this version")
    system.updates._memory.set_value("updates_next", 0)
    system.updates.look()
    desk.until(lambda: len(page.asked) == 2 and system.updates._process is None)
    assert parts.notice.text == ""
    parts.settings._change_own("check_updates", False)
    assert not system.updates._timer.isActive()
