"""What the engine does with profiles beyond saving them: undo, preview, import, pending changes."""

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from engine_kit import RunningEngine, new_home, running_engine, until

from app import paths
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import ProfileDraft, ServerState
from app.wire.portable import Consent, ImportRequest, ImportSource

COMMENTED = '# for work\nname = "Coding" # short\nmodel = "demo"\n\n[options]\n# warm\ntemp = 0.5\n'


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    with running_engine(homes) as one:
        yield one


def draft(name: str, **options: object) -> ProfileDraft:
    return ProfileDraft(name, "demo", options=options)


def test_deleted_profile_comes_back_byte_for_byte(engine: RunningEngine) -> None:
    path = engine.write_profile("coding", COMMENTED)
    with engine.api() as api:
        until(lambda: any(p.id == "coding" for p in api.profiles()))
        api.delete_profile("coding")
        assert not path.exists()
        assert api.restore_profile("coding").name == "Coding"
        assert path.read_text(encoding="utf-8") == COMMENTED
        assert any(p.id == "coding" for p in api.profiles())
        # The trash holds it no longer.
        api.delete_profile("coding")
        api.restore_profile("coding")
        with pytest.raises(AppError) as refused:
            api.restore_profile("coding")
        assert refused.value.code is ErrorCode.NOT_FOUND
        api.delete_profile("coding")


def test_deleted_profile_does_not_overwrite_a_new_one(engine: RunningEngine) -> None:
    with engine.api() as api:
        api.create_profile(draft("Twice"))
        api.delete_profile("twice")
        api.create_profile(draft("Twice", temp=1.0))
        with pytest.raises(AppError) as refused:
            api.restore_profile("twice")
        assert refused.value.code is ErrorCode.NAME_TAKEN
        assert next(p for p in api.profiles() if p.id == "twice").options == {"temp": 1.0}
        api.delete_profile("twice")


def test_change_of_a_running_profile_is_pending_until_a_restart(engine: RunningEngine) -> None:
    with engine.api() as api:
        made = api.create_profile(draft("Pending", max_tokens=1024))
        assert engine.start(made.id).pending == ()
        changed = ProfileDraft(
            "Renamed", "demo", options={"max_tokens": 32_768, "top_p": 1.0},
            policy={"idle_stop_minutes": 30},
        )  # fmt: skip
        api.update_profile(made.id, changed)
        # A default that is written out changes nothing, and name and policy count at once.
        lines = ("Longest answer: 1k tokens → 32k tokens",)
        until(lambda: api.server(made.id).pending == lines)
        assert api.server(made.id).name == "Renamed"
        api.restart_server(made.id)
        until(lambda: api.server(made.id).state is not ServerState.READY)
        server = engine.settle(made.id)
        assert (server.state, server.pending) == (ServerState.READY, ())
        engine.stop_server(made.id)
        api.remove_server(made.id)
        api.delete_profile(made.id)


def test_change_that_is_taken_back_is_pending_no_longer(engine: RunningEngine) -> None:
    with engine.api() as api:
        made = api.create_profile(draft("Back"))
        engine.start(made.id)
        api.update_profile(made.id, draft("Back", temp=0.5))
        until(lambda: api.server(made.id).pending == ("Temperature: 0 → 0.5",))
        api.update_profile(made.id, draft("Back"))
        until(lambda: api.server(made.id).pending == ())
        engine.stop_server(made.id)
        api.remove_server(made.id)
        api.delete_profile(made.id)


def test_preview_shows_the_command_and_its_python(engine: RunningEngine) -> None:
    with engine.api() as api:
        found = api.preview_profile(draft("Look", temp=0.5, environment='{"A_B": "x y"}'))
    assert found.problems == ()
    assert found.command.startswith("A_B='x y' mlx_lm.server \\\n  --model /")
    assert "--allowed-origins '' \\\n" in found.command
    assert "--temp=0.5" in found.command
    assert "--port 8080" in found.command
    # As the engine adds it at a start, or a copied command would remember prompts without a bound.
    assert re.search(r"--prompt-cache-bytes=\d{9,}", found.command)
    assert found.python is not None
    assert found.python.text.startswith("mlx-lm 0.")
    assert " · Python 3." in found.python.text


def test_preview_of_a_profile_with_a_port_of_its_own_names_it_and_who_has_it(
    engine: RunningEngine,
) -> None:
    gateway = urlsplit(engine.gateway_url).port
    with engine.api() as api:
        wanted = ProfileDraft("Own port", "demo", policy={"public_port": gateway})
        found = api.preview_profile(wanted)
    assert f"--port {gateway}" in found.command
    (problem,) = found.problems
    assert problem.message == f"Port {gateway} is taken by this app itself. Choose another one."


def test_preview_names_the_field_of_every_problem(engine: RunningEngine) -> None:
    wrong = ProfileDraft("demo", "nobody/nothing", options={"temp": -1, "kv_bits": 8})
    with engine.api() as api:
        found = api.preview_profile(wrong)
        own = next(p for p in api.profiles() if p.id == "demo")
        kept = api.preview_profile(ProfileDraft("Demo", "demo", revision="old", id=own.id))
    assert [problem.field for problem in found.problems] == ["name", "temp", "model"]
    assert "already a profile" in found.problems[0].message
    assert "--kv-bits=8" in found.command
    assert kept.problems == ()


def test_exported_profile_is_imported_elsewhere_under_a_free_name(engine: RunningEngine) -> None:
    with engine.api() as api:
        made = api.create_profile(
            ProfileDraft("Away", "demo", options={"temp": 0.5}, policy={"pinned": True})
        )
        text = api.export_profile(made.id)
        (entry,) = api.preview_import(ImportRequest(text)).entries
        assert (entry.name, entry.original_name, entry.model) == ("Away 2", "Away", "demo")
        assert [(v.label, v.value, v.default) for v in entry.values] == [
            ("Temperature", "0.5", "0"), ("Keep running", "on", "off"),
        ]  # fmt: skip
        result = api.import_profiles(ImportRequest(text))
        (copy,) = result.profiles
        assert (copy.name, copy.options, copy.policy) == ("Away 2", made.options, made.policy)
        assert result.left_out == ()
        for profile in (made, copy):
            api.delete_profile(profile.id)


def test_import_leaves_out_what_nobody_allowed(engine: RunningEngine) -> None:
    text = (
        'format = "mlx-manager-profiles"\nversion = 1\n[[profile]]\nname = "Odd"\nmodel = "a/b"\n'
        '[profile.options]\ntrust_remote_code = true\nadapter_path = "/etc"\n'
    )
    with engine.api() as api:
        result = api.import_profiles(ImportRequest(text, allow=(Consent.CODE.value,)))
        (made,) = result.profiles
        assert made.options == {"trust_remote_code": True}
        assert result.left_out == ("Odd: Adapter folder (/etc)",)
        api.delete_profile(made.id)


def test_import_of_a_broken_file_names_the_line(engine: RunningEngine) -> None:
    with engine.api() as api, pytest.raises(AppError, match=r"\(line 2\)") as refused:
        api.import_profiles(ImportRequest('format = "x"\nversion = = 1\n'))
    assert refused.value.code is ErrorCode.BAD_REQUEST


def test_import_of_a_predecessor_that_is_not_there_is_a_404(engine: RunningEngine) -> None:
    assert "predecessor" not in engine_capabilities(engine)
    with engine.api() as api, pytest.raises(AppError) as refused:
        api.preview_import(ImportRequest(source=ImportSource.PREDECESSOR))
    assert refused.value.code is ErrorCode.NOT_FOUND


def engine_capabilities(engine: RunningEngine) -> tuple[str, ...]:
    with engine.api() as api:
        return api.engine().capabilities


def test_marked_profile_starts_with_the_engine(homes: Path) -> None:
    home = new_home(homes)
    folder = home / "profiles"
    folder.mkdir(parents=True)
    for name in ("first", "second"):
        text = f'name = "{name}"\nmodel = "demo"\n[policy]\nstart_with_app = true\n'
        (folder / f"{name}.toml").write_text(text)
    (folder / "third.toml").write_text('name = "third"\nmodel = "demo"\n')
    with running_engine(homes, home=home) as one, one.api() as api:
        until(lambda: len(api.servers()) == 2 and all(s.state.serves for s in api.servers()))
        begun = {server.id: server.started_at for server in api.servers()}
        ready = {server.id: server.ready_at for server in api.servers()}
        assert set(begun) == {"first", "second"}
        assert begun["second"] >= ready["first"]


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own that sees the packages of this one, as a person would make it."""
    folder = tmp_path_factory.mktemp("other") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "here.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder


def test_profile_runs_in_another_python(engine: RunningEngine, other_python: Path) -> None:
    wanted = draft("Elsewhere", python=str(other_python), max_tokens=8)
    with engine.api() as api:
        found = api.preview_profile(wanted)
        assert found.problems == ()
        assert found.python is not None
        assert Path(found.python.path).parent == other_python / "bin"
        assert found.command.startswith(f"{found.python.path} -m mlx_lm server \\\n")
        made = api.create_profile(wanted)
        server = engine.start(made.id)
        program = Path(f"/proc/{server.pid}/cmdline")
        if program.exists():
            assert program.read_bytes().startswith(str(other_python).encode())
        assert engine.complete(model="Elsewhere").status == 200
        engine.stop_server(made.id)
        api.remove_server(made.id)
        api.delete_profile(made.id)


def test_setting_chooses_the_python_of_all_profiles(
    engine: RunningEngine, other_python: Path
) -> None:
    with engine.api() as api:
        states = {s.name: s for s in api.change_settings({"python": str(other_python)})}
        assert states["python"].note.startswith("mlx-lm 0.")
        found = api.preview_profile(draft("Any")).python
        assert found is not None
        assert found.path.startswith(str(other_python))
        states = {s.name: s for s in api.change_settings({"python": "/nothing/here"})}
        assert states["python"].note == "/nothing/here is no program."
        api.change_settings({"python": ""})


def test_python_without_mlx_lm_is_refused_in_words(engine: RunningEngine, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    wanted = draft("Bare", python=str(tmp_path / "bare"))
    with engine.api() as api:
        problems = {p.field: p.message for p in api.preview_profile(wanted).problems}
        assert "has no mlx-lm" in problems["python"]
        made = api.create_profile(wanted)
        api.start_server(made.id)
        failure = engine.settle(made.id).failure
        assert failure is not None
        assert failure.code is ErrorCode.PYTHON_UNUSABLE
        assert "pip install mlx-lm" in failure.message
        api.remove_server(made.id)
        api.delete_profile(made.id)


def test_settings_tell_what_new_profiles_say(engine: RunningEngine) -> None:
    with engine.api() as api:
        assert api.engine().new_policy == {}
        api.change_settings({"new_idle_stop_minutes": 30})
        assert api.engine().new_policy == {"idle_stop_minutes": 30}
        api.change_settings({"new_idle_stop_minutes": 0})


def test_draft_model_and_adapter_are_checked_at_their_fields(
    engine: RunningEngine, tmp_path: Path
) -> None:
    wanted = draft("Drafted", draft_model="org/not-here", adapter_path=str(tmp_path / "none"))
    with engine.api() as api:
        problems = {p.field: p.message for p in api.preview_profile(wanted).problems}
        assert "org/not-here is not on this disk" in problems["draft_model"]
        assert "does not exist" in problems["adapter_path"]
        made = api.create_profile(wanted)
        api.start_server(made.id)
        failure = engine.settle(made.id).failure
        assert failure is not None
        assert failure.code is ErrorCode.OPTION_WRONG
        assert "The draft model cannot be used: org/not-here" in failure.message
        api.remove_server(made.id)
        api.delete_profile(made.id)


def test_draft_model_of_the_library_is_given_as_its_folder(engine: RunningEngine) -> None:
    wanted = draft("Guessing", draft_model="demo", max_tokens=4)
    with engine.api() as api:
        found = api.preview_profile(wanted)
        assert found.problems == ()
        assert f"--draft-model={paths.demo_model()}" in found.command
        made = api.create_profile(wanted)
        engine.start(made.id)
        assert engine.complete(model="Guessing").status == 200
        # The folder is for the server alone.
        assert made.options["draft_model"] == "demo"
        assert not next(s for s in api.servers() if s.id == made.id).pending
        engine.stop_server(made.id)
        api.remove_server(made.id)
        api.delete_profile(made.id)
