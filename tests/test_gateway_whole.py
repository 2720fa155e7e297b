"""Answers in one piece, which the gateway puts together from a stream of the server."""

import asyncio
import json
import time
from typing import Any

import pytest
from gateway_kit import (
    ASK,
    DONE,
    SSE_HEAD,
    USAGE,
    Call,
    endless,
    house,
    post,
    run,
    silent,
    stalled,
)

from app.gateway.shared import Limits


def chunk(kind: str = "chat.completion.chunk", **choice: Any) -> bytes:
    """An event of mlx_lm.server with one choice."""
    body = {
        "id": "c-1",
        "system_fingerprint": "fp",
        "object": kind,
        "model": "default_model",
        "created": 7,
        "choices": [{"index": 0, "finish_reason": None, **choice}],
    }
    return f"data: {json.dumps(body)}\n\n".encode()


def delta(finish_reason: str | None = None, **fields: Any) -> bytes:
    return chunk(finish_reason=finish_reason, delta={"role": "assistant", **fields})


def tool_call(number: int, *, index: bool = True) -> dict[str, Any]:
    call: dict[str, Any] = {
        "function": {"name": "f", "arguments": '{"a": "ü"}'},
        "type": "function",
        "id": f"t-{number}",
    }
    return {**call, "index": number} if index else call


EXPECTED_HEAD = {"id": "c-1", "system_fingerprint": "fp", "created": 7, "model": "coding"}
EXPECTED_USAGE = {"prompt_tokens": 20, "completion_tokens": 6}


def scripted(*events: bytes) -> Any:
    async def script(call: Call) -> None:
        await call.send(SSE_HEAD + b": keepalive 20/21\n\n")
        for event in events:
            await call.send(event)

    return script


CASES = {
    "text": (
        [delta(content="Hel"), delta(content="lo é\n"), delta("stop")],
        "stop",
        {"content": "Hello é\n"},
    ),
    "nothing": ([delta("length")], "length", {"content": None}),
    "reasoning": (
        [delta(reasoning="Let "), delta(reasoning="me"), delta("stop", content="42")],
        "stop",
        {"content": "42", "reasoning": "Let me"},
    ),
    "tool calls": (
        [
            delta(content="I call"),
            delta(tool_calls=[tool_call(0)]),
            delta("tool_calls", tool_calls=[tool_call(1)]),
        ],
        "tool_calls",
        {
            "content": "I call",
            "tool_calls": [tool_call(0, index=False), tool_call(1, index=False)],
        },
    ),
}


@pytest.mark.parametrize(("events", "finish_reason", "message"), CASES.values(), ids=CASES.keys())
def test_chat_answer_is_put_together(
    events: list[bytes], finish_reason: str, message: dict[str, Any]
) -> None:
    async def test() -> None:
        async with house(scripted(*events, USAGE, DONE)) as h:
            answer = await h.ask(post(ASK))
            assert (answer.status, answer.is_complete) == (200, True)
            assert answer.headers["content-type"] == "application/json"
            choice = {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", **message},
            }
            assert answer.json == {
                **EXPECTED_HEAD,
                "object": "chat.completion",
                "choices": [choice],
                "usage": EXPECTED_USAGE,
            }
            sent = h.server.calls[0].json
            assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})

    run(test())


def test_text_completion_is_put_together() -> None:
    events = [chunk("text_completion", text=t) for t in ("one", " two", "")]

    async def test() -> None:
        async with house(scripted(*events, USAGE, DONE)) as h:
            body = {"model": "coding", "prompt": "a", "stream": False, "stream_options": {"x": 1}}
            answer = await h.ask(post(body, path="/v1/completions"))
            assert answer.json == {
                **EXPECTED_HEAD,
                "object": "text_completion",
                "choices": [{"index": 0, "finish_reason": None, "text": "one two"}],
                "usage": EXPECTED_USAGE,
            }

    run(test())


def test_stream_that_is_no_flag_is_left_to_the_server() -> None:
    async def test() -> None:
        async with house() as h:
            await h.ask(post({**ASK, "stream": None}))
            assert h.server.calls[0].json["stream"] is None

    run(test())


@pytest.mark.parametrize("script", [silent, stalled, endless])
def test_hang_up_of_a_client_that_waits_for_one_piece_reaches_the_server(script: Any) -> None:
    async def test() -> None:
        async with house(script) as h:
            client = await h.connect()
            await client.send(post(ASK))
            await h.server.called.wait()
            began = time.monotonic()
            client.writer.close()
            await h.server.calls[0].hung_up.wait()
            # The benchmark measures it; a ping would find it out after 15 s.
            assert time.monotonic() - began < 10

    run(test())


@pytest.mark.expect_log("coding (stopped in mid-answer|sent an event that cannot be read)")
@pytest.mark.parametrize(
    "events",
    [
        [delta(content="a")],
        [delta(content="a"), b'data: {"cho'],
        [b"data: {}\n\n", DONE],
        [b"data: nothing\n\n", DONE],
        [DONE],
        [delta(content=5), DONE],
    ],
)
def test_stream_that_is_not_an_answer_becomes_502(events: list[bytes]) -> None:
    async def test() -> None:
        async with house(scripted(*events)) as h:
            client = await h.connect()
            for _ in range(2):
                await client.send(post(ASK))
                answer = await client.read()
                assert answer.status == 502
                assert answer.error["code"] == "upstream_failed"

    run(test())


def test_ping_fills_silence_between_events_only() -> None:
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        event = delta(content="a")
        await call.send(SSE_HEAD + event + event[:30])
        await go_on.wait()
        await call.send(event[30:] + DONE)

    async def test() -> None:
        async with house(script, limits=Limits(ping_s=0.02)) as h:
            client = await h.connect()
            await client.send(post({**ASK, "stream": True}))
            await client.read_head()
            await client.reader.readuntil(b": ping\n\n")
            await client.reader.readuntil(b": ping\n\n")
            go_on.set()
            rest = await client.reader.readuntil(b"0\r\n\r\n")
            expected = delta(content="a").replace(b"default_model", b"coding")
            assert expected in rest
            assert DONE in rest

    run(test())


def test_ping_does_not_come_before_its_time_or_after_the_end() -> None:
    async def test() -> None:
        async with house(limits=Limits(ping_s=0.05)) as h:
            client = await h.connect()
            await client.send(post({**ASK, "stream": True}))
            answer = await client.read()
            assert b"ping" not in answer.body
            h.server.script = silent
            h.server.called.clear()
            # The next answer on the same connection is not disturbed by the first one's timer.
            await client.send(post(ASK))
            await h.server.called.wait()
            assert not h.gateway._connections.copy().pop()._writer.has_events

    run(test())
