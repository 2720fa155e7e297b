"""Other people's programs, set up by the snippets of the Connect tab, against a real server.

They are downloaded, so they are no part of `make test`: `make clients` runs them.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_kit import RunningEngine, running_engine, until
from test_snippets import KEY, run, snippet
from throwaway import node_modules, python_programs
from tool_model import ANSWER, make_tool_model

from app.wire.requests import RequestRecord, RequestState
from app.wire.snippets import Target

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]

AIDER = "0.86.2"
OPENAI_FOR_NODE = "6.49.0"
# What it would otherwise do at its start: look for a newer one, and open pages in a browser.
AIDER_ALONE = (
    " --message 'Say hello' --yes-always --no-git --no-check-update --no-browser"
    " --no-show-release-notes --no-show-model-warnings --analytics-disable"
)


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    with running_engine(homes, key=KEY) as one:
        # The demo model would talk on to its limit, which Aider takes for trouble.
        model = make_tool_model(one.home / "models" / "speaker")
        one.write_profile("speaker", f'name = "Speaker"\nmodel = {json.dumps(str(model))}\n')
        with one.api() as api:
            until(lambda: "speaker" in [profile.id for profile in api.profiles()])
        one.start("speaker")
        yield one


def target_of(engine: RunningEngine) -> Target:
    return Target(f"{engine.gateway_url}/v1", "Speaker", KEY)


def last_request(engine: RunningEngine) -> RequestRecord:
    with engine.api() as api:
        return api.requests(last=1)[0]


def test_aider_gets_an_answer(engine: RunningEngine, tmp_path: Path) -> None:
    programs = python_programs("aider", f"aider-chat=={AIDER}")
    found = snippet("aider", target_of(engine))
    assert found.tested == f"Aider {AIDER.rpartition('.')[0]}"
    shown = run(
        ["sh", "-c", found.text + AIDER_ALONE],
        tmp_path,
        HOME=str(tmp_path),
        PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
        # The list of prices would be fetched.
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    assert ANSWER in shown
    request = last_request(engine)
    assert request.state is RequestState.DONE
    assert request.is_stream
    # Its own instructions to the model come before the message.
    assert (request.prompt_tokens or 0) > 100
    assert request.completion_tokens


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no node here")
def test_javascript_snippet_streams_an_answer(engine: RunningEngine, tmp_path: Path) -> None:
    modules = node_modules("openai-node", f"openai@{OPENAI_FOR_NODE}")
    found = snippet("javascript", target_of(engine))
    assert found.tested.startswith(f"openai {OPENAI_FOR_NODE.rpartition('.')[0]} on Node ")
    (tmp_path / "node_modules").symlink_to(modules)
    file = tmp_path / "chat.mjs"
    file.write_text(found.text, encoding="utf-8")
    assert run(["node", str(file)], tmp_path).strip() == ANSWER
    request = last_request(engine)
    assert request.state is RequestState.DONE
    assert request.is_stream
