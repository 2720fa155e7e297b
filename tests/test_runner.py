"""The runner, as a real process with the real mlx_lm.server and the demo model in it."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_kit import DEADLINE_S, ENDLESS, Answer, Lines, call, chat, guarded, wait_gone

from app import paths
from app.runner.events import EventPipe
from app.runner.hooks import EXIT_GENERATION_DIED, TOKEN_HEADER
from app.runner.main import EXIT_FATAL, UPSTREAM_TOKEN
from app.wire.child import RunnerStats, decode_child_event

TOKEN = "upstream-token-of-this-test"
AUTH = {TOKEN_HEADER: TOKEN, "Content-Type": "application/json"}
READY = ["importing", "listening", "loaded", "loading"]


class Runner:
    """A runner's process, its events and its last figures."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        read, write = os.pipe()
        self.log = folder / "runner.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*paths.program("runner"), *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "MLX_MANAGER_EVENTS_FD": str(write), UPSTREAM_TOKEN: TOKEN},
                cwd=paths.program_root(),
                pass_fds=(write,),
                start_new_session=True,
            )
        os.close(write)
        self._read = read
        self.lines = Lines(read)
        self.port = 0
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> list[dict[str, Any]]:
        """Return the events until the server can answer."""
        seen: list[dict[str, Any]] = []
        while not {"listening", "loaded"} <= {event["event"] for event in seen}:
            seen.append(self.lines.event())
            assert seen[-1]["event"] != "failed", seen[-1]
        self.port = next(event["port"] for event in seen if event["event"] == "listening")
        return seen

    def stats_when(self, **figures: int) -> RunnerStats:
        """Return the first report in which these figures are so."""
        end = time.monotonic() + DEADLINE_S
        while (line := self.lines.next()) is not None:
            assert time.monotonic() < end, "no such report in time"
            event = decode_child_event(line)
            if isinstance(event, RunnerStats) and all(
                getattr(event, name) == value for name, value in figures.items()
            ):
                return event
        raise AssertionError("the runner ended")

    def ask(self, **fields: object) -> Answer:
        self.asked += 1
        body = {**chat(max_tokens=12), "model": "default_model", **fields}
        return call(self.url, "POST", "/v1/chat/completions", body, headers=AUTH)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        os.close(self._read)


@contextlib.contextmanager
def running(folder: Path, *arguments: str, model: Path | None = None) -> Iterator[Runner]:
    command = ("--model", str(model or paths.demo_model()), "--host", "127.0.0.1")
    runner = Runner(folder, *command, "--port", "0", "--allowed-origins", "", *arguments)
    try:
        yield runner
    finally:
        runner.close()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One ready server for the tests that only ask it."""
    with running(tmp_path_factory.mktemp("runner")) as one:
        one.wait_ready()
        one.ask()
        yield one


def settled(runner: Runner) -> RunnerStats:
    """The figures now, when nothing is open; earlier reports are passed over."""
    return runner.stats_when(requests_open=0, requests_total=runner.asked)


def usage_of(answer: Answer) -> dict[str, int]:
    if answer.headers["content-type"].startswith("text/event-stream"):
        chunks = [line[6:] for line in answer.body.split(b"\n") if line.startswith(b"data: {")]
        return next(u for chunk in reversed(chunks) if (u := json.loads(chunk).get("usage")))
    return answer.json["usage"]


def test_start_reports_events_in_order_with_memory_figures(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        events = one.wait_ready()
        names = [e["event"] for e in events if e["event"] != "stats"]
        assert sorted(names) == READY
        assert names[0] == "importing"
        # Binding and loading run side by side; only these two are in order for certain.
        assert names.index("loading") < names.index("loaded")
        assert events[0]["pid"] == one.process.pid
        stats = one.stats_when(requests_open=0)
        assert stats.active_bytes > 500_000
        assert stats.peak_bytes >= stats.active_bytes


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"seed": 7},
        {"seed": 7, "stream": True, "stream_options": {"include_usage": True}},
        {"stop": ["e"]},
    ],
    ids=["whole", "stream", "seed", "seed stream", "stop"],
)
def test_tokens_of_a_request_equal_its_usage(runner: Runner, fields: dict[str, object]) -> None:
    before = settled(runner)
    answer = runner.ask(**fields)
    assert answer.status == 200, answer.body
    usage = usage_of(answer)
    after = settled(runner)
    assert after.prompt_tokens - before.prompt_tokens == usage["prompt_tokens"]
    assert after.completion_tokens - before.completion_tokens == usage["completion_tokens"]


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1, "top_k": 10**9},
        {"temperature": 1, "top_k": True},
        {"logit_bias": {"99999999": 5, "-1": 5, "97": -100}},
        {"repetition_penalty": 1.1, "repetition_context_size": 10**30},
        {"frequency_penalty": 1, "frequency_context_size": 10**30},
        {"presence_penalty": 1, "presence_context_size": 10**30, "seed": 7},
    ],
    ids=lambda fields: next(reversed(fields)),
)
def test_values_beyond_the_model_do_not_end_the_server(
    runner: Runner, fields: dict[str, object]
) -> None:
    answer = runner.ask(**fields)
    assert answer.status == 200, answer.body
    assert runner.ask().status == 200


def test_bias_of_a_token_has_its_effect_beside_one_that_the_model_does_not_know(
    runner: Runner,
) -> None:
    # "a" in the demo model.
    answer = runner.ask(logit_bias={"67": 10**6, "99999999": 10**7})
    assert answer.json["choices"][0]["message"]["content"] == "a" * 12


def test_tokens_of_concurrent_requests_equal_their_usage(runner: Runner) -> None:
    before = settled(runner)
    answers: list[Answer] = []

    def ask(number: int) -> None:
        answers.append(runner.ask(max_tokens=5 + number, stream=number % 2 == 0,
                                  stream_options={"include_usage": True}))  # fmt: skip

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    usages = [usage_of(answer) for answer in answers]
    assert len(usages) == 8
    after = settled(runner)
    for name in ("prompt_tokens", "completion_tokens"):
        assert getattr(after, name) - getattr(before, name) == sum(u[name] for u in usages)


def test_requests_open_returns_to_zero_after_a_hang_up(runner: Runner) -> None:
    before = settled(runner)
    stream = open_stream(runner)
    runner.stats_when(requests_open=1, requests_total=runner.asked)
    stream.close()
    after = settled(runner)
    assert after.completion_tokens - before.completion_tokens < 4000
    assert "Traceback" not in runner.log.read_text()


def open_stream(runner: Runner) -> http.client.HTTPResponse:
    """Start a long answer and return it after its first byte; closing it hangs up."""
    runner.asked += 1
    connection = http.client.HTTPConnection("127.0.0.1", runner.port, timeout=DEADLINE_S)
    body = {**chat(max_tokens=4000, stream=True), "model": "default_model", **ENDLESS}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), AUTH)
    # The answer has no length, so the socket belongs to the response from here on.
    response = connection.getresponse()
    assert response.status == 200
    assert response.read(1)
    return response


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("GET", "/v1/models"),
        ("GET", "/health"),
        ("OPTIONS", "/v1/models"),
    ],
)
@pytest.mark.parametrize("token", [None, "", "wrong", "ünicode"])
def test_request_without_the_upstream_token_is_refused(
    runner: Runner, method: str, target: str, token: str | None
) -> None:
    headers = {} if token is None else {TOKEN_HEADER: token}
    body = chat() if method == "POST" else None
    assert call(runner.url, method, target, body, headers=headers).status == 403


def test_refused_request_counts_as_none(runner: Runner) -> None:
    before = settled(runner)
    assert runner.ask(temperature=-5).status == 400
    runner.asked -= 1
    assert runner.ask(max_tokens=1).status == 200
    after = settled(runner)
    assert after.completion_tokens == before.completion_tokens + 1


def broken_model(folder: Path, kind: str) -> Path:
    model = folder / "model"
    shutil.copytree(paths.demo_model(), model)
    match kind:
        case "no folder":
            shutil.rmtree(model)
        case "broken config":
            (model / "config.json").write_text("{")
        case "unknown type":
            text = json.loads((model / "config.json").read_text())
            (model / "config.json").write_text(json.dumps(text | {"model_type": "no_such_type"}))
        case "corrupt weights":
            weights = model / "model.safetensors"
            weights.write_bytes(weights.read_bytes()[:5000])
        case _:
            raise AssertionError(kind)
    return model


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no folder", ""),
        ("broken config", "Expecting"),
        ("unknown type", "not supported"),
        ("corrupt weights", "load_safetensors"),
    ],
)
def test_model_that_cannot_be_loaded_is_reported_and_ends_the_process(
    tmp_path: Path, kind: str, words: str
) -> None:
    with running(tmp_path, model=broken_model(tmp_path, kind)) as one:
        failed = one.lines.event("failed")
        assert failed["stage"] == "load"
        assert failed["error"]
        assert words in failed["error"]
        assert one.process.wait(DEADLINE_S) == EXIT_GENERATION_DIED


def test_option_that_argparse_refuses_is_reported(tmp_path: Path) -> None:
    with running(tmp_path, "--no-such-option") as one:
        failed = one.lines.event("failed")
        assert "options" in failed["error"]
        assert one.process.wait(DEADLINE_S) == 2


def test_port_in_use_is_reported_and_ends_the_process(tmp_path: Path, runner: Runner) -> None:
    with running(tmp_path, "--port", str(runner.port)) as one:
        failed = one.lines.event("failed")
        assert failed["stage"] == "bind"
        assert "in use" in failed["error"]
        assert one.process.wait(DEADLINE_S) == EXIT_FATAL


def test_sigterm_while_generating_ends_with_status_0(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        one.wait_ready()
        stream = open_stream(one)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(DEADLINE_S) == 0
        stream.close()


def test_sigterm_while_importing_ends_with_status_0(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        one.lines.event("importing")
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(DEADLINE_S) == 0


def test_bugfix_02_guard_that_is_killed_ends_the_real_server(tmp_path: Path) -> None:
    command = [*paths.program("runner"), "--model", str(paths.demo_model()), "--port", "0"]
    with guarded(tmp_path, command) as guard:
        server = psutil.Process(guard.lines.event("spawned")["pid"])
        guard.lines.event("loaded")
        guard.process.kill()
        wait_gone([server], 10)


def test_event_pipe_without_reader_or_descriptor_is_silent() -> None:
    EventPipe(None).send("loaded")
    read, write = os.pipe()
    os.close(read)
    pipe = EventPipe(write)
    try:
        pipe.send("loaded")
        pipe.send("loaded")
    finally:
        os.close(write)


@pytest.mark.parametrize(
    "path",
    [
        "ModelProvider.load_default",
        "ResponseGenerator._run_generate",
        "APIHandler.handle_completion",
        "APIHandler.parse_request",
        "Queue",
        "make_logits_processors",
        "Response",
        "GenerationContext",
        "main",
        "ThreadingHTTPServer.server_activate",
        "ThreadingHTTPServer.handle_error",
        "ThreadingHTTPServer.request_queue_size",
    ],
)
def test_hooks_contract_attribute_exists_in_mlx_lm(path: str) -> None:
    import mlx_lm.server as target

    found: Any = target
    for name in path.split("."):
        found = getattr(found, name)


def test_hooks_contract_private_names_are_in_the_source() -> None:
    import inspect

    import mlx_lm.server as target

    source = inspect.getsource(target.ResponseGenerator)
    # Set where the thread fails, read by our hook after it.
    assert "self._generation_failed = True" in inspect.getsource(
        target.ResponseGenerator._run_generate
    )
    assert "target=self._run_generate" in source
    assert "response_queue = Queue()" in source
    assert "load_default()" in source
    assert "prompt" in target.GenerationContext.__dataclass_fields__
