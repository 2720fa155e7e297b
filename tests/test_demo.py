"""`make demo ARGS=--hub`: the app at a hub of this computer's."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
from engine_kit import DEADLINE_S, until

from app.client.api import Api
from app.wire.hub import HubQuery
from app.wire.nouns import DownloadRequest

SCRIPT = Path(__file__).parent / "scripts" / "demo.py"
RUNS = "mlx-community/Demo-Runs"


def test_demo_with_a_hub_finds_and_downloads_a_model_that_can_be_served(home: Path) -> None:
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "TMPDIR": str(home)}
    demo = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--hub"],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert demo.stdout is not None
    found = re.search(r"the home (.+);", demo.stdout.readline())
    assert found is not None
    place = Path(found[1])
    until((place / "run" / "engine.json").exists, DEADLINE_S)
    engine = json.loads((place / "run" / "engine.json").read_text())
    with Api(engine["url"]) as api:
        assert RUNS in {m.id for m in api.search_hub(HubQuery(text="demo")).models}
        api.add_download(DownloadRequest(RUNS))
        until(lambda: not api.downloads())
        (model,) = [m for m in api.models() if m.id == RUNS]
        assert model.problem is None
    (app,) = psutil.Process(demo.pid).children()
    app.terminate()
    _, errors = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 0, errors
    assert not place.exists()
