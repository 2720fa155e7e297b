"""The window on a home that it cannot use, that is full, or that goes away."""

from pathlib import Path

import pytest
from app_kit import App, running_app
from faults import figures
from faults.disk_kit import Disk, disk

__all__ = ["disk"]
LIVE = "Engine running on"
UNUSABLE = "cannot use its folder"
COMMAND = "make test ARGS=tests/faults/test_homes.py"


def shut(app: App) -> None:
    assert app.quit() == 0


def test_home_that_cannot_be_made_is_told_and_tried_again(home: Path) -> None:
    wanted = home / "a" / "b"
    (home / "a").write_text("a file")
    with running_app(wanted) as app:
        app.until_says(UNUSABLE)
        assert app.says(f"{wanted}\nNot a directory.")
        (home / "a").unlink()
        app.press("Try again")
        app.until_says(LIVE)
        shut(app)


def test_home_that_cannot_be_made_can_be_given_up(home: Path) -> None:
    (home / "a").write_text("a file")
    with running_app(home / "a" / "b") as app:
        app.until_says(UNUSABLE)
        app.press("Quit")
        assert app.wait() == 1
    assert [path.name for path in home.iterdir()] == ["a"]


@pytest.mark.parametrize("is_known", [False, True])
def test_read_only_home_is_told_and_tried_again(disk: Disk, *, is_known: bool) -> None:
    if is_known:
        with running_app(disk.home) as app:
            app.until_says(LIVE)
            shut(app)
    disk.protect()
    with running_app(disk.home) as app:
        app.until_says(UNUSABLE)
        assert app.says("Read-only file system")
        disk.unprotect()
        app.press("Try again")
        app.until_says(LIVE)
        shut(app)
    figures.record("start of the app on a read-only or impossible home", 4, "nothing", COMMAND)


def test_app_starts_on_a_full_disk_so_that_models_can_be_deleted(disk: Disk) -> None:
    with running_app(disk.home) as app:
        app.until_says(LIVE)
        shut(app)
    disk.fill()
    with running_app(disk.home) as app:
        app.until_says(LIVE)
        shut(app)
