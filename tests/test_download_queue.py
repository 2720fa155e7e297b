"""The order of downloads, and the hours in which they run by themselves."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from download_kit import MB, add_model
from engine_kit import RunningEngine, new_home, until
from hub import StandInHub
from test_downloads import engine_for, finish, follow

from app.client.api import Api
from app.engine.downloads.hours import local_time, opens_at
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import DownloadRequest, DownloadState
from app.wire.settings import BY_NAME, parse_setting
from app.wire.storage import MoveTo

IDS = [f"mlx-community/M{i}" for i in range(4)]
NIGHT = "22:00-07:00"


def clock(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{text}:30").astimezone()


@pytest.mark.parametrize(
    ("hours", "now", "opening"),
    [
        (NIGHT, "12:00", "2026-03-01T22:00"),
        (NIGHT, "21:59", "2026-03-01T22:00"),
        (NIGHT, "22:00", None),
        (NIGHT, "03:00", None),
        (NIGHT, "06:59", None),
        (NIGHT, "07:00", "2026-03-01T22:00"),
        ("9:00 - 17:00", "08:59", "2026-03-01T09:00"),
        ("9:00-17:00", "09:00", None),
        ("9:00-17:00", "17:00", "2026-03-02T09:00"),
        ("8:00-8:00", "12:00", None),
        ("", "12:00", None),
        ("whenever", "12:00", None),
    ],
)
def test_hours_open_when_they_say(hours: str, now: str, opening: str | None) -> None:
    wanted = None if opening is None else datetime.fromisoformat(opening).astimezone()
    assert opens_at(hours, clock(now)) == wanted


def closed_hours() -> tuple[str, str]:
    """Return hours that are not now, and when they begin."""
    start = local_time() + timedelta(hours=3)
    end = start + timedelta(hours=1)
    return f"{start:%H:%M}-{end:%H:%M}", f"{start:%H:%M}"


def queue_of(engine: RunningEngine) -> list[str]:
    """Return the ids that wait in the queue, the next first."""
    with engine.api() as api:
        queued = [d for d in api.downloads() if d.place is not None]
    return [d.id for d in sorted(queued, key=lambda d: d.place or 0)]


def fill(api: Api, standin: StandInHub, engine: RunningEngine) -> None:
    """Have one download that runs and three that wait."""
    for repo_id in IDS:
        add_model(standin, 10 * MB, repo_id=repo_id)
    standin.rate = 0.5 * MB
    for repo_id in IDS:
        api.add_download(DownloadRequest(repo_id))
    follow(engine, lambda d: d.done_bytes > 0, IDS[0])


def test_queued_download_moves_up_down_and_to_the_top(standin: StandInHub, homes: Path) -> None:
    home = new_home(homes)
    env = {"MLX_MANAGER_DOWNLOADS_AT_ONCE": "1"}
    with engine_for(standin, homes, home=home, **env) as engine, engine.api() as api:
        fill(api, standin, engine)
        assert queue_of(engine) == IDS[1:]
        assert api.move_download(IDS[3], MoveTo.TOP).place == 1
        assert queue_of(engine) == [IDS[3], IDS[1], IDS[2]]
        api.move_download(IDS[2], MoveTo.UP)
        assert queue_of(engine) == [IDS[3], IDS[2], IDS[1]]
        api.move_download(IDS[3], MoveTo.DOWN)
        assert queue_of(engine) == [IDS[2], IDS[3], IDS[1]]
        # Nothing happens at the ends of the line, nor to what runs.
        api.move_download(IDS[2], MoveTo.UP)
        api.move_download(IDS[1], MoveTo.DOWN)
        api.move_download(IDS[0], MoveTo.TOP)
        assert queue_of(engine) == [IDS[2], IDS[3], IDS[1]]
        api.move_download(IDS[2], MoveTo.BOTTOM)
        assert queue_of(engine) == [IDS[3], IDS[1], IDS[2]]
        api.move_download(IDS[2], MoveTo.TOP)
        assert queue_of(engine) == [IDS[2], IDS[3], IDS[1]]
        api.pause_download(IDS[0])
        follow(engine, lambda d: d.state is DownloadState.DOWNLOADING, IDS[2])
        target = f"/api/downloads/{IDS[1]}/move"
        assert engine.call("POST", target, {"to": "moon"}).code == "bad_request"
        with pytest.raises(AppError) as raised:
            api.move_download("a/b", MoveTo.UP)
        assert raised.value.code is ErrorCode.NOT_FOUND
    standin.rate = None
    with engine_for(standin, homes, home=home, **env) as engine:
        found = engine.call("GET", "/api/downloads").json
        assert [d["id"] for d in found] == [IDS[0], IDS[2], IDS[3], IDS[1]]


def test_pause_all_and_resume_all(standin: StandInHub, homes: Path) -> None:
    with engine_for(standin, homes) as engine, engine.api() as api:
        fill(api, standin, engine)
        api.pause_downloads()
        until(lambda: all(d.state is DownloadState.PAUSED for d in api.downloads()))
        assert all(d.bytes_per_s is None for d in api.downloads())
        standin.rate = None
        api.resume_downloads()
        for repo_id in IDS:
            finish(engine, repo_id)
        assert api.downloads() == []


def test_download_outside_of_the_hours_waits_and_says_until_when(
    standin: StandInHub, homes: Path
) -> None:
    add_model(standin, 1 * MB, repo_id=IDS[0])
    hours, opening = closed_hours()
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.change_settings({"download_hours": hours})
        download = api.add_download(DownloadRequest(IDS[0]))
        assert download.state is DownloadState.WAITING
        assert download.waiting == f"Waits until {opening}"
        assert download.retry_at is not None
        assert download.retry_at == pytest.approx(local_time().timestamp() + 10_800, abs=120)
        assert not standin.log
        api.change_settings({"download_hours": ""})
        finish(engine, IDS[0])


def test_download_now_runs_outside_of_the_hours(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 1 * MB, repo_id=IDS[0])
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.change_settings({"download_hours": closed_hours()[0]})
        api.add_download(DownloadRequest(IDS[0]))
        assert api.resume_download(IDS[0]).any_time
        finish(engine, IDS[0])


def test_end_of_the_hours_makes_running_downloads_wait(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 10 * MB, repo_id=IDS[0])
    standin.rate = 2 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(IDS[0]))
        follow(engine, lambda d: d.done_bytes > 0, IDS[0])
        api.change_settings({"download_hours": closed_hours()[0]})
        waiting = follow(engine, lambda d: d.state is DownloadState.WAITING, IDS[0])
        assert waiting.waiting.startswith("Waits until")
        assert waiting.bytes_per_s is None
        # A pause of what waits is a pause, and the hours do not end it.
        assert api.pause_download(IDS[0]).state is DownloadState.PAUSED
        assert api.downloads()[0].waiting == ""
        api.resume_downloads()
        assert api.downloads()[0].state is DownloadState.WAITING
        standin.rate = None
        api.change_settings({"download_hours": ""})
        finish(engine, IDS[0])


@pytest.mark.parametrize("hours", ["22-7", "25:00-07:00", "22:00", "night", "22:60-07:00", 5])
def test_hours_that_are_none_are_refused(hours: object) -> None:
    with pytest.raises(AppError, match=r"22:00-07:00|text"):
        parse_setting(BY_NAME["download_hours"], hours)
