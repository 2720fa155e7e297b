"""An architecture that only another Python's mlx-lm knows: refused in words, then really served."""

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from engine_kit import RunningEngine, new_home, running_engine, until
from model_kit import make_hub_repo

from app import paths
from app.wire.errors import ErrorCode
from app.wire.nouns import ProfileDraft

ID = "someone/Newborn-1M"


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    """An engine with a model on its disk whose architecture came out after its mlx-lm."""
    home = new_home(homes)
    files = {file.name: file.read_bytes() for file in paths.demo_model().iterdir()}
    config = json.loads(files["config.json"]) | {"model_type": "newborn"}
    make_hub_repo(home / "hf" / "hub", ID, files | {"config.json": json.dumps(config).encode()})
    with running_engine(homes, home=home) as one:
        with one.api() as api:
            until(lambda: any(model.id == ID for model in api.models()))
        yield one


@pytest.fixture(scope="module")
def newer_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment whose mlx-lm has one model more, and everything else as it is here."""
    folder = tmp_path_factory.mktemp("newer") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    here = Path(sysconfig.get_paths()["purelib"])
    (site / "here.pth").write_text(f"{here}\n")
    shutil.copytree(here / "mlx_lm", site / "mlx_lm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(site / "mlx_lm/models/qwen3.py", site / "mlx_lm/models/newborn.py")
    return folder


def test_architecture_that_the_built_in_does_not_know_runs_in_another_python(
    engine: RunningEngine, newer_python: Path
) -> None:
    draft = ProfileDraft("Newborn", ID, options={"max_tokens": 8})
    with engine.api() as api:
        (model,) = (m for m in api.models() if m.id == ID)
        assert "does not know the architecture newborn" in (model.problem or "")
        (problem,) = api.preview_profile(draft).problems
        assert problem.field == "model"
        assert "does not know the architecture newborn" in problem.message
        made = api.create_profile(draft)
        api.start_server(made.id)
        failure = engine.settle(made.id).failure
        assert failure is not None
        assert failure.code is ErrorCode.MODEL_UNSUPPORTED
        assert "The built-in mlx-lm" in failure.message
        assert "another Python" in failure.hint

        options = {**draft.options, "python": str(newer_python)}
        changed = msgspec.structs.replace(
            draft, options=options, revision=made.revision, id=made.id
        )
        assert api.preview_profile(changed).problems == ()
        api.update_profile(made.id, changed)
        engine.start(made.id)
        assert engine.complete(model="Newborn").json["choices"]
        engine.stop_server(made.id)


def test_other_python_that_does_not_know_it_either_is_named(
    engine: RunningEngine, newer_python: Path
) -> None:
    (models,) = newer_python.glob("lib/python*/site-packages/mlx_lm/models")
    (models / "newborn.py").unlink()
    draft = ProfileDraft("Stillborn", ID, options={"python": str(newer_python)})
    with engine.api() as api:
        (problem,) = api.preview_profile(draft).problems
        assert problem.field == "model"
        assert str(newer_python) in problem.message
        made = api.create_profile(draft)
        api.start_server(made.id)
        failure = engine.settle(made.id).failure
    assert failure is not None
    assert failure.code is ErrorCode.MODEL_UNSUPPORTED
    assert str(newer_python) in failure.message
