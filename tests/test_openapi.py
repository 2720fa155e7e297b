"""The control API against its own OpenAPI document: no server error, no undocumented answer."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from engine_kit import RunningEngine, new_home, running_engine, until
from foreign_kit import fake_server, mlx_command
from hub import StandInHub
from hub.demo import add_demo_models
from model_kit import make_hub_repo, model_files

from app.wire.openapi import SHAPES, document
from app.wire.routes import ROUTES

KEY = "correct-horse-battery-staple"
LEFT_OUT = {"events": "it never ends"}
SEED = "1"
EXAMPLES = "6"
_HUB_MODEL = "mlx-community/Demo-Llama-1B-4bit"
_OWN_IDS = {"remove_server": "spare", "remove_model": "a/two"}
# A profile comes back only while it is deleted, and texts are there until the run deletes them all.
_NEVER_MET = {"restore_profile", "request_texts"}


def test_every_route_is_in_the_document() -> None:
    assert [row.name for row in ROUTES] == list(SHAPES)
    operations = {
        operation["operationId"]: operation
        for path in document()["paths"].values()
        for operation in path.values()
    }
    assert set(operations) == set(SHAPES)
    for operation in operations.values():
        assert "default" not in operation["responses"]
        assert "403" in operation["responses"]


def _foreign_id(engine: RunningEngine, pid: int) -> str:
    found = engine.call("GET", "/api/foreign").json
    return next((server["id"] for server in found if server["pid"] == pid), "")


def populated(engine: RunningEngine, foreign_pid: int) -> dict[str, Any]:
    """Put something of everything into the engine; return the document with ids of it."""
    ids: dict[str, str] = {"profiles": "demo", "servers": "demo", "models": "demo"}
    ids["hub"] = ids["downloads"] = _HUB_MODEL
    assert engine.call("POST", "/api/downloads", {"id": _HUB_MODEL}).status == 202
    assert engine.call("POST", f"/api/downloads/{quote(_HUB_MODEL)}/pause").status == 202
    ids["keys"] = engine.call("POST", "/api/keys", {"name": "k"}).json["key"]["id"]
    assert engine.call("POST", "/api/profiles", {"name": "Spare", "model": "demo"}).status == 201
    for server in ("demo", "spare"):
        engine.start(server)
    engine.stop_server("spare")
    until(lambda: _foreign_id(engine, foreign_pid) != "")
    ids["foreign"] = _foreign_id(engine, foreign_pid)
    found = document()
    for path, operations in found["paths"].items():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    subject = path.split("/")[2]
                    name = operation["operationId"]
                    parameter["example"] = _OWN_IDS.get(name) or ids.get(subject, "nobody")
    return found


@pytest.mark.parametrize("key", [None, KEY], ids=["open", "with key"])
def test_control_api_keeps_to_its_document(homes: Path, tmp_path: Path, key: str | None) -> None:
    file, report = tmp_path / "openapi.json", tmp_path / "report.ndjson"
    headers = ["-H", f"Authorization: Bearer {key}"] if key else []
    left_out = [word for name in LEFT_OUT for word in ("--exclude-operation-id", name)]
    with StandInHub(rate=100_000) as hub, fake_server(tmp_path, *mlx_command()) as stranger:
        add_demo_models(hub)
        env = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
        home = new_home(homes)
        make_hub_repo(home / "hf" / "hub", "a/two", model_files())
        with running_engine(homes, key=key, home=home, env=env) as engine:
            file.write_text(json.dumps(populated(engine, stranger.process.pid)))
            done = subprocess.run(
                [
                    str(Path(sys.executable).with_name("schemathesis")), "run", str(file),
                    "--url", engine.url, "--max-examples", EXAMPLES, "--seed", SEED,
                    "--phases", "examples,coverage,fuzzing",
                    "--report", "ndjson", "--report-ndjson-path", str(report),
                    "--checks", "all",
                    # What a schema cannot say, such as that a name must be new, is refused by 400.
                    "--exclude-checks", "positive_data_acceptance",
                    *left_out, *headers,
                ],
                cwd=tmp_path,
                env={**os.environ, "NO_COLOR": "1"},
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )  # fmt: skip
            log = (engine.home / "logs" / "hub.log").read_text()[-2000:]
            assert done.returncode == 0, done.stdout[-8000:] + done.stderr + log
            assert "Test cases:" in done.stdout
            assert engine.call("GET", "/api/engine").status == 200
            assert "Traceback" not in engine.log
    missed = _with_ids() - _NEVER_MET - met(report)
    assert not missed, missed


def _with_ids() -> set[str]:
    return {row.name for row in ROUTES if "{" in row.path}


def met(report: Path) -> set[str]:
    """Return the operations that were answered with a success at least once."""
    names = {f"{row.method} {re.sub(':path', '', row.path)}": row.name for row in ROUTES}
    found: set[str] = set()
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for step in recorder.get("interactions", {}).values():
            if ((step.get("response") or {}).get("status_code") or 500) < 300:
                found.add(names[recorder["label"]])
    return found
