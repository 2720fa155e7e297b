"""`mlxm export` and `mlxm import` as people run them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_kit import RunningEngine, running_engine
from test_cli import mlxm

from app.wire.nouns import ProfileDraft


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    with running_engine(homes) as one:
        yield one


def test_exported_profile_is_imported_with_what_is_allowed(
    engine: RunningEngine, tmp_path: Path
) -> None:
    options = {"temp": 0.5, "trust_remote_code": True}
    with engine.api() as api:
        api.create_profile(ProfileDraft("Trusting", "a/b", options=options))
    file = tmp_path / "one.mlxprofile"
    assert str(file) in mlxm(engine.home, "export", "Trusting", str(file)).stdout
    # Never over another file.
    assert "exists" in mlxm(engine.home, "export", "Trusting", str(file), code=1).stderr
    assert mlxm(engine.home, "export", "trusting", "-").stdout == file.read_text(encoding="utf-8")
    shown = mlxm(engine.home, "import", str(file), "--preview").stdout
    assert "Trusting 2: a/b" in shown
    assert "Temperature: 0.5 (default: 0)" in shown
    assert "Needs --allow code" in shown
    done = mlxm(engine.home, "import", str(file))
    assert "Imported Trusting 2" in done.stdout
    assert "Left out: Trusting 2: Run code from the model folder (on)" in done.stderr
    done = mlxm(engine.home, "import", str(file), "--allow", "code,paths")
    assert "Needs --allow" not in done.stdout
    with engine.api() as api:
        made = {profile.name: profile.options for profile in api.profiles()}
    assert made["Trusting 2"] == {"temp": 0.5}
    assert made["Trusting 3"] == options


def test_import_that_does_not_work_exits_1_and_says_why(
    engine: RunningEngine, tmp_path: Path
) -> None:
    file = tmp_path / "bad.mlxprofile"
    file.write_text("a = 1\nb = = 2\n")
    assert "(line 2)" in mlxm(engine.home, "import", str(file), code=1).stderr
    missing = mlxm(engine.home, "import", str(tmp_path / "none"), code=1)
    assert "cannot be imported: No such file" in missing.stderr
    unknown = mlxm(engine.home, "import", str(file), "--allow", "everything", code=1)
    assert "one of paths, environment, network, code, all" in unknown.stderr
    folder = tmp_path / "folder.mlxprofile"
    folder.write_text(
        'format = "mlx-manager-profiles"\nversion = 1\n[[profile]]\nname = "F"\nmodel = "/x"\n'
    )
    nothing = mlxm(engine.home, "import", str(folder), code=1)
    assert "Nothing was imported" in nothing.stderr
