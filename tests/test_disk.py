"""Models on the disk through the engine: other folders, checks, deleting, and leftovers."""

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from download_kit import ID, MB, add_model
from engine_kit import RunningEngine, running_engine, until
from hub import StandInHub
from huggingface_hub.utils import WeakFileLock
from model_kit import make_folder, make_hub_repo, model_files
from patience import DEADLINE_S
from test_downloads import cache_of, engine_for, finish, follow, mlxm

from app import paths
from app.wire.errors import AppError, ErrorCode
from app.wire.events import Upsert, decode_item
from app.wire.nouns import CheckState, DownloadRequest, DownloadState, Model, ProfileDraft
from app.worker import trash, verify
from app.worker.leftovers import find_leftovers, remove_leftovers
from app.worker.remove import DELETED, remove

COMMIT = "a" * 40
DEMO_FILES = {p.name: p.read_bytes() for p in paths.demo_model().iterdir() if p.is_file()}


def model_of(engine: RunningEngine, model_id: str) -> Model:
    """Wait until a model is listed."""
    with engine.api() as api:
        for _ in api.events():
            for model in api.models():
                if model.id == model_id:
                    return model
    raise AssertionError("the engine ended")


def checked(engine: RunningEngine, model_id: str) -> Model:
    """Check a model, and return it when that is done."""
    with engine.api() as api:
        api.verify_model(model_id)
        for _ in api.events():
            model = next(m for m in api.models() if m.id == model_id)
            if model.check is not None and not model.check.state.is_active:
                return model
    raise AssertionError("the engine ended")


def blob(engine: RunningEngine, name: str, repo_id: str = ID) -> Path:
    (found,) = cache_of(engine).glob(f"models--{repo_id.replace('/', '--')}/snapshots/*/{name}")
    return found.resolve()


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"wrong")


# Other folders


def test_model_in_a_folder_of_the_settings_is_listed_and_served_in_place(homes: Path) -> None:
    with running_engine(homes) as engine, engine.api() as api:
        folder = make_folder(engine.home / "disk/ann/Mine", DEMO_FILES)
        api.change_settings({"model_folders": f"/no/such:{engine.home / 'disk'}"})
        model = model_of(engine, str(folder))
        assert (model.name, model.author, model.locations) == ("Mine", "ann", (str(folder),))
        assert "no/such" in engine.log
        places = {place.path: place for place in api.places()}
        assert places[str(engine.home / "disk")].models == 1
        assert places["/no/such"].problem
        profile = api.create_profile(ProfileDraft("In place", model.id))
        engine.start(profile.id)
        assert engine.complete(model="In place").status == 200
        engine.stop_server(profile.id)
        api.change_settings({"model_folders": ""})
        until(lambda: str(folder) not in {m.id for m in api.models()})


def test_models_of_lm_studio_are_listed_unless_switched_off(homes: Path, home: Path) -> None:
    folder = make_folder(home / "me/.lmstudio/models/ann/Mine", DEMO_FILES)
    env = {"HOME": str(home / "me"), "MLX_MANAGER_OTHER_LIBRARIES": ""}
    with running_engine(homes, env={**env, "MLX_MANAGER_OTHER_LIBRARIES": "1"}) as engine:
        model_of(engine, str(folder))
        assert [p["name"] for p in engine.call("GET", "/api/places").json] == [
            "Hugging Face",
            "LM Studio",
        ]
    with running_engine(homes, env={**env, "MLX_MANAGER_OTHER_LIBRARIES": "0"}) as engine:
        model_of(engine, "demo")
        assert str(folder) not in {m["id"] for m in engine.call("GET", "/api/models").json}


def test_engine_shows_the_models_of_the_last_one_at_once(homes: Path) -> None:
    with running_engine(homes) as engine:
        make_hub_repo(cache_of(engine), ID, model_files())
        engine.call("POST", "/api/models/scan")
        model_of(engine, ID)
        home = engine.home
    with running_engine(homes, home=home) as engine, engine.api() as api:
        assert ID in {m.id for m in next(api.events()).models}  # type: ignore[union-attr]


def test_weights_that_are_cut_in_place_are_told_without_a_scan_by_hand(homes: Path) -> None:
    with running_engine(homes) as engine:
        repo = make_hub_repo(cache_of(engine), ID, model_files())
        plain = make_folder(engine.home / "disk/ann/Mine", DEMO_FILES)
        with engine.api() as api:
            api.change_settings({"model_folders": str(engine.home / "disk")})
            assert model_of(engine, ID).problem is None
            for folder in (repo / "snapshots" / COMMIT, plain):
                weights = folder / "model.safetensors"
                os.truncate(weights, weights.stat().st_size - 1)
            until(lambda: all(m.problem for m in api.models() if m.id in (ID, str(plain))))


# Checks


def test_check_of_a_whole_model_says_so(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 30 * MB)
    with engine_for(standin, homes) as engine, engine.api() as api, engine.api() as other:
        api.add_download(DownloadRequest(ID))
        finish(engine)
        events = api.events()
        next(events)
        answer = engine.call("POST", f"/api/models/{ID}/verify")
        assert answer.status == 202
        texts: list[str] = []
        for event in events:
            if isinstance(event, Upsert) and event.kind == "model":
                item = decode_item(event)
                assert isinstance(item, Model)
                assert item.check is not None
                texts.append(item.check.text)
                if item.check.state is CheckState.INTACT:
                    break
        assert texts[-1] == "All 4 files are intact"
        assert any(text.startswith("Checking") for text in texts)
        # What was found stays while the files do.
        other.scan_models()
        make_hub_repo(cache_of(engine), "a/other", model_files())
        other.scan_models()
        assert model_of(engine, "a/other").check is None
        found = model_of(engine, ID).check
        assert found is not None
        assert found.state is CheckState.INTACT
        assert found.at == pytest.approx(time.time(), abs=60)
        other.stop_verify(ID)
        assert model_of(engine, ID).check is None


def test_check_names_damaged_and_missing_files_and_a_download_mends_them(
    standin: StandInHub, homes: Path
) -> None:
    add_model(standin, 4 * MB, 4 * MB)
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        finish(engine)
        spoil(blob(engine, "model-00002-of-00002.safetensors"))
        check = checked(engine, ID).check
        assert check is not None
        assert check.state is CheckState.DAMAGED
        assert check.damaged == ("model-00002-of-00002.safetensors",)
        assert check.text == ("model-00002-of-00002.safetensors is damaged. Repair the model")
        blob(engine, "tokenizer.json").unlink()
        check = checked(engine, ID).check
        assert check is not None
        assert check.damaged == ("model-00002-of-00002.safetensors", "tokenizer.json")
        assert "2 files are damaged or missing" in check.text
        api.add_download(DownloadRequest(ID, verify=True))
        until(lambda: not api.downloads())
        check = model_of(engine, ID).check
        assert check is not None
        assert check.text == "All 5 files are intact"


def test_damage_keeps_a_model_from_being_served_until_it_is_mended(
    standin: StandInHub, homes: Path
) -> None:
    standin.add_model(ID, DEMO_FILES)
    problem = "model.safetensors is damaged. Repair the model."
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        finish(engine)
        before = model_of(engine, ID)
        assert before.problem is None
        spoil(blob(engine, "model.safetensors"))
        assert checked(engine, ID).problem == problem
        assert api.model_fit(ID).sentence == problem
        profile = api.create_profile(ProfileDraft("Damaged", ID))
        api.start_server(profile.id)
        failure = engine.settle(profile.id).failure
        assert failure is not None
        assert problem in failure.message
        # A look at the disk sees nothing but another date.
        api.scan_models()
        until(lambda: model_of(engine, ID).modified_at > before.modified_at)
        assert model_of(engine, ID).problem == problem
        api.verify_model(ID)
        assert model_of(engine, ID).problem == problem
        home = engine.home
    with engine_for(standin, homes, home=home) as engine, engine.api() as api:
        api.scan_models()
        assert model_of(engine, ID).problem == problem
        api.add_download(DownloadRequest(ID, verify=True))
        until(lambda: not api.downloads())
        assert model_of(engine, ID).problem is None
    with engine_for(standin, homes, home=home) as engine:
        assert model_of(engine, ID).problem is None


def test_damage_that_no_server_reads_is_no_problem(homes: Path) -> None:
    with running_engine(homes) as engine:
        files = model_files() | {"README.md": b"Hello"}
        repo = make_hub_repo(cache_of(engine), ID, files)
        (repo / "snapshots" / COMMIT / "README.md").write_text("Hallo")
        model_of(engine, ID)
        found = checked(engine, ID)
        assert found.check is not None
        assert found.check.damaged == ("README.md",)
        assert found.problem is None


def test_check_of_what_is_not_there_or_being_downloaded_is_refused(
    standin: StandInHub, homes: Path
) -> None:
    add_model(standin, 1 * MB)
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        finish(engine)
        standin.rate = 0.1 * MB
        blob(engine, "model.safetensors").unlink()
        api.add_download(DownloadRequest(ID))
        with pytest.raises(AppError) as raised:
            api.verify_model(ID)
        assert raised.value.code is ErrorCode.DOWNLOAD_CONFLICT
        for call in (api.verify_model, api.stop_verify, api.preview_removal, api.remove_model):
            with pytest.raises(AppError) as raised:
                call("a/none")
            assert raised.value.code is ErrorCode.NOT_FOUND
        api.remove_download(ID)


def test_check_can_be_ended_and_leaves_no_process(homes: Path) -> None:
    with running_engine(homes) as engine, engine.api() as api:
        make_hub_repo(cache_of(engine), ID, model_files())
        big = cache_of(engine) / f"models--{ID.replace('/', '--')}" / "blobs" / ("b" * 64)
        with big.open("wb") as file:
            file.truncate(40_000 * MB)
        link = big.parent.parent / "snapshots" / COMMIT / "model-big.safetensors"
        link.symlink_to(f"../../blobs/{big.name}")
        api.scan_models()
        model_of(engine, ID)
        api.verify_model(ID)
        api.verify_model(ID)
        until(lambda: "%" in (model_of(engine, ID).check or ModelCheckless).text)
        api.stop_verify(ID)
        assert model_of(engine, ID).check is None


class ModelCheckless:
    """Stands for no check."""

    text = ""


def test_check_by_the_command_line(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 1 * MB)
    with engine_for(standin, homes) as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        finish(engine)
        process = mlxm(engine, "verify", ID)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, err
        assert "All 4 files are intact" in out
        spoil(blob(engine, "model.safetensors"))
        process = mlxm(engine, "verify", ID)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1
        assert "model.safetensors is damaged" in err
        assert f"mlxm pull --verify {ID}" in err


def found_by(*folders: Path) -> Any:
    return verify.verify(list(folders), lambda _: None)


def test_folder_with_the_hubs_notes_is_checked_by_them(tmp_path: Path) -> None:
    from hashlib import sha1, sha256

    files = model_files()
    folder = make_folder(tmp_path / "model", files)
    notes = tmp_path / "model/.cache/huggingface/download"
    notes.mkdir(parents=True)
    for name, data in files.items():
        etag = sha256(data).hexdigest()
        if name.endswith(".json"):
            etag = sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        (notes / f"{name}.metadata").write_text(f"{COMMIT}\n{etag}\n1700000000.0\n")
    assert found_by(folder).files_total == 4
    assert found_by(folder).damaged == ()
    spoil(folder / "model.safetensors")
    assert found_by(folder).damaged == ("model.safetensors",)


def test_folder_without_checksums_is_told_apart_from_an_intact_one(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", model_files())
    assert found_by(folder).unknown == ("model.safetensors",)
    assert found_by(folder).files_total == 0


def test_copy_is_checked_by_the_names_of_the_hubs_files(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path / "hub", ID, model_files())
    copy = make_folder(tmp_path / "copy", model_files())
    spoil(copy / "model.safetensors")
    end = found_by(repo / "snapshots" / COMMIT, copy)
    assert end.damaged == (f"{copy}/model.safetensors",)
    assert end.files_total == 8


def test_missing_shard_is_found_by_the_index(tmp_path: Path) -> None:
    files = model_files()
    files["model.safetensors.index.json"] = (
        b'{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'
    )
    folder = make_folder(tmp_path / "model", files)
    assert "model-00001-of-00002.safetensors" in found_by(folder).missing


# Deleting


def test_removal_is_shown_before_it_is_done(homes: Path) -> None:
    with running_engine(homes) as engine, engine.api() as api:
        make_hub_repo(cache_of(engine), ID, DEMO_FILES)
        copy = make_folder(engine.home / "disk/ann/Copy", DEMO_FILES)
        api.change_settings({"model_folders": str(engine.home / "disk")})
        until(lambda: len(model_of(engine, ID).locations) == 2)
        profile = api.create_profile(ProfileDraft("Coding", str(copy)))
        removal = api.preview_removal(ID)
        assert [part.to_trash for part in removal.parts] == [False, True]
        size = sum(len(data) for data in DEMO_FILES.values())
        assert all(part.size_bytes == pytest.approx(size, rel=0.2) for part in removal.parts)
        assert removal.profiles == ("Coding",)
        engine.start(profile.id)
        assert api.preview_removal(ID).servers == ("Coding",)
        for force in (False, True):
            with pytest.raises(AppError) as raised:
                api.remove_model(ID, force=force)
            assert raised.value.message == "Tiny-4bit is used by the server “Coding”."
            assert raised.value.code is ErrorCode.MODEL_IN_USE
        engine.stop_server(profile.id)
        with pytest.raises(AppError, match="is not in /etc"):
            api.remove_model(ID, location="/etc", force=True)
        assert Path("/etc").is_dir()
        done = api.remove_model(ID, force=True)
        assert not done.to_trash
        assert done.left == (str(copy),)
        assert model_of(engine, str(copy)).locations == (str(copy),)
        process = mlxm(engine, "rm", "--preview", str(copy))
        out, _ = process.communicate(timeout=DEADLINE_S)
        assert "to the trash" in out
        assert "Used by the profile “Coding”" in out


def test_folder_goes_to_the_trash(homes: Path, home: Path) -> None:
    env = {"XDG_DATA_HOME": str(home / "data"), "HOME": str(home)}
    with running_engine(homes, env=env) as engine, engine.api() as api:
        folder = make_folder(engine.home / "disk/ann/Möin 1", DEMO_FILES)
        api.change_settings({"model_folders": str(engine.home / "disk")})
        model_of(engine, str(folder))
        process = mlxm(engine, "rm", str(folder))
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, err
        assert "is in the trash" in out
        assert not folder.exists()
        assert str(folder) not in {m.id for m in api.models()}
        assert (home / "data/Trash/files/Möin 1/config.json").exists()
        (info,) = (home / "data/Trash/info").iterdir()
        assert unquote(info.read_text()).splitlines()[1] == f"Path={folder}"


def test_second_folder_of_a_name_gets_another_one_in_the_trash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("sys.platform", "linux")
    for _ in range(2):
        trash.move_to_trash(make_folder(tmp_path / "model", model_files()))
    assert len(list((tmp_path / "data/Trash/files").iterdir())) == 2
    assert len(list((tmp_path / "data/Trash/info").iterdir())) == 2


def test_folder_on_another_disk_goes_to_the_trash_of_that_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(trash, "_device", lambda path: hash(path))
    monkeypatch.setattr(trash, "_top", lambda folder: tmp_path / "disk")
    trash.move_to_trash(make_folder(tmp_path / "disk/ann/model", model_files()))
    place = tmp_path / f"disk/.Trash-{os.getuid()}"
    assert (place / "files/model/config.json").exists()
    assert "Path=ann/model" in (place / "info/model.trashinfo").read_text()


def test_half_deleted_model_can_be_deleted_again(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path, ID, model_files())
    next((repo / "blobs").iterdir()).unlink()
    remove(tmp_path, ID)
    assert not repo.exists()


# Leftovers


def orphan(cache: Path, repo_id: str, name: str, size: int = 1000, age_s: float = 7200.0) -> Path:
    folder = cache / f"models--{repo_id.replace('/', '--')}" / "blobs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_leftovers_are_found_and_removed_and_nothing_else(tmp_path: Path) -> None:
    etag = "c" * 64
    repo = make_hub_repo(tmp_path, ID, model_files())
    kept = {p.name for p in (repo / "blobs").iterdir()}
    orphan(tmp_path, ID, f"{etag}.12345678.incomplete")
    orphan(tmp_path, ID, f"{etag}.mmm.incomplete", age_s=0)
    orphan(tmp_path, ID, f"{etag}.mmm.state.incomplete", age_s=0)
    orphan(tmp_path, "a/gone", "d" * 64, 5000)
    fresh = orphan(tmp_path, "a/now", f"{etag}.12345678.incomplete", age_s=5)
    ours = orphan(tmp_path, "a/mine", f"{etag}.mmm.incomplete")
    locked = orphan(tmp_path, "a/locked", f"{etag}.12345678.incomplete")
    strange = orphan(tmp_path, "a/gone", "notes.txt")
    locks = tmp_path / ".locks/models--a--locked"
    locks.mkdir(parents=True)
    with WeakFileLock(locks / f"{etag}.lock"):
        found = find_leftovers(tmp_path, ["a/mine"])
        assert [(item.id, item.files) for item in found] == [("a/gone", 1), (ID, 2)]
        assert remove_leftovers(tmp_path, ["a/mine"]) == found
    assert {p.name for p in (repo / "blobs").iterdir()} == kept
    assert all(path.exists() for path in (fresh, ours, locked, strange))
    assert [item.id for item in find_leftovers(tmp_path, ["a/mine"])] == ["a/locked"]
    strange.unlink()
    orphan(tmp_path, "a/gone", "d" * 64)
    remove_leftovers(tmp_path, ["a/mine"])
    assert not (tmp_path / "models--a--gone").exists()


def test_rest_of_an_interrupted_deletion_is_a_leftover(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path, ID, model_files())
    for path in (repo / "blobs").iterdir():
        os.utime(path, (0, 0))
    (repo / "snapshots").rename(repo / DELETED)
    assert [item.id for item in remove_leftovers(tmp_path, [])] == [ID]
    assert not repo.exists()


def test_leftovers_of_a_paused_download_are_its_own(standin: StandInHub, homes: Path) -> None:
    add_model(standin, 20 * MB)
    add_model(standin, 20 * MB, repo_id="a/cancelled")
    standin.rate = 4 * MB
    with engine_for(standin, homes) as engine, engine.api() as api:
        for repo_id in (ID, "a/cancelled"):
            api.add_download(DownloadRequest(repo_id))
            follow(engine, lambda d: d.done_bytes > 1 * MB, repo_id)
        api.pause_download(ID)
        follow(engine, lambda d: d.state is DownloadState.PAUSED)
        api.remove_download("a/cancelled", keep=True)
        until(lambda: bool(api.leftovers()))
        (left,) = api.leftovers()
        assert left.id == "a/cancelled"
        assert left.files == 1
        process = mlxm(engine, "clean")
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, err
        assert "a/cancelled" in out
        assert "mlxm clean --yes" in out
        assert api.leftovers() == [left]
        process = mlxm(engine, "clean", "--yes")
        out, err = process.communicate(timeout=DEADLINE_S)
        assert "are free again" in out
        assert api.leftovers() == []
        process = mlxm(engine, "clean")
        assert "no unfinished files" in process.communicate(timeout=DEADLINE_S)[0]
        assert api.downloads()[0].done_bytes > 1 * MB
        standin.rate = None
        api.resume_download(ID)
        finish(engine)
    assert standin.bytes_sent(standin.models[ID].files["model.safetensors"].sha256) <= 20.5 * MB
