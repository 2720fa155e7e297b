"""The snippets of the Connect tab, run as a user would run them, against a real gateway."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from engine_kit import DEADLINE_S, RunningEngine, running_engine

from app.wire.snippets import NO_KEY, Snippet, Target, snippets

KEY = "sk-snippets-'41"
AWKWARD = Target("http://127.0.0.1:1/v1", 'It\'s "a" model\\', "k'e\"y")


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    with running_engine(homes, key=KEY) as one:
        one.start("demo")
        yield one


def snippet(name: str, target: Target) -> Snippet:
    return next(found for found in snippets(target) if found.id == name)


def target_of(engine: RunningEngine, key: str | None = KEY) -> Target:
    return Target(f"{engine.gateway_url}/v1", "Demo", key)


def run(command: list[str], folder: Path, **more: str) -> str:
    # An engine on this computer must be reached whatever proxy the environment names.
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()} | more
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_snippet_gets_an_answer(engine: RunningEngine, tmp_path: Path) -> None:
    text = snippet("curl", target_of(engine)).text
    answer = json.loads(run(["sh", "-c", text], tmp_path))
    assert answer["choices"][0]["message"]["content"]
    assert answer["model"] == "Demo"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_snippet_with_a_wrong_key_is_refused(engine: RunningEngine, tmp_path: Path) -> None:
    text = snippet("curl", target_of(engine, "wrong")).text
    assert json.loads(run(["sh", "-c", text], tmp_path))["error"]["code"] == "unauthorized"


def test_python_snippet_streams_an_answer(engine: RunningEngine, tmp_path: Path) -> None:
    file = tmp_path / "chat.py"
    file.write_text(snippet("python", target_of(engine)).text, encoding="utf-8")
    assert run([sys.executable, str(file)], tmp_path).strip()


def test_version_that_is_named_for_python_is_the_one_that_ran() -> None:
    release = metadata.version("openai").rpartition(".")[0]
    assert snippet("python", AWKWARD).tested == f"openai {release}"


def test_names_and_keys_with_quotes_stay_whole(tmp_path: Path) -> None:
    shown = run(["sh", "-c", "set -- " + snippet("curl", AWKWARD).text[5:] +
                 '\nprintf "%s\\n" "$@"'], tmp_path)  # fmt: skip
    assert f"Authorization: Bearer {AWKWARD.key}" in shown
    body = shown[shown.index("{") :]
    assert json.loads(body)["model"] == AWKWARD.model
    code = snippet("python", AWKWARD).text.splitlines()
    values: dict[str, object] = {"OpenAI": dict}
    client = next(line for line in code if line.startswith("client ="))
    exec(client, values)  # noqa: S102 - our own snippet
    assert values["client"] == {"base_url": AWKWARD.base_url, "api_key": AWKWARD.key}
    aider = run(["sh", "-c", snippet("aider", AWKWARD).text.replace("aider --model", "echo")],
                tmp_path)  # fmt: skip
    assert aider.strip() == f"openai/{AWKWARD.model}"


def test_without_a_key_programs_get_a_word_and_curl_gets_none() -> None:
    open_target = Target("http://127.0.0.1:1/v1", "Demo")
    for found in snippets(open_target):
        assert ("Authorization" in found.text) is False
        assert (NO_KEY in found.text) is (found.id != "curl")


def test_programs_that_do_not_work_with_it_are_left_out() -> None:
    names = " ".join(found.name for found in snippets(AWKWARD)).lower()
    assert "claude" not in names
    assert "codex" not in names
