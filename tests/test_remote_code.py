"""Python files that come with a model run only on the user's word."""

import json
import shutil
from pathlib import Path

from engine_kit import RunningEngine, new_home, running_engine

from app import paths
from app.wire.nouns import ServerState

_BAIT = """
from pathlib import Path
Path(__file__).with_name("it-ran").touch()
raise ValueError("this was only a bait")
"""


def _start(engine: RunningEngine, model: Path, *, trusts: bool) -> bool:
    """Start a profile of the model, which fails; return True if the model's code ran."""
    name = f"trust {trusts}"
    options = {"trust_remote_code": True} if trusts else {}
    profile = {"name": name, "model": str(model), "options": options}
    answer = engine.call("POST", "/api/profiles", profile)
    assert answer.status == 201, answer.json
    with engine.api() as api:
        api.start_server(answer.json["id"])
    assert engine.settle(answer.json["id"]).state is ServerState.FAILED
    return (model / "it-ran").exists()


def test_code_of_a_model_runs_only_when_the_profile_trusts_it(homes: Path) -> None:
    home = new_home(homes)
    model = home / "bait"
    shutil.copytree(paths.demo_model(), model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_file": "bait.py"}))
    (model / "bait.py").write_text(_BAIT)
    with running_engine(homes, home=home) as engine:
        assert not _start(engine, model, trusts=False)
        assert _start(engine, model, trusts=True)
