"""The control API against its own OpenAPI document: no server error, no undocumented answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine_kit import running_engine

from app.wire.openapi import SHAPES, document
from app.wire.routes import ROUTES

KEY = "correct-horse-battery-staple"
LEFT_OUT = {
    "events": "it never ends",
    "search_hub": "it needs the hub",
    "hub_model": "it needs the hub",
}
SEED = "1"
EXAMPLES = "6"


def test_every_route_is_in_the_document() -> None:
    assert [row.name for row in ROUTES] == list(SHAPES)
    operations = {
        operation["operationId"]
        for path in document()["paths"].values()
        for operation in path.values()
    }
    assert operations == set(SHAPES)


@pytest.mark.parametrize("key", [None, KEY], ids=["open", "with key"])
def test_control_api_keeps_to_its_document(homes: Path, tmp_path: Path, key: str | None) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document()))
    headers = ["-H", f"Authorization: Bearer {key}"] if key else []
    left_out = [word for name in LEFT_OUT for word in ("--exclude-operation-id", name)]
    with running_engine(homes, key=key, env={"HF_HUB_OFFLINE": "1"}) as engine:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run", str(file),
                "--url", engine.url, "--max-examples", EXAMPLES, "--seed", SEED,
                "--checks", "all",
                # What a schema cannot say, such as that a name must be new, is refused with 400.
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
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr
        assert "Test cases:" in done.stdout
        assert engine.call("GET", "/api/engine").status == 200
        assert "Traceback" not in engine.log
