"""Two starts of the app on one home, whatever has become of the first."""

from pathlib import Path

import pytest
from app_kit import beside, running_app
from engine_kit import until
from faults import figures

LIVE = "Engine running on"


def record(count: int) -> None:
    figures.record(
        "two starts of the app on one home, the first alive or hanging",
        count,
        "nothing; one window and one engine, and a hang is told with a way out",
        "make test ARGS=tests/faults/test_two_apps.py",
    )


@pytest.mark.parametrize("left", [b"", b"garbage\x00\xff", b"1\nmlx\nother.host\n"])
def test_lock_file_of_any_content_lets_the_app_start(home: Path, left: bytes) -> None:
    (home / "run").mkdir()
    (home / "run" / "app.lock").write_bytes(left)
    with running_app(home) as app:
        app.until_says(LIVE)
        assert app.quit() == 0


def test_second_start_ends_and_leaves_one_window_and_one_engine(home: Path) -> None:
    with running_app(home) as first:
        first.until_says(LIVE)
        for _ in range(3):
            with beside(home) as second:
                assert second.wait() == 0
        assert first.says(LIVE)
        assert first.quit() == 0


def test_window_that_hangs_is_told_and_waited_for(home: Path) -> None:
    with running_app(home) as first:
        first.until_says(LIVE)
        first.hang()
        with beside(home) as second:
            second.until_says("is open but does not answer")
            first.wake()
            second.press("Try again")
            assert second.wait() == 0
        assert first.quit() == 0


def test_window_that_hangs_is_ended_on_the_users_word(home: Path) -> None:
    with running_app(home) as first:
        first.until_says(LIVE)
        first.hang()
        with beside(home) as second:
            second.until_says("is open but does not answer")
            second.press("End it and start anew")
            assert first.wait() == -9
            second.until_says(LIVE)
            # First the sheet of a first run, which would cover the notice.
            second.press("Not now")
            second.until_says("did not end properly")
            assert second.quit() == 0


def test_start_beside_a_window_that_hangs_can_be_given_up(home: Path) -> None:
    with running_app(home) as first:
        first.until_says(LIVE)
        first.hang()
        with beside(home) as second:
            second.until_says("is open but does not answer")
            second.press("Quit")
            assert second.wait() == 0
        first.wake()
        until(lambda: first.says(LIVE))
        assert first.quit() == 0
    record(6)
