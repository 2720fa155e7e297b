"""The window on a home that it cannot use, that is full, or that goes away."""

import os
import time
from pathlib import Path

import pytest
from app_kit import App, running_app
from engine_kit import until
from faults import figures
from faults.disk_kit import Disk, disk

from app import paths

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


def shown(app: App) -> bool:
    return app.ask("is_on", "Reduce motion")


@pytest.mark.parametrize("is_mount_point", [False, True])
def test_home_that_goes_away_takes_no_change_and_gets_no_second(
    disk: Disk, *, is_mount_point: bool
) -> None:
    home = disk.path if is_mount_point else disk.home
    with running_app(home) as app:
        app.until_says(LIVE)
        app.ask("close_dialogs")
        app.ask("run", "settings")
        until(lambda: app.ask("has", "Reduce motion"))
        app.ask("switch", "Reduce motion")
        until(lambda: (home / "app.toml").exists())
        saved = (home / "app.toml").read_bytes()
        assert b"reduce_motion = true" in saved
        disk.eject()
        app.ask("switch", "Reduce motion")
        app.until_says("could not be saved: the folder")
        assert shown(app)
        shut(app)
    assert not list(disk.path.iterdir())
    disk.plug_in()
    assert (home / "app.toml").read_bytes() == saved
    figures.record(
        "disk with the home that is ejected under an open window",
        2,
        "nothing saved; the refused change is taken back and told, no second home is begun",
        COMMAND,
    )


SLOW_S = 5.0
SLOW = f"""
import os, sys, time
fsync = os.fsync
if any(word.endswith("robot.py") for word in sys.orig_argv):
    os.fsync = lambda descriptor: (time.sleep({SLOW_S}), fsync(descriptor))[1]
"""


def test_disk_of_seconds_for_each_flush_holds_up_neither_window_nor_hand(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    search = os.pathsep.join([str(tmp_path), paths.program_root() or "."])
    began = time.monotonic()
    with running_app(home, PYTHONPATH=search) as app:
        app.until_says("Models")
        first_s = time.monotonic() - began
        # It is the first document of the window, and on its way to the disk.
        assert not (home / "run" / "app.alive").exists()
        app.until_says(LIVE)
        app.ask("close_dialogs")
        app.ask("run", "settings")
        until(lambda: app.ask("has", "Reduce motion"))
        longest = 0.0
        for _ in range(5):
            began = time.monotonic()
            app.ask("switch", "Reduce motion")
            app.ask("texts")
            longest = max(longest, time.monotonic() - began)
        assert longest < SLOW_S
        assert shown(app)
        shut(app)
    assert (home / "app.toml").read_text() == "reduce_motion = true\n"
    assert (home / "window.json").exists()
    assert not (home / "run" / "app.alive").exists()
    figures.record(
        f"disk that takes {SLOW_S:.0f} s for each flush under the window",
        6,
        f"nothing; window filled after {first_s:.1f} s, longest pause for the hand {longest:.1f} s",
        COMMAND,
    )
