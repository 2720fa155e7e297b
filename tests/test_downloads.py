"""Downloads through the engine: queue, restart, progress and the command line, over real HTTP."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from download_kit import ID, MB, add_model, check_files, environment_for
from engine_kit import RunningEngine, new_home, running_engine, until, wait_for_event
from hub import Fault, StandInHub, rate_limited
from patience import DEADLINE_S

from app import paths
from app.engine.downloads.changes import ModelChanges
from app.engine.downloads.speed import Speed
from app.wire.errors import AppError, ErrorCode
from app.wire.events import Removed, Upsert, decode_item
from app.wire.nouns import (
    Download,
    DownloadRequest,
    DownloadState,
    Model,
    ModelSource,
    ProfileDraft,
)


@contextmanager
def engine_for(
    standin: StandInHub, homes: Path, *, home: Path | None = None, **env: str
) -> Iterator[RunningEngine]:
    home = home or new_home(homes)
    with running_engine(homes, home=home, env=environment_for(standin, home, **env)) as engine:
        yield engine


def cache_of(engine: RunningEngine) -> Path:
    return engine.home / "hf" / "hub"


def follow(
    engine: RunningEngine, wanted: Callable[[Download], bool], repo_id: str = ID
) -> Download:
    """Wait until the download is as wanted."""
    with engine.api() as api:
        for _ in api.events():
            for download in api.downloads():
                if download.id == repo_id and wanted(download):
                    return download
    raise AssertionError("the engine ended")


def finish(engine: RunningEngine, repo_id: str = ID) -> None:
    """Wait until a model is on the disk."""
    with engine.api() as api:
        for _ in api.events():
            if repo_id in {m.id for m in api.models()}:
                return
            failed = [d for d in api.downloads() if d.failure]
            assert not failed, failed
    raise AssertionError("the engine ended")


def is_model(event: Any) -> bool:
    if not isinstance(event, Upsert) or event.kind != "model":
        return False
    item = decode_item(event)
    return isinstance(item, Model) and item.id == ID


def test_download_ends_as_model_without_a_frame_of_both_or_none(
    standin: StandInHub, homes: Path
) -> None:
    add_model(standin, 20 * MB)
    with engine_for(standin, homes) as engine, engine.api() as api, engine.api() as other:
        events = api.events()
        next(events)
        other.add_download(DownloadRequest(ID))
        seen: list[Any] = []
        wait_for_event(
            events,
            lambda e: seen.append(e) or (is_model(e)),
        )
        (i,) = [i for i, e in enumerate(seen) if isinstance(e, Removed)]
        assert i == len(seen) - 2
        assert seen[i].seq + 1 == seen[i + 1].seq
        assert seen[i].is_done
        assert other.downloads() == []
        check_files(cache_of(engine), standin)
        # One that changes nothing ends with its model too; a cancel does not.
        other.add_download(DownloadRequest(ID))
        ends = [wait_for_event(events, lambda e: isinstance(e, Removed)), next(events)]
        assert ends[0].is_done
        assert is_model(ends[1])
        standin.rate = MB
        add_model(standin, 4 * MB, repo_id="mlx-community/Other")
        other.add_download(DownloadRequest("mlx-community/Other"))
        other.remove_download("mlx-community/Other")
        assert not wait_for_event(events, lambda e: isinstance(e, Removed)).is_done


def test_ids_with_a_slash_work_quoted_and_plain(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 20 * MB)
    standin.rate = 1 * MB
    quoted = ID.replace("/", "%2F")
    with engine_for(standin, homes) as engine:
        assert engine.call("POST", "/api/downloads", {"id": ID}).status == 202
        assert engine.call("POST", f"/api/downloads/{quoted}/pause").status == 202
        follow(engine, lambda d: d.state is DownloadState.PAUSED)
        assert engine.call("POST", f"/api/downloads/{ID}/resume").status == 202
        follow(engine, lambda d: d.state is DownloadState.DOWNLOADING)
        assert engine.call("POST", f"/api/downloads/{ID}/retry").status == 202
        assert engine.call("DELETE", f"/api/downloads/{ID}?keep=maybe").code == "bad_request"
        assert engine.call("DELETE", f"/api/downloads/{quoted}").status == 204
        assert engine.call("GET", "/api/downloads").json == []
        for method, target in (
            ("POST", f"/api/downloads/{ID}/pause"),
            ("POST", f"/api/downloads/{ID}/resume"),
            ("DELETE", f"/api/downloads/{ID}"),
        ):
            assert engine.call(method, target).code == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"id": "no-slash"},
        {"id": "../../etc/passwd"},
        {"id": "a/../b"},
        {"id": "a--b/c"},
        {"id": "a/b c"},
        {"id": ""},
        {"id": 5},
        {"id": ID, "revision": ""},
        {"id": ID, "surprise": 1},
        {},
    ],
)
def test_bad_requests_are_refused_in_words(module_engine: RunningEngine, body: Any) -> None:
    assert module_engine.call("POST", "/api/downloads", body).code == "bad_request"
    assert module_engine.call("GET", "/api/downloads").json == []


@pytest.fixture(scope="module")
def module_engine(homes: Path) -> Iterator[RunningEngine]:
    with running_engine(homes) as engine:
        yield engine


def test_two_requests_for_one_id_are_one_download(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 10 * MB)
    standin.rate = 5 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        for _ in range(3):
            api.add_download(DownloadRequest(ID))
        assert [d.id for d in api.downloads()] == [ID]
        with pytest.raises(AppError) as raised:
            api.add_download(DownloadRequest(ID, "other"))
        assert raised.value.code is ErrorCode.DOWNLOAD_CONFLICT
        standin.rate = None
        finish(engine)
        check_files(cache_of(engine), standin)
    assert standin.bytes_sent("^/[0-9a-f]{64}") == 10 * MB


def test_queue_starts_in_order_and_pause_makes_room(standin: StandInHub, homes: Path) -> None:
    ids = [f"mlx-community/M{i}" for i in range(4)]
    for repo_id in ids:
        add_model(standin, 10 * MB, repo_id=repo_id)
    standin.rate = 0.5 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        for repo_id in ids:
            api.add_download(DownloadRequest(repo_id))
        follow(engine, lambda d: d.done_bytes > 0, ids[0])
        found = {d.id: d for d in api.downloads()}
        assert [found[i].place for i in ids] == [None, None, 1, 2]
        assert [found[i].state for i in ids[2:]] == [DownloadState.QUEUED] * 2
        api.pause_download(ids[0])
        paused = follow(engine, lambda d: d.state is DownloadState.PAUSED, ids[0])
        assert paused.done_bytes > 0
        assert paused.bytes_per_s is None
        follow(engine, lambda d: d.state is DownloadState.DOWNLOADING, ids[2])
        assert next(d for d in api.downloads() if d.id == ids[3]).place == 1
        api.change_settings({"downloads_at_once": 3})
        follow(engine, lambda d: d.state is DownloadState.DOWNLOADING, ids[3])
        for repo_id in ids:
            api.remove_download(repo_id)
        until(lambda: not list(cache_of(engine).glob("models--*")))


def test_resume_before_the_pause_is_done_goes_on(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 4 * MB)
    standin.rate = 4 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        follow(engine, lambda d: d.done_bytes > 0)
        api.pause_download(ID)
        api.resume_download(ID)
        standin.rate = None
        finish(engine)
        check_files(cache_of(engine), standin)


def test_cancelled_download_can_be_asked_for_again_at_once(
    standin: StandInHub, homes: Path
) -> None:
    add_model(standin, 4 * MB)
    standin.rate = 4 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        follow(engine, lambda d: d.done_bytes > 0)
        api.remove_download(ID)
        api.add_download(DownloadRequest(ID))
        standin.rate = None
        finish(engine)
        check_files(cache_of(engine), standin)


def test_cancel_that_keeps_lets_the_next_try_go_on(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 10 * MB)
    standin.rate = 5 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        follow(engine, lambda d: d.done_bytes > 3 * MB)
        api.remove_download(ID, keep=True)
        assert api.downloads() == []
        api.add_download(DownloadRequest(ID))
        standin.rate = None
        finish(engine)
        check_files(cache_of(engine), standin)
    assert standin.bytes_sent("^/[0-9a-f]{64}") <= 11 * MB


def test_blocked_download_says_why_and_goes_on_by_retry(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 1 * MB, gated="manual")
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        blocked = follow(engine, lambda d: d.state is DownloadState.BLOCKED)
        assert blocked.failure is not None
        assert blocked.failure.code is ErrorCode.TOKEN_NEEDED
        assert blocked.failure.hint
        standin.models[ID].gated = False
        assert api.retry_download(ID).failure is None
        finish(engine)


def test_blocked_download_goes_on_with_a_token_from_the_settings(
    standin: StandInHub, homes: Path
) -> None:
    standin.users["good"] = "tester"
    add_model(standin, 1 * MB, gated="auto", granted=["tester"])
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        blocked = follow(engine, lambda d: d.state is DownloadState.BLOCKED)
        assert blocked.failure is not None
        assert "token in Settings" in blocked.failure.hint
        (known,) = (s for s in api.change_settings({"hub_token": "good"}) if s.name == "hub_token")
        assert known.value is True
        api.retry_download(ID)
        finish(engine)
        assert "good" not in engine.log


def test_failed_download_keeps_its_row_with_words(standin: StandInHub, homes: Path) -> None:
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        failed = follow(engine, lambda d: d.state is DownloadState.FAILED)
        assert failed.failure is not None
        assert failed.failure.code is ErrorCode.REPO_NOT_FOUND
        assert ID in failed.failure.message


def test_waiting_download_says_for_what_and_frees_its_place(
    standin: StandInHub, homes: Path
) -> None:
    add_model(standin, 1 * MB)
    add_model(standin, 1 * MB, repo_id="mlx-community/Other")
    standin.add_fault(rate_limited(600, path=f"/api/models/{ID}", times=1))
    env = {"MLX_MANAGER_DOWNLOADS_AT_ONCE": "1"}
    with engine_for(standin, homes, **env) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        waiting = follow(engine, lambda d: d.state is DownloadState.WAITING)
        assert waiting.waiting == "The hub limits requests"
        assert waiting.retry_at is not None
        api.add_download(DownloadRequest("mlx-community/Other"))
        finish(engine, "mlx-community/Other")
        api.retry_download(ID)
        finish(engine)


def test_killed_engine_goes_on_after_its_next_start(standin: StandInHub, homes: Path) -> None:
    total = add_model(standin, 40 * MB)
    add_model(standin, 40 * MB, repo_id="mlx-community/Paused")
    standin.rate = 20 * MB
    home = new_home(homes)
    with engine_for(standin, homes, home=home) as engine, engine.api() as api:
        api.add_download(DownloadRequest("mlx-community/Paused"))
        follow(engine, lambda d: d.done_bytes > 2 * MB, "mlx-community/Paused")
        api.pause_download("mlx-community/Paused")
        follow(engine, lambda d: d.state is DownloadState.PAUSED, "mlx-community/Paused")
        api.add_download(DownloadRequest(ID))
        follow(engine, lambda d: d.done_bytes > total / 2)
        engine.process.send_signal(signal.SIGKILL)
        engine.process.wait()
    with engine_for(standin, homes, home=home) as engine, engine.api() as api:
        # Not before: the line would fill the sockets of the dead worker.
        standin.rate = None
        paused = next(d for d in api.downloads() if d.id == "mlx-community/Paused")
        assert paused.state is DownloadState.PAUSED
        assert paused.done_bytes > 2 * MB
        finish(engine)
        check_files(cache_of(engine), standin)
    etag = standin.models[ID].files["model.safetensors"].sha256
    assert standin.bytes_sent(etag) <= 40 * MB * 1.02


def download_worker(engine: RunningEngine) -> psutil.Process:
    (found,) = [
        p for p in psutil.Process(engine.process.pid).children() if "download" in p.cmdline()
    ]
    return found


def test_killed_worker_is_replaced_and_goes_on(standin: StandInHub, homes: Path) -> None:
    total = add_model(standin, 40 * MB)
    standin.rate = 20 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        follow(engine, lambda d: d.done_bytes > total / 3)
        download_worker(engine).kill()
        finish(engine)
        check_files(cache_of(engine), standin)
        assert "ended unexpectedly" in engine.log
    assert standin.bytes_sent("^/[0-9a-f]{64}") <= 40 * MB * 1.02


def test_progress_comes_at_most_four_times_a_second(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 8 * MB)
    standin.rate = 2 * MB
    with engine_for(standin, homes) as engine, engine.api() as api, engine.api() as other:
        events = api.events()
        next(events)
        other.add_download(DownloadRequest(ID))
        seen: list[Download] = []
        times: list[float] = []
        for event in events:
            if isinstance(event, Upsert) and event.kind == "download":
                item = decode_item(event)
                assert isinstance(item, Download)
                seen.append(item)
                if item.state is DownloadState.DOWNLOADING:
                    times.append(time.monotonic())
            if isinstance(event, Removed) and event.kind == "download":
                break
    assert len(times) <= (times[-1] - times[0]) * 4.3 + 2
    done = [d.done_bytes for d in seen]
    assert done == sorted(done)
    assert len({d.total_bytes for d in seen} - {None}) == 1
    assert seen[0].eta_s is None
    speeds = [d.bytes_per_s for d in seen if d.bytes_per_s]
    assert 1 * MB <= speeds[-1] <= 3 * MB
    assert any(d.eta_s for d in seen)


def test_download_limit_holds(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 10 * MB)
    env = {"MLX_MANAGER_DOWNLOAD_LIMIT": "1000"}
    with engine_for(standin, homes, **env) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        moving = follow(engine, lambda d: d.bytes_per_s is not None)
        assert moving.bytes_per_s is not None
        assert moving.bytes_per_s <= 2 * MB
        api.remove_download(ID)


def mlxm(engine: RunningEngine, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from app.__main__ import mlxm; raise SystemExit(mlxm())",
            *words,
        ],
        env={**os.environ, "MLX_MANAGER_HOME": str(engine.home)},
        cwd=paths.program_root(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_pull_and_rm_by_the_command_line(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 4 * MB)
    with engine_for(standin, homes) as engine, engine.api() as api:
        process = mlxm(engine, "pull", ID)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, err
        assert f"{ID} is there, 4.0 MB" in out
        assert "\r" not in out
        check_files(cache_of(engine), standin)
        commit = standin.models[ID].sha
        address = f"https://huggingface.co/{ID}/tree/{commit}?library=mlx-lm"
        process = mlxm(engine, "pull", address)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, err
        assert f"{ID} is there" in out
        process = mlxm(engine, "rm", ID)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, err
        assert "is deleted" in out
        assert ID not in {m.id for m in api.models()}
        assert not list(cache_of(engine).glob("models--*"))
        process = mlxm(engine, "rm", ID)
        _, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1
        assert "There is no model" in err
        process = mlxm(engine, "pull", address)
        _, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1
        assert f"is downloaded in its revision “{commit}”, but servers use main" in err
        process = mlxm(engine, "pull", "https://example.org/a/b")
        _, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1
        assert "is no address of a model on the hub" in err
        process = mlxm(engine, "pull", "mlx-community/None")
        _, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1
        assert "There is no model mlx-community/None" in err


def test_pull_tells_for_how_long_the_hub_makes_it_wait(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 1 * MB)
    standin.add_fault(rate_limited(3, path="/api/models/"))
    with engine_for(standin, homes) as engine:
        process = mlxm(engine, "pull", ID)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, err
        assert re.search(r"The hub limits requests, tries again in [1-4] s", out)


def test_interrupted_pull_leaves_the_download_to_the_engine(
    standin: StandInHub, homes: Path
) -> None:
    add_model(standin, 10 * MB)
    standin.rate = 4 * MB
    with engine_for(standin, homes) as engine:
        process = mlxm(engine, "pull", ID)
        follow(engine, lambda d: d.done_bytes > 1 * MB)
        # Not over before the command hears of it.
        standin.rate = 50_000
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 130
        assert "goes on" in err
        standin.rate = None
        finish(engine)


def test_model_of_a_running_server_is_not_deleted(standin: StandInHub, homes: Path) -> None:
    data = {p.name: p for p in paths.demo_model().iterdir() if p.is_file()}
    standin.add_model(ID, data)
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        finish(engine)
        profile = api.create_profile(ProfileDraft("My server", ID))
        engine.start(profile.id)
        with pytest.raises(AppError) as raised:
            api.remove_model(ID)
        assert raised.value.code is ErrorCode.MODEL_IN_USE
        assert "My server" in raised.value.message
        engine.stop_server(profile.id)
        with pytest.raises(AppError) as raised:
            api.remove_model(ID)
        assert raised.value.code is ErrorCode.MODEL_IN_USE
        assert "the profile “My server”" in raised.value.message
        assert api.remove_model(ID, force=True).freed_bytes > 0
        with pytest.raises(AppError) as raised:
            api.remove_model("demo")
        assert raised.value.code is ErrorCode.BAD_REQUEST


def test_broken_list_of_downloads_is_a_warning(standin: StandInHub, homes: Path) -> None:
    home = new_home(homes)
    (home / "downloads.json").write_text("{")
    with engine_for(standin, homes, home=home) as engine:
        assert engine.call("GET", "/api/downloads").json == []
        assert "cannot be read" in engine.log


def test_scan_that_began_earlier_does_not_undo_a_change() -> None:
    changes = ModelChanges()
    gone, came = _model("gone"), _model("came")
    changes.note(gone.id, None)
    changes.note(came.id, came)
    assert changes.merge([gone], since=0.0) == [came]
    assert changes.merge([gone], since=time.monotonic() + 1) == [gone]


def _model(name: str) -> Model:
    return Model(f"a/{name}", name, "a", ModelSource.HUB, "/x", 1)


def test_speed_is_calm_and_the_time_comes_late() -> None:
    speed = Speed()
    assert speed.bytes_per_s() is None
    done = 0
    for tick in range(80):
        speed.add(tick * 0.25, done)
        if tick < 12:
            assert speed.eta_s(100 * MB) is None
        done += (2 if tick % 2 else 0) * MB
    assert speed.bytes_per_s() == pytest.approx(4 * MB, rel=0.1)
    assert speed.eta_s(400 * MB) == pytest.approx(100, abs=10)
    assert speed.eta_s(40_000 * MB) == pytest.approx(10_000, rel=0.1)


def test_speed_after_a_silence_begins_anew() -> None:
    speed = Speed()
    for tick in range(40):
        speed.add(tick * 0.25, tick * MB)
    speed.add(100.0, 40 * MB)
    assert speed.bytes_per_s() is None
    assert speed.eta_s(MB) is None


@pytest.mark.soak
def test_download_survives_an_outage_of_a_minute(standin: StandInHub, homes: Path) -> None:
    total = add_model(standin, 40 * MB)
    standin.rate = 10 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        follow(engine, lambda d: d.done_bytes > total / 4)
        standin.add_fault(Fault("refuse"))
        standin.add_fault(Fault("reset", after=0))
        time.sleep(60)
        standin.clear_faults()
        finish(engine)
        check_files(cache_of(engine), standin)
    assert standin.bytes_sent("^/[0-9a-f]{64}") <= 40 * MB * 1.01
