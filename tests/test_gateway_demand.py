"""The gateway when servers are started by requests, when there are too many, and what it counts."""

import asyncio
from typing import Any

import pytest
from gateway_kit import (
    ASK,
    DONE,
    KEY,
    KEYED,
    SSE_HEAD,
    STREAM,
    Call,
    House,
    answer_ok,
    event,
    get,
    house,
    json_answer,
    post,
    run,
    silent,
    stalled,
    until,
)

from app.gateway import Upstream
from app.gateway.ledger import REMEMBERED, Caller, Ledger
from app.gateway.shared import Limits
from app.throttle import FREE, Throttle
from app.wire.errors import AppError, ErrorCode
from app.wire.requests import RequestState

SLEEPER = {**ASK, "model": "sleeper"}
SOON = Limits(starting_s=0.02)
BROKEN = AppError("The model cannot be loaded.", hint="Download it again.", code=ErrorCode.INTERNAL)


def woken(h: House, name: str = "sleeper") -> Upstream:
    port = h.directory.upstreams[0].port
    return Upstream(name, name, "org/sleeper", "127.0.0.1", port, f"token-{name}")


@pytest.mark.parametrize("wanted", ["sleeper", "org/sleeper"])
def test_request_for_a_stopped_profile_starts_it_and_waits(wanted: str) -> None:
    async def test() -> None:
        async with house(limits=SOON) as h:
            start = h.directory.add_startable("sleeper")
            asking = asyncio.create_task(h.ask(post({**ASK, "model": wanted})))
            await until(lambda: h.directory.asked)
            start.set_result(woken(h))
            answer = await asking
            assert (answer.status, answer.json["model"]) == (200, wanted)
            assert h.server.calls[0].headers["x-upstream-token"] == "token-sleeper"

    run(test())


def test_stream_hears_of_the_start_while_it_waits() -> None:
    async def test() -> None:
        async with house(limits=SOON) as h:
            start = h.directory.add_startable("sleeper")
            client = await h.connect()
            await client.send(post({**SLEEPER, "stream": True}))
            status, headers = await client.read_head()
            assert (status, headers["content-type"][:17]) == (200, "text/event-stream")
            for _ in range(2):
                await client.reader.readuntil(b": starting\n\n")
            start.set_result(woken(h))
            rest = await client.reader.readuntil(b"0\r\n\r\n")
            assert event("Hello", "sleeper") in rest
            assert DONE in rest
            assert b"HTTP/1.1" not in rest

    run(test())


def test_many_requests_share_one_start_and_a_ready_server_asks_for_none() -> None:
    async def test() -> None:
        async with house() as h:
            start = h.directory.add_startable("sleeper")
            asking = [asyncio.create_task(h.ask(post(SLEEPER))) for _ in range(8)]
            await until(lambda: len(h.directory.asked) == 8)
            start.set_result(woken(h))
            assert [answer.status for answer in await asyncio.gather(*asking)] == [200] * 8
            assert (await h.ask(post(ASK))).status == 200
            assert len(h.directory.asked) == 8

    run(test())


@pytest.mark.parametrize("body", [SLEEPER, {**SLEEPER, "stream": True}])
def test_failed_start_is_503_with_its_sentence(body: dict[str, Any]) -> None:
    async def test() -> None:
        async with house() as h:
            h.directory.add_startable("sleeper").set_exception(BROKEN)
            client = await h.connect()
            await client.send(post(body) + get("/health"))
            answer = await client.read()
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.error["message"] == "The model cannot be loaded."
            assert answer.error["hint"] == "Download it again."
            assert answer.error["type"] == "overloaded_error"
            assert (await client.read()).status == 200

    run(test())


def test_start_that_fails_late_cuts_the_stream_with_its_sentence() -> None:
    async def test() -> None:
        async with house(limits=SOON) as h:
            start = h.directory.add_startable("sleeper")
            client = await h.connect()
            await client.send(post({**SLEEPER, "stream": True}))
            await client.reader.readuntil(b": starting\n\n")
            start.set_exception(BROKEN)
            rest = await client.reader.read()
            assert b'data: {"error":{"message":"The model cannot be loaded."' in rest
            assert not rest.endswith(b"0\r\n\r\n")

    run(test())


def test_hang_up_during_a_start_leaves_the_start_alone() -> None:
    async def test() -> None:
        async with house() as h:
            start = h.directory.add_startable("sleeper")
            client = await h.connect()
            await client.send(post(SLEEPER))
            await until(lambda: h.directory.asked)
            assert h.gateway.ledger.open_requests("sleeper") == 1
            client.writer.close()
            await until(lambda: not h.gateway.ledger.open_requests("sleeper"))
            assert not start.cancelled()
            assert h.gateway.ledger.last(1)[0].state is RequestState.HUNG_UP
            assert h.server.connections == 0

    run(test())


def test_models_lists_what_a_request_may_start() -> None:
    async def test() -> None:
        async with house() as h:
            h.directory.add_startable("sleeper")
            names = [model["id"] for model in (await h.ask(get("/v1/models"))).json["data"]]
            assert names == ["coding", "sleeper"]
            assert (await h.ask(get("/v1/models/sleeper"))).status == 200
            assert not h.directory.asked

    run(test())


def test_requests_above_the_limit_of_a_server_are_429() -> None:
    async def test() -> None:
        async with house(silent, requests_per_server=lambda: 2) as h:
            h.directory.add("other", h.directory.upstreams[0].port, "org/other")
            clients = [await h.connect() for _ in range(2)]
            for client in clients:
                await client.send(post(STREAM))
            await until(lambda: len(h.server.calls) == 2)
            refused = await h.ask(post(STREAM))
            assert refused.status == 429
            assert int(refused.headers["retry-after"]) > 0
            assert refused.error["type"] == "rate_limit_error"
            h.server.script = answer_ok
            assert (await h.ask(post({**ASK, "model": "other"}))).status == 200
            clients[0].writer.close()
            await until(lambda: h.gateway.ledger.open_requests("coding") == 1)
            assert (await h.ask(post(ASK))).status == 200
            assert h.gateway.ledger.figures("coding", {})["requests_failed"] == 1

    run(test())


def test_connections_above_the_limit_are_refused() -> None:
    async def test() -> None:
        async with house(limits=Limits(connections=2)) as h:
            first, _ = [await h.connect() for _ in range(2)]
            await until(lambda: len(h.gateway._connections) == 2)
            third = await h.connect()
            answer = await third.read()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert int(answer.headers["retry-after"]) > 0
            await first.send(get("/health"))
            assert (await first.read()).status == 200
            first.writer.close()
            third.writer.close()
            await until(lambda: len(h.gateway._connections) == 1)
            assert (await h.ask(get("/health"))).status == 200

    run(test())


def test_wrong_keys_are_slowed_down_and_a_right_one_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    caplog.set_level("INFO")

    async def test() -> None:
        async with house(policy=KEYED, throttle=Throttle(lambda: now[0])) as h:
            client = await h.connect()
            seen: list[tuple[int, str | None]] = []
            for _ in range(FREE + 8):
                await client.send(get("/v1/models", "Authorization: Bearer guess"))
                answer = await client.read()
                seen.append((answer.status, answer.headers.get("retry-after")))
            assert seen[:FREE] == [(401, None)] * FREE
            waits = ["1", "2", "4", "8", "16", "32", "60", "60"]
            assert seen[FREE:] == [(429, wait) for wait in waits]
            await client.send(get("/v1/models", f"Authorization: Bearer {KEY}"))
            assert (await client.read()).status == 200
            now[0] = 61.0
            await client.send(get("/v1/models", "Authorization: Bearer guess"))
            assert (await client.read()).status == 401

    run(test())
    lines = [r.getMessage() for r in caplog.records if "not valid" in r.getMessage()]
    assert lines == ["127.0.0.1 sent an API key that is not valid"] * 2
    assert "guess" not in caplog.text
    assert "refused" not in caplog.text


def test_throttle_remembers_a_bounded_number_of_addresses() -> None:
    throttle = Throttle(lambda: 0.0)
    for i in range(5000):
        throttle.add(f"10.0.{i // 256}.{i % 256}")
    assert len(throttle) == 1024
    for _ in range(50):
        throttle.add("one")
    assert len(throttle._addresses["one"].failures) <= FREE


def test_wrong_keys_of_one_address_do_not_count_against_another() -> None:
    throttle = Throttle(lambda: 0.0)
    for _ in range(20):
        throttle.add("one")
    assert throttle.add("two").retry_after_s is None


def test_request_is_remembered_with_figures_and_without_text() -> None:
    async def test() -> None:
        async with house() as h:
            secret = {**ASK, "messages": [{"role": "user", "content": "secret words"}]}
            for body in (secret, {**secret, "stream": True}):
                assert (await h.ask(post(body))).status == 200
            newest, first = h.gateway.ledger.last(10)
            assert newest.at >= first.at > 1.7e9
            for record in (newest, first):
                assert (record.client, record.server, record.profile, record.model) == (
                    "127.0.0.1",
                    "coding",
                    "coding",
                    "org/model",
                )
                assert record.state is RequestState.DONE
                assert (record.prompt_tokens, record.completion_tokens) == (20, 6)
                assert 0 < (record.ttft_s or 0) <= (record.duration_s or 0)
                # Six tokens in a millisecond are no rate.
                assert record.tokens_per_s is None
                assert "secret" not in repr(record)
            figures = h.gateway.ledger.figures("coding", {})
            assert figures["requests_waiting"] == figures["requests_failed"] == 0
            assert 0 < (figures["ttft_p50_s"] or 0) <= (figures["ttft_p95_s"] or 0)
            assert 0 < (figures["latency_p50_s"] or 0) <= (figures["latency_p95_s"] or 0)

    run(test())


def test_rate_is_told_for_answers_that_take_time() -> None:
    now = 0.0
    ledger = Ledger(lambda: now)
    for took_s in (0.0625, 2.0):
        meter = ledger.begin(Caller("c"), server_id="s", profile="S", model="m")
        meter.first()
        meter.count(20, 9)
        now += took_s
        meter.end(RequestState.DONE)
    assert [record.tokens_per_s for record in ledger.last(2)] == [4.0, None]


def test_usage_of_an_answer_in_one_piece_is_counted() -> None:
    async def script(call: Call) -> None:
        usage = {"prompt_tokens": 3, "completion_tokens": 4}
        await call.send(json_answer({"choices": [], "usage": usage}))

    async def test() -> None:
        async with house(script) as h:
            await h.ask(post({**ASK, "logprobs": True}))
            (record,) = h.gateway.ledger.last(1)
            assert (record.prompt_tokens, record.completion_tokens) == (3, 4)

    run(test())


def states(h: House) -> tuple[RequestState, float | None, float | None, float | None]:
    """What is told of the one request, and of its server."""
    (record,) = h.gateway.ledger.last(1)
    figures = h.gateway.ledger.figures("coding", {})
    queued, waiting = figures["requests_queued"], figures["requests_waiting"]
    assert figures["prompt_read_percent"] == (record.prompt_read and 100 * record.prompt_read)
    assert figures["requests_open"] == 1
    return record.state, queued, waiting, record.prompt_read


@pytest.mark.parametrize("body", [ASK, STREAM], ids=["whole", "stream"])
def test_request_is_queued_then_its_prompt_read_then_answered(body: dict[str, Any]) -> None:
    steps: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(call: Call) -> None:
        while not call.hung_up.is_set():
            await call.send(await steps.get())

    async def test() -> None:
        async with house(script) as h:
            client = await h.connect()
            await client.send(post(body))
            await h.server.called.wait()
            assert states(h) == (RequestState.QUEUED, 1, 0, None)
            for sent, state in (
                (SSE_HEAD, (RequestState.WAITING, 0, 1, None)),
                (b": keepalive 0/40\n\n", (RequestState.WAITING, 0, 1, 0.0)),
                (
                    b": keepalive 10/40\n\n: keepalive 25/40\n\n",
                    (RequestState.WAITING, 0, 1, 0.625),
                ),
                (event("a"), (RequestState.ANSWERING, 0, 0, None)),
                (b": keepalive 5/40\n\n" + event("b"), (RequestState.ANSWERING, 0, 0, None)),
            ):
                steps.put_nowait(sent)
                await until(lambda state=state: states(h) == state)
            client.writer.close()
            await h.server.calls[0].hung_up.wait()
            steps.put_nowait(b"")

    run(test())


def test_progress_of_several_prompts_is_told_as_one() -> None:
    counts = iter((b"100/100", b"20/300"))

    async def script(call: Call) -> None:
        await call.send(SSE_HEAD + b": keepalive " + next(counts) + b"\n\n")
        await call.hung_up.wait()

    async def test() -> None:
        async with house(script) as h:
            for _ in range(2):
                client = await h.connect()
                await client.send(post(STREAM))
                await client.reader.readuntil(b"keepalive")
            assert h.gateway.ledger.figures("coding", {})["prompt_read_percent"] == 30.0

    run(test())


async def refusing(call: Call) -> None:
    await call.send(json_answer({"error": "no"}, "400 Bad Request"))


async def dying(call: Call) -> None:
    await call.send(SSE_HEAD + event("a"))


@pytest.mark.parametrize(
    ("script", "state", "failed"),
    [
        (refusing, RequestState.REFUSED, 1),
        (dying, RequestState.FAILED, 1),
        (stalled, RequestState.HUNG_UP, 0),
        (answer_ok, RequestState.DONE, 0),
    ],
)
def test_end_of_a_request_is_counted_by_its_kind(
    script: Any, state: RequestState, failed: int, allow_log: Any
) -> None:
    allow_log("stopped in mid-answer")

    async def test() -> None:
        async with house(script) as h:
            client = await h.connect()
            await client.send(post(STREAM))
            if script is stalled:
                await client.reader.readuntil(b"data: ")
                client.writer.close()
            else:
                await client.read()
            await until(lambda: not h.gateway.ledger.open_requests("coding"))
            assert h.gateway.ledger.ends()["coding"][state] == 1
            assert sum(h.gateway.ledger.ends()["coding"].values()) == 1
            assert h.gateway.ledger.figures("coding", {})["requests_failed"] == failed

    run(test())


def test_ledger_keeps_the_last_requests_and_finds_those_of_a_server() -> None:
    now = [0.0]
    ledger = Ledger(lambda: now[0])
    for i in range(REMEMBERED + 200):
        meter = ledger.begin(Caller("c"), server_id="ab"[i % 2], profile="p", model="m")
        now[0] += 1.0 + i % 2
        meter.first()
        now[0] += 1.0
        meter.end(RequestState.DONE)
        meter.end(RequestState.FAILED)
    assert len(ledger.last(10_000)) == REMEMBERED
    assert {record.server for record in ledger.last(50, "a")} == {"a"}
    assert len(ledger.last(50, "a")) == 50
    assert ledger.last(5, "none") == []
    assert ledger.figures("a", {})["ttft_p50_s"] == 1.0
    assert ledger.figures("b", {})["latency_p95_s"] == 3.0
    assert set(ledger.figures("unknown", {}).values()) == {0, None}
