"""The official OpenAI client with tools, and with a server that dies, behind a real gateway."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from engine_kit import DEADLINE_S, ENDLESS, RunningEngine, running_engine, until
from tool_model import ANSWER, make_tool_model

from app.wire.nouns import ServerState
from app.wire.requests import RequestState

PROFILE = 'name = "{0}"\nmodel = {1}\n'
QUESTION: list[Any] = [{"role": "user", "content": "Does it rain in Paris?"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    with running_engine(homes) as one:
        model = make_tool_model(one.home / "models" / "caller")
        one.write_profile("caller", PROFILE.format("Caller", json.dumps(str(model))))
        one.write_profile("mortal", PROFILE.format("Mortal", '"demo"'))
        with one.api() as api:
            until(lambda: {"caller", "mortal"} <= {p.id for p in api.profiles()})
        one.start("caller")
        yield one


@pytest.fixture
def client(engine: RunningEngine) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{engine.gateway_url}/v1", api_key="none", max_retries=0, timeout=DEADLINE_S
    ) as one:
        yield one


def test_tool_is_called_and_its_result_is_answered(client: openai.OpenAI) -> None:
    create = client.chat.completions.create
    asked = create(model="Caller", messages=QUESTION, tools=TOOLS)
    assert asked.choices[0].finish_reason == "tool_calls"
    (call,) = asked.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    messages = [*QUESTION, asked.choices[0].message, result]
    answered = create(model="Caller", messages=messages, tools=TOOLS)
    assert answered.choices[0].finish_reason == "stop"
    assert not answered.choices[0].message.tool_calls
    assert (answered.choices[0].message.content or "").strip() == ANSWER


def test_tool_call_of_a_stream_is_that_of_the_answer_in_one_piece(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="Caller", messages=QUESTION, tools=TOOLS)
    # The client's own reader puts the pieces together.
    with client.chat.completions.stream(model="Caller", messages=QUESTION, tools=TOOLS) as stream:
        built = stream.get_final_completion()
    assert built.model == whole.model == "Caller"
    assert built.choices[0].finish_reason == whole.choices[0].finish_reason == "tool_calls"
    (streamed,) = built.choices[0].message.tool_calls or ()
    (call,) = whole.choices[0].message.tool_calls or ()
    assert streamed.function.name == call.function.name  # type: ignore[union-attr]
    assert streamed.function.arguments == call.function.arguments  # type: ignore[union-attr]


@pytest.mark.parametrize("streams", [True, False])
def test_server_killed_in_mid_answer_is_an_error_of_the_client(
    engine: RunningEngine, client: openai.OpenAI, streams: bool
) -> None:
    server = engine.start("mortal")
    assert server.pid is not None
    endless: Any = {"extra_body": ENDLESS, "max_tokens": 100_000, "model": "Mortal"}
    create = client.chat.completions.create
    if streams:
        chunks = iter(create(messages=QUESTION, stream=True, **endless))
        seen = [next(chunks) for _ in range(3)]
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(openai.APIError, match="stopped in mid-answer"):
            seen.extend(chunks)
        assert all(c.finish_reason is None for chunk in seen for c in chunk.choices)
    else:
        killer = threading.Thread(target=kill_at_the_first_token, args=(engine, server.pid))
        killer.start()
        with pytest.raises(openai.InternalServerError, match="stopped in mid-answer") as caught:
            create(messages=QUESTION, **endless)
        killer.join(DEADLINE_S)
        assert caught.value.status_code == 502
    with engine.api() as api:
        until(lambda: api.server("mortal").state is ServerState.FAILED)
        assert api.requests(last=1)[0].state is RequestState.FAILED


def kill_at_the_first_token(engine: RunningEngine, pid: int) -> None:
    with engine.api() as api:
        until(lambda: api.requests(last=1)[0].ttft_s is not None)
    os.kill(pid, signal.SIGKILL)
