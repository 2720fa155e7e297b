"""Profiles that come from elsewhere: exported files, the earlier app's database, another Python."""

import json
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import files, paths
from app.engine.profiles import ProfileStore, portable, predecessor
from app.engine.runtimes import all_runtimes
from app.engine.runtimes.mlx_lm import MlxLm
from app.engine.runtimes.python import Pythons
from app.wire.errors import AppError
from app.wire.nouns import Profile, ProfileDraft
from app.wire.portable import Consent, ImportEntry

RUNTIMES = all_runtimes()
HEAD = 'format = "mlx-manager-profiles"\nversion = 1\n'


def judged(text: str, existing: dict[str, Profile] | None = None) -> list[portable.Found]:
    return portable.judge(portable.read_text(text), RUNTIMES, existing or {})


def entry(options: str, *, model: str = "a/b") -> ImportEntry:
    text = f'{HEAD}[[profile]]\nname = "N"\nmodel = "{model}"\n[profile.options]\n{options}\n'
    return judged(text)[0].entry


def consents(found: ImportEntry) -> dict[str, Consent | None]:
    return {value.key.partition(".")[2]: value.consent for value in found.values}


def test_exported_text_describes_itself_and_reads_back(home: Path) -> None:
    store = ProfileStore(RUNTIMES)
    made = store.create(
        ProfileDraft("Ünï “x”", "a/b", options={"temp": 0.5, "chat_template": "a\n'\"\\"}),
        existing={},
    )
    text = portable.export_text(made)
    assert text.startswith("# For MLX Model Manager")
    assert 'format = "mlx-manager-profiles"\nversion = 1\n' in text
    (found,) = judged(text)
    assert found.draft == ProfileDraft("Ünï “x”", "a/b", options=made.options)


def test_file_of_a_profile_itself_can_be_imported(home: Path) -> None:
    store = ProfileStore(RUNTIMES)
    made = store.create(ProfileDraft("Plain", "a/b", options={"temp": 0.5}), existing={})
    (found,) = judged(Path(made.path).read_text(encoding="utf-8"))
    assert found.draft is not None
    assert found.draft.options == {"temp": 0.5}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = = 1\n", r"\(line 1\)"),
        (HEAD + "[[profile]\n", r"\(line 3\)"),
        ("", "no file of profiles"),
        ('format = "other"\nversion = 1\n', "no file of profiles"),
        (HEAD.replace("1", "2") + '[[profile]]\nname = "a"\n', "newer version"),
        (HEAD, r"no \[\[profile\]\]"),
        (HEAD + "profile = 3\n", r"no \[\[profile\]\]"),
        (HEAD + "profile = [3]\n", r"no \[\[profile\]\]"),
        ("[" * 100_000, r"line 1|too many levels"),
        ("#" * 300_000, "larger than 256 KB"),
    ],
)
def test_file_that_is_none_says_why(text: str, reason: str) -> None:
    with pytest.raises(AppError, match=reason) as refused:
        portable.read_text(text)
    assert refused.value.message.startswith("The file cannot be imported: ")


def test_one_bad_profile_does_not_spoil_the_others() -> None:
    text = HEAD + '[[profile]]\nname = "A"\n[[profile]]\nname = "B"\nmodel = "a/b"\n'
    bad, good = judged(text)
    assert bad.entry.problem == "“model” is missing or not text."
    assert bad.draft is None
    assert good.draft is not None


def test_name_that_is_taken_gets_a_number_also_within_the_file() -> None:
    existing = {"x": Profile("x", "twin", "m")}
    text = HEAD + '[[profile]]\nname = "Twin"\nmodel = "a/b"\n' * 2
    assert [one.entry.name for one in judged(text, existing)] == ["Twin 2", "Twin 3"]


def test_values_that_do_not_work_here_are_left_out_and_told() -> None:
    found = entry("future = 1\ntemp = 99\ntop_k = 5")
    assert [value.label for value in found.values] == ["Top k"]
    assert found.notes[0] == "This app has no option “future”, so it is left out."
    assert found.notes[1].startswith("Temperature (temp): 99 does not work")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("trust_remote_code = true", Consent.CODE),
        ('adapter_path = "/etc/passwd"', Consent.PATHS),
        ('adapter_path = "adapters"', Consent.PATHS),
        ('draft_model = "~/models/x"', Consent.PATHS),
        ('draft_model = "a/../../x"', Consent.PATHS),
        ('draft_model = "C:\\\\x"', Consent.PATHS),
        ('draft_model = "mlx-community/tiny"', None),
        ('python = "/usr/bin/python3"', Consent.PATHS),
        ('environment = \'{"A": "1"}\'', Consent.ENVIRONMENT),
        ("temp = 1.0", None),
    ],
)
def test_what_can_do_harm_needs_consent(line: str, kind: Consent | None) -> None:
    assert list(consents(entry(line)).values()) == [kind]


@pytest.mark.parametrize("line", ["trust_remote_code = false", "environment = '{}'", "temp = 0.0"])
def test_default_that_is_written_out_is_no_difference(line: str) -> None:
    assert entry(line).values == ()


def test_profile_of_a_model_folder_is_imported_only_when_that_is_allowed() -> None:
    text = HEAD + '[[profile]]\nname = "F"\nmodel = "/models/x"\n'
    (found,) = judged(text)
    assert consents(found.entry) == {"model": Consent.PATHS}
    assert portable.allowed_draft(found, ()) == (None, ["F: Model folder (/models/x)"])
    for allow in ("0.model", "paths"):
        draft, lines = portable.allowed_draft(found, (allow,))
        assert draft is not None
        assert (draft.model, lines) == ("/models/x", [])


def make_database(path: Path, columns: str, *rows: tuple[Any, ...], table: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {columns})")
    marks = ", ".join("?" * len(columns.split(",")))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608
    connection.commit()
    connection.close()


def test_profiles_of_the_predecessor_are_read_and_nothing_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "old" / "mlx-manager.db"
    monkeypatch.setenv("MLX_MANAGER_DATABASE_PATH", str(path))
    assert predecessor.database() is None
    make_database(
        path,
        "name, description, model_path, port, max_concurrency, trust_remote_code, log_level, "
        "auto_start, chat_template_file",
        ("Coding", "x", "mlx-community/Qwen3-8B-4bit", 10240, 4, 1, "info", 1, None),
        ("Bad", None, "--help", -5, 1, 0, "INFO", 0, "/t.jinja"),
        table="server_profiles",
    )
    before = path.read_bytes()
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert predecessor.database() == path
        tables, notes = predecessor.read(path)
    finally:
        path.parent.chmod(stat.S_IRWXU)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["mlx-manager.db"]
    good, bad = portable.judge(tables, RUNTIMES, {}, notes)
    assert good.draft == ProfileDraft(
        "Coding", "mlx-community/Qwen3-8B-4bit",
        options={"trust_remote_code": True, "decode_concurrency": 4, "log_level": "INFO"},
        policy={"start_with_app": True},
    )  # fmt: skip
    assert consents(good.entry)["trust_remote_code"] is Consent.CODE
    assert bad.draft is None
    assert "template" in notes[1][0]


def test_later_predecessor_names_its_models_in_another_table(home: Path) -> None:
    path = home / "old.db"
    make_database(path, "repo_id", ("a/b",), table="models")
    make_database(
        path, "name, model_id, default_temperature, default_max_tokens, model_path",
        ("Chat", 1, 0.7, 4096, None), table="execution_profiles",
    )  # fmt: skip
    tables, _ = predecessor.read(path)
    (found,) = portable.judge(tables, RUNTIMES, {})
    assert found.draft == ProfileDraft("Chat", "a/b", options={"temp": 0.7, "max_tokens": 4096})


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one" * 99])
def test_database_that_is_none_brings_nothing_or_says_so(home: Path, content: bytes) -> None:
    path = home / "old.db"
    path.write_bytes(content)
    if not content:
        assert predecessor.read(path)[0] == []
        return
    with pytest.raises(AppError, match="cannot be read"):
        predecessor.read(path)


def fake_environment(folder: Path, version: str, *flags: str, mlx: str = "") -> Path:
    """Make an environment whose mlx-lm is a stand-in of some version."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "mlx").mkdir()
    (site / "mlx" / "core.py").write_text(mlx)
    (site / "mlx_lm").mkdir()
    (site / "mlx_lm" / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    calls = "\n".join(f'    parser.add_argument("{flag}", type=int)' for flag in flags)
    (site / "mlx_lm" / "server.py").write_text(f"def main(parser):\n    pass\n{calls}\n")
    set_version(site, version)
    return folder


def set_version(site: Path, version: str) -> None:
    for old in site.glob("mlx_lm-*.dist-info"):
        (old / "METADATA").unlink()
        old.rmdir()
    folder = site / f"mlx_lm-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mlx-lm\nVersion: {version}\n")


NEEDED = ("--model", "--host", "--port", "--allowed-origins", "--prompt-cache-bytes")


def test_option_that_another_mlx_lm_does_not_know_is_told_and_refused(tmp_path: Path) -> None:
    folder = fake_environment(tmp_path / "old", "0.31.3", *NEEDED, "--temp")
    runtime = MlxLm(lambda: str(folder))
    runtime.refresh()
    assert runtime.info.version == "0.31.3"
    assert runtime.info.text.startswith("mlx-lm 0.31.3 · Python 3.")
    assert runtime.info.unsupported["kv_bits"] == "mlx-lm 0.31.3 has no --kv-bits."
    assert "temp" not in runtime.info.unsupported
    good = Profile("x", "X", "m", options={"temp": 0.5})
    assert "--temp=0.5" in runtime.command(good, "/m")
    bad = Profile("x", "X", "m", options={"kv_bits": 8})
    with pytest.raises(AppError, match=r"mlx-lm 0\.31\.3 has no --kv-bits"):
        runtime.command(bad, "/m")
    (problem,) = runtime.preview(bad, "/m").problems
    assert problem.field == "kv_bits"


def test_python_is_asked_again_only_when_its_packages_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_environment(tmp_path / "one", "0.31.3", *NEEDED)
    asked: list[object] = []
    plain = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: asked.append(a) or plain(*a, **k))
    pythons = Pythons()
    assert pythons.find(str(folder)) == pythons.find(str(folder / "bin" / "python3"))
    assert len(asked) == 1
    (site,) = folder.glob("lib/python*/site-packages")
    set_version(site, "0.32.2")
    assert pythons.find(str(folder)).versions["mlx-lm"] == "0.32.2"
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("version", "flags", "mlx", "problem"),
    [
        ("0.20.0", ("--model",), "", "mlx-lm 0.20.0 in .* is too old"),
        ("0.32.2", NEEDED, "raise ImportError('no Metal\\nhere')", "cannot load mlx: no Metal"),
    ],
)
def test_python_that_cannot_be_used_says_why(
    tmp_path: Path, version: str, flags: tuple[str, ...], mlx: str, problem: str
) -> None:
    folder = fake_environment(tmp_path / "env", version, *flags, mlx=mlx)
    found = Pythons().find(str(folder))
    assert re.search(problem, found.problem), found.problem


@pytest.mark.parametrize(
    "answer",
    ["hello", "[]", "{}", "null", '{"python": 3, "versions": [], "flags": 1}', "", "\\xff"],
)
def test_program_that_answers_something_else_is_no_python(tmp_path: Path, answer: str) -> None:
    program = tmp_path / "python3"
    program.write_text(f"#!/bin/sh\nprintf '%b' '{answer}'\n")
    program.chmod(0o755)
    assert Pythons().find(str(program)).problem == f"{program} does not answer like a Python."


def test_path_that_is_no_python_says_so(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.mkdir()
    text.write_text("hello")
    pythons = Pythons()
    assert pythons.find(str(empty)).problem == f"{empty} has no bin/python."
    assert pythons.find(str(text)).problem == f"{text} is no program."
    assert "no absolute path" in pythons.find("python3").problem


def test_environment_of_a_profile_never_touches_the_apps_own() -> None:
    given = json.dumps({"A": 1, "B": "x", "MLX_MANAGER_UPSTREAM_TOKEN": "stolen"})
    profile = Profile("x", "X", "m", options={"environment": given})
    assert MlxLm().environment(profile) == {"A": "1", "B": "x"}


def test_newest_deleted_version_is_the_one_that_comes_back(home: Path) -> None:
    path = paths.profiles() / "a.toml"
    path.parent.mkdir(parents=True)
    for text in ("first", "second"):
        path.write_text(text)
        files.move_to_trash(path, paths.trash())
    other = paths.profiles() / "b-a.toml"
    other.write_text("other")
    files.move_to_trash(other, paths.trash())
    found = files.newest_in_trash(path, paths.trash())
    assert found is not None
    assert found.read_text() == "second"
