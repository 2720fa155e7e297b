"""The official OpenAI client against a real server behind the gateway of a real engine."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from engine_kit import (
    DEADLINE_S,
    ENDLESS,
    RunningEngine,
    call,
    chat,
    running_engine,
    wait_for_event,
)

from app.throttle import FREE
from app.wire.events import Samples
from app.wire.nouns import ServerState
from app.wire.requests import RequestState

KEY = "sk-sdk-77aa"
MESSAGES: list[Any] = [{"role": "user", "content": "Tell me a story"}]
SLEEPER = 'name = "{0}"\nmodel = "{1}"\n[options]\nmax_tokens = 16\n[policy]\n{2}\n'


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    """One engine with a key, and the demo server ready."""
    with running_engine(homes, key=KEY) as one:
        one.start("demo")
        yield one


@pytest.fixture(scope="module")
def client(engine: RunningEngine) -> Iterator[openai.OpenAI]:
    with sdk(engine) as one:
        yield one


def sdk(engine: RunningEngine, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{engine.gateway_url}/v1", api_key=key, max_retries=0, timeout=DEADLINE_S
    )


def until(condition: Callable[[], object]) -> None:
    """Wait for something that has no event of its own."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not become so in time"
        threading.Event().wait(0.01)


def test_chat_in_one_piece(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="Demo", messages=MESSAGES, max_tokens=12)
    assert answer.object == "chat.completion"
    assert answer.model == "Demo"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_as_a_stream_says_the_same_as_in_one_piece(client: openai.OpenAI) -> None:
    wanted: Any = {"model": "Demo", "messages": MESSAGES, "max_tokens": 12, "seed": 7}
    whole = client.chat.completions.create(**wanted)
    chunks = list(
        client.chat.completions.create(
            **wanted, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_text_completion(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="Demo", prompt="Once upon", max_tokens=6, seed=1)
    assert answer.object == "text_completion"
    assert answer.choices[0].text
    chunks = client.completions.create(
        model="Demo", prompt="Once upon", max_tokens=6, seed=1, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == answer.choices[0].text


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert "Demo" in [model.id for model in client.models.list()]
    assert client.models.retrieve("Demo").owned_by == "mlx-model-manager"


def test_errors_are_those_of_openai(engine: RunningEngine, client: openai.OpenAI) -> None:
    ask = client.chat.completions.create
    with pytest.raises(openai.NotFoundError, match="no model"):
        ask(model="none", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError, match="top_p"):
        ask(model="Demo", messages=MESSAGES, top_p=7)
    with pytest.raises(openai.BadRequestError, match="top_p"):
        ask(model="Demo", messages=MESSAGES, top_p=7, stream=True)
    with sdk(engine, "wrong") as stranger, pytest.raises(openai.AuthenticationError):
        stranger.models.list()


@pytest.mark.parametrize("streams", [True, False])
def test_cancel_frees_the_server(
    engine: RunningEngine, client: openai.OpenAI, streams: bool
) -> None:
    endless: Any = {"extra_body": ENDLESS, "max_tokens": 100_000, "model": "Demo"}
    if streams:
        stream = client.chat.completions.create(messages=MESSAGES, stream=True, **endless)
        assert next(iter(stream))
        stream.close()
    else:
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.5).chat.completions.create(messages=MESSAGES, **endless)
    with engine.api() as api:
        until(lambda: api.requests(last=1)[0].state is RequestState.HUNG_UP)

        def is_free(event: object) -> bool:
            return isinstance(event, Samples) and event.values["demo"]["requests_open"] == 0

        # The runner itself says so: nothing is generated for nobody.
        wait_for_event(api.events(), is_free)


SAME = [
    ("/v1/chat/completions", chat(max_tokens=24, temperature=0.0)),
    ("/v1/chat/completions", chat(max_tokens=3, temperature=0.9, seed=5)),
    ("/v1/chat/completions", chat(max_tokens=40, stop=["e"], temperature=1.0, seed=11)),
    ("/v1/completions", {"prompt": "The cat", "max_tokens": 16, "temperature": 0.8, "seed": 3}),
]


@pytest.mark.parametrize(("path", "body"), SAME)
def test_answer_is_what_the_server_itself_gives(
    engine: RunningEngine, path: str, body: dict[str, Any]
) -> None:
    # Log probabilities take the plain path: the server's own answer in one piece.
    plain = {**body, "model": "Demo", "logprobs": True}
    answers = [
        call(engine.gateway_url, "POST", path, asked, key=KEY).json
        for asked in (plain, {**body, "model": "Demo"}, plain)
    ]
    own, built, again = answers
    for answer in (own, again):
        answer["choices"][0].pop("logprobs", None)
    for answer in answers:
        assert answer.pop("id")
        assert answer.pop("created")
        answer["usage"].pop("prompt_tokens_details", None)
    assert own == again
    assert built == own
    assert list(built) == list(own)


def test_request_starts_a_stopped_server(engine: RunningEngine) -> None:
    engine.write_profile("lazy", SLEEPER.format("Lazy", "demo", "start_on_request = true"))
    with sdk(engine) as client, engine.api() as api:
        until(lambda: "Lazy" in [model.id for model in client.models.list()])
        assert "lazy" not in [server.id for server in api.servers()]
        answers: list[Any] = []

        def ask() -> None:
            create = client.chat.completions.create
            answers.append(create(model="Lazy", messages=MESSAGES, max_tokens=4))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert [answer.model for answer in answers] == ["Lazy"] * 3
        assert api.server("lazy").state.serves
        assert api.server("lazy").restarts == 0
    engine.stop_server("lazy")


def test_failed_start_gives_its_reason(engine: RunningEngine) -> None:
    text = SLEEPER.format("Gone", "org/not-here", "start_on_request = true")
    engine.write_profile("gone", text)
    with sdk(engine) as client, engine.api() as api:
        until(lambda: "Gone" in [model.id for model in client.models.list()])
        for streams in (False, True):
            with pytest.raises(openai.InternalServerError, match="not on this disk") as caught:
                client.chat.completions.create(model="Gone", messages=MESSAGES, stream=streams)
            assert caught.value.status_code == 503
        assert api.server("gone").state is ServerState.FAILED


def test_requests_are_told_by_the_control_api(engine: RunningEngine) -> None:
    assert engine.complete(max_tokens=5).status == 200
    with engine.api() as api:
        (record,) = api.requests(last=1, server_id="demo")
        assert record.state is RequestState.DONE
        assert record.completion_tokens is not None
        assert 0 < record.completion_tokens <= 5
        assert api.requests(server_id="nobody") == []
    assert engine.call("GET", "/api/requests?last=1001").status == 400
    assert call(engine.url, "GET", "/api/requests").status == 401


def test_metrics_are_told_in_the_format_of_prometheus(engine: RunningEngine) -> None:
    assert engine.complete(max_tokens=5).status == 200

    def has_figures(event: object) -> bool:
        values = event.values.get("demo", {}) if isinstance(event, Samples) else {}
        return values.get("ttft_p50_s") is not None

    with engine.api() as api:
        wait_for_event(api.events(), has_figures)
        lines = api.metrics().splitlines()
    answer = engine.call("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert call(engine.url, "GET", "/metrics").status == 401
    found = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines if line[0] != "#"}
    labels = next(name for name in found if name.startswith("mlx_manager_memory_bytes"))
    assert labels.startswith('mlx_manager_memory_bytes{server="demo",profile="Demo",model="')
    assert float(found[labels]) > 1e6
    assert float(found[labels.replace("memory_bytes", "ttft_p50_s")]) > 0
    assert float(found["mlx_manager_start_time_seconds"]) > 1.7e9
    assert float(found['mlx_manager_servers{state="ready"}']) >= 1
    assert float(found['mlx_manager_requests_ended_total{server="demo",state="done"}']) > 0
    assert all(line[0] == "#" or float(line.rpartition(" ")[2]) >= 0 for line in lines)
    kinds = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))


def test_wrong_keys_count_at_both_ports_together(engine: RunningEngine) -> None:
    with sdk(engine, "wrong") as stranger:
        for i in range(2 * FREE):
            with pytest.raises((openai.AuthenticationError, openai.RateLimitError)):
                stranger.models.list()
            status = engine.call("GET", "/api/engine", key="wrong").status
            assert status in (401, 429)
            assert i < FREE or status == 429
    with engine.api() as api:
        assert api.engine().key_required
