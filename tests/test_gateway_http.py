"""The gateway as an HTTP server: malformed and slow requests, limits, connections, hang-ups."""

import asyncio
import json
import socket
import struct
from statistics import median
from typing import Any

import pytest
from gateway_kit import (
    ASK,
    BEARER,
    DONE,
    KEYED,
    MESSAGES,
    SSE_HEAD,
    STREAM,
    Call,
    House,
    Script,
    answer_ok,
    endless,
    event,
    flood,
    get,
    house,
    post,
    run,
    silent,
    stalled,
    until,
)
from hostile_kit import CHUNKED, CHUNKS, LENGTH, MALFORMED, PLAIN, START, raw

from app.gateway import Served, connection
from app.gateway.shared import Limits
from app.wire.requests import ErrorKind


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_request_is_refused_and_the_connection_closed(request_bytes: bytes) -> None:
    async def test() -> None:
        async with house() as h:
            client = await h.connect()
            # What follows must not be taken for a request of its own.
            await client.send(request_bytes + get("/health"))
            answer = await client.read()
            assert answer.status == 400
            assert answer.error["message"]
            assert await client.is_closed()
            assert h.server.connections == 0

    run(test())


def test_well_formed_request_of_the_same_kind_passes() -> None:
    async def test() -> None:
        async with house() as h:
            assert (await h.ask(raw(*START, LENGTH) + PLAIN)).status == 200
            assert (await h.ask(raw(*START, CHUNKED) + CHUNKS)).status == 200
            underscore = raw(*START, "Content_Length: 3", LENGTH) + PLAIN
            assert (await h.ask(underscore)).status == 200
            assert [call.json["messages"] for call in h.server.calls] == [MESSAGES] * 3

    run(test())


def test_bare_line_feeds_are_refused_without_waiting_for_more() -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(b"GET /health HTTP/1.1\nHost: localhost\n\n")
            assert answer.status == 400

    run(test())


def test_host_that_moves_the_path_is_forbidden() -> None:
    async def test() -> None:
        async with house() as h:
            request = raw(START[0], "Host: a/?b", START[2], LENGTH) + PLAIN
            assert (await h.ask(request)).status == 403

    run(test())


@pytest.mark.parametrize(
    "fields", [["X-A: " + "a" * 33_000], [f"X-{i}: 1" for i in range(101)]], ids=["size", "number"]
)
def test_head_above_the_limits_is_refused(fields: list[str]) -> None:
    async def test() -> None:
        async with house() as h:
            assert (await h.ask(get("/health", *fields))).status == 431

    run(test())


def test_head_without_an_end_is_refused_at_the_limit() -> None:
    async def test() -> None:
        async with house() as h:
            assert (await h.ask(b"GET /health HTTP/1.1\r\nX-A: " + b"a" * 40_000)).status == 431

    run(test())


def test_request_in_single_bytes_is_understood() -> None:
    async def test() -> None:
        async with house() as h:
            client = await h.connect()
            for request in (post(ASK), raw(*START, CHUNKED) + CHUNKS):
                for i in range(len(request)):
                    await client.send(request[i : i + 1])
                    await asyncio.sleep(0)
                assert (await client.read()).status == 200

    run(test())


def test_body_in_many_chunks_is_put_together() -> None:
    async def test() -> None:
        async with house() as h:
            data = json.dumps({**ASK, "pad": "x" * 10_000}).encode()
            parts = [data[i : i + 97] for i in range(0, len(data), 97)]
            chunks = b"".join(b"%X\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
            assert (await h.ask(raw(*START, CHUNKED) + chunks)).status == 200
            assert h.server.calls[0].json["pad"] == "x" * 10_000

    run(test())


@pytest.mark.parametrize(
    "request_bytes",
    [
        raw(*START, f"Content-Length: {(64 << 20) + 1}"),
        raw(*START, CHUNKED) + b"4000001\r\n",
        raw(*START, CHUNKED) + b"1\r\nx\r\n4000000\r\n",
    ],
    ids=["length", "chunk", "sum of chunks"],
)
def test_body_above_the_limit_is_refused(request_bytes: bytes) -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(request_bytes)
            assert answer.status == 413
            assert answer.headers["connection"] == "close"

    run(test())


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 200),
        (None, 200),
        ("text/plain", 415),
        ("multipart/form-data; boundary=a", 415),
        ("application/jsonp", 415),
    ],
)
def test_body_that_calls_itself_something_else_than_json_is_refused(
    kind: str | None, status: int
) -> None:
    async def test() -> None:
        async with house() as h:
            field = b"Content-Type: application/json\r\n"
            named = b"" if kind is None else f"Content-Type: {kind}\r\n".encode()
            head, body = post(ASK).replace(field, named).split(b"\r\n\r\n")
            client = await h.connect()
            # Refused by its head: nobody sends a body in vain.
            await client.send(head + b"\r\n\r\n")
            if status == 200:
                await client.send(body)
            answer = await client.read()
            assert answer.status == status
            assert len(h.server.calls) == (status == 200)
            if status == 415:
                assert answer.error["type"] == "invalid_request_error"
                assert "application/json" in answer.error["message"]
                assert h.gateway.ledger.last(1)[0].kind is ErrorKind.BAD_REQUEST
            else:
                assert h.server.calls[0].headers["content-type"] == "application/json"

    run(test())


CALL = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
PARTS = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:"}}]


@pytest.mark.parametrize(
    ("messages", "is_right"),
    [
        ([{"role": "user", "content": PARTS}], True),
        ([{"role": "system", "content": None}, CALL, {"role": "tool", "content": "1"}], True),
        ("Hi", False),
        (["Hi"], False),
        ([], False),
        (None, False),
        ({"role": "user"}, False),
        ([{"content": "no role"}], False),
        ([{"role": 5, "content": "Hi"}], False),
        ([{"role": "user", "content": 5}], False),
        ([{"role": "user", "content": {"text": "Hi"}}], False),
        ([{"role": "user", "content": ["Hi"]}], False),
        ([{"role": "user", "content": [{"text": "no type"}]}], False),
        ([{"role": "user", "content": [{"type": "text"}]}], False),
        ([{"role": "assistant", "tool_calls": "f"}], False),
        ([{"role": "assistant", "tool_calls": [{"function": "f"}]}], False),
    ],
)
def test_messages_of_a_wrong_shape_are_refused_by_name(messages: object, is_right: bool) -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(post({"model": "coding", "messages": messages}))
            if is_right:
                assert answer.status == 200
                assert h.server.calls[0].json["messages"] == messages
                return
            assert answer.status == 400
            assert answer.error["param"] == "messages"
            assert answer.error["message"].startswith("The field 'messages' must be a list")
            assert answer.error["type"] == "invalid_request_error"
            assert h.server.calls == []

    run(test())


@pytest.mark.parametrize(
    "body", [{}, *({"prompt": p} for p in (5, None, {"a": "b"}, [], ["a", "b"], [1, 2], [["a"]]))]
)
def test_prompt_of_a_wrong_shape_is_refused_by_name(body: dict[str, Any]) -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(post(body, path="/v1/completions"))
            assert (answer.status, answer.error["param"]) == (400, "prompt")
            assert h.server.calls == []
            assert (await h.ask(post({"prompt": ["a"]}, path="/v1/completions"))).status == 200
            assert h.server.calls[0].json["prompt"] == "a"

    run(test())


@pytest.mark.parametrize(
    ("field", "value", "is_right"),
    [
        ("stop", "end", True), ("stop", ["a", "b"], True), ("stop", None, True),
        ("stop", 5, False), ("stop", [5], False), ("stop", {"a": 1}, False),
        ("seed", 0, True), ("seed", 2**63 - 1, True), ("seed", None, True),
        ("seed", -1, False), ("seed", 2**70, False), ("seed", "x", False), ("seed", 1.5, False),
        ("model", 5, False), ("model", ["coding"], False),
        ("xtc_threshold", 0.5, True), ("xtc_threshold", 0.9, False),
        ("temperature", 0, True), ("temperature", 10**30, False), ("temperature", "hot", False),
        ("presence_penalty", -2, True), ("presence_penalty", -(10**30), False),
        ("frequency_penalty", -(10**30), False), ("repetition_penalty", 10**30, False),
    ],
)  # fmt: skip
def test_field_that_would_end_the_server_is_refused_by_name(
    field: str, value: object, is_right: bool
) -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(post({**ASK, field: value}))
            if is_right:
                assert answer.status == 200
                assert h.server.calls[0].json[field] == value
            else:
                assert (answer.status, answer.error["param"]) == (400, field)
                assert h.server.calls == []

    run(test())


def test_blanks_in_a_head_cost_no_time() -> None:
    async def test() -> None:
        async with house() as h:
            for blanks in (b" " * 32_000, b"\t " * 16_000):
                for _ in range(15):
                    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX:%b\0\r\n\r\n" % blanks
                    assert (await h.ask(head)).status == 400

    # Where it took a second for each, the deadline of `run` ended it.
    run(test())


def test_body_of_20_mb_passes() -> None:
    async def test() -> None:
        async with house() as h:
            pad = "A" * 20_000_000
            answer = await h.ask(post({**ASK, "pad": pad}))
            assert answer.status == 200
            assert h.server.calls[0].json["pad"] == pad

    run(test())


def test_expectation_is_answered_only_after_the_gate() -> None:
    async def test() -> None:
        async with house(policy=KEYED) as h:
            request = post(ASK, "Expect: 100-continue", BEARER)
            head, body = request.split(b"\r\n\r\n", 1)
            client = await h.connect()
            await client.send(head + b"\r\n\r\n")
            assert (await client.read_head())[0] == 100
            await client.send(body)
            assert (await client.read()).status == 200
            stranger = await h.connect()
            await stranger.send(head.replace(BEARER.encode(), b"X-A: b") + b"\r\n\r\n")
            assert (await stranger.read()).status == 401
            unknown = await h.ask(post(ASK, "Expect: a-miracle", BEARER))
            assert unknown.status == 417

    run(test())


def test_connection_is_used_again_and_pipelined_requests_are_answered_in_order() -> None:
    async def test() -> None:
        async with house() as h:
            client = await h.connect()
            requests = [post(STREAM), get("/health"), post(ASK), get("/no"), post(STREAM)]
            await client.send(b"".join(requests))
            assert [(await client.read()).status for _ in requests] == [200, 200, 200, 404, 200]
            await client.send(post(ASK))
            assert (await client.read()).status == 200
            assert len(h.server.calls) == 4

    run(test())


@pytest.mark.expect_log("too much ahead")
def test_too_much_ahead_of_an_answer_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_MAX_AHEAD_BYTES", 1000)

    async def test() -> None:
        async with house(silent) as h:
            client = await h.connect()
            await client.send(post(ASK))
            await h.server.called.wait()
            await client.send(b"x" * 2000)
            assert await client.is_closed()
            await h.server.calls[0].hung_up.wait()

    run(test())


def test_close_is_honoured() -> None:
    async def test() -> None:
        async with house() as h:
            client = await h.connect()
            await client.send(post(STREAM, "Connection: Close") + get("/health"))
            answer = await client.read()
            assert answer.is_complete
            assert answer.headers["connection"] == "close"
            assert await client.is_closed()

    run(test())


@pytest.mark.parametrize(
    ("part", "limits"),
    [
        (b"GET /hea", Limits(head_s=0.1)),
        (post(ASK)[:-5], Limits(body_window_s=0.1)),
        (post(ASK).split(b"\r\n\r\n")[0] + b"\r\n\r\n", Limits(body_window_s=0.1)),
    ],
    ids=["in the head", "in the body", "before the body"],
)
def test_slow_request_is_ended_with_408(part: bytes, limits: Limits) -> None:
    async def test() -> None:
        async with house(limits=limits) as h:
            answer = await h.ask(part)
            assert answer.status == 408
            assert answer.headers["connection"] == "close"

    run(test())


def test_slow_head_is_ended_with_408_on_a_connection_that_may_be_idle_for_long() -> None:
    async def test() -> None:
        async with house(limits=Limits(head_s=0.1, idle_s=600.0)) as h:
            client = await h.connect()
            await client.send(get("/health"))
            assert (await client.read()).status == 200
            await client.send(b"GET /hea")
            assert (await client.read()).status == 408

    run(test())


def test_silent_connection_is_closed_without_a_word() -> None:
    async def test() -> None:
        async with house(limits=Limits(head_s=0.1, idle_s=0.1)) as h:
            assert await (await h.connect()).is_closed()
            client = await h.connect()
            await client.send(get("/health"))
            assert (await client.read()).status == 200
            assert await client.is_closed()

    run(test())


def test_answer_takes_longer_than_every_limit() -> None:
    async def script(call: Call) -> None:
        await asyncio.sleep(0.3)
        await answer_ok(call)

    async def test() -> None:
        limits = Limits(head_s=0.05, body_window_s=0.05, idle_s=0.05)
        async with house(script, limits=limits) as h:
            assert (await h.ask(post(STREAM))).is_complete
            assert (await h.ask(post(ASK))).is_complete

    run(test())


# Before the head, not streamed, after the first event, while events flow.
PHASES: tuple[tuple[Script, dict[str, Any]], ...] = (
    (silent, STREAM), (silent, ASK), (stalled, STREAM), (endless, STREAM),
)  # fmt: skip


async def hang_up(h: House, body: dict[str, Any], how: str) -> float:
    """Hang up on an answer, and return after how many seconds its server saw that."""
    h.server.called.clear()
    client = await h.connect()
    await client.send(post(body))
    await h.server.called.wait()
    if h.server.script is not silent:
        await client.read_head()
        await client.reader.readuntil(b"\n\n")
    began = asyncio.get_running_loop().time()
    if how == "close":
        client.writer.close()
    elif how == "half close":
        client.writer.write_eof()
    else:
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
    await h.server.calls[-1].hung_up.wait()
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("how", ["close", "half close", "reset"])
def test_hang_up_reaches_the_server_within_100_ms(how: str) -> None:
    async def test() -> None:
        took: list[float] = []
        async with house() as h:
            for h.server.script, body in PHASES * 3:
                took.append(await hang_up(h, body, how))
        assert median(took) < 0.1
        # A busy computer may take longer than that, but not in every try of a phase, and never as
        # long as the ping that would find it out.
        assert max(min(took[phase :: len(PHASES)]) for phase in range(len(PHASES))) < 0.1
        assert max(took) < 10

    run(test())


@pytest.mark.expect_log("coding cannot be reached")
def test_hang_up_while_connecting_ends_the_tries() -> None:
    async def test() -> None:
        async with house() as h:
            h.server.refuses_first = 1000
            client = await h.connect()
            await client.send(post(ASK))
            await until(lambda: h.server.connections > 0)
            client.writer.transport.abort()
            await until(lambda: not h.gateway._connections)
            before = h.server.connections
            # Takes longer than the tries of the first one would.
            assert (await h.ask(post(ASK))).status == 502
            assert h.server.connections == before + 4

    run(test())


def test_slow_reader_makes_the_server_wait_and_loses_nothing() -> None:
    total = 64 << 20
    piece = event("x" * 20_000)
    count = total // len(piece)
    stalled_at: list[int] = []

    async def script(call: Call) -> None:
        call.writer.write(SSE_HEAD)
        for i in range(count):
            call.writer.write(piece)
            try:
                await asyncio.wait_for(call.writer.drain(), 0.5)
            except TimeoutError:
                stalled_at.append(i * len(piece))
                waiting.set()
                await call.writer.drain()
        await call.send(DONE)

    waiting = asyncio.Event()

    async def test() -> None:
        async with house(script) as h:
            client = await h.connect()
            client.writer.transport.pause_reading()
            await client.send(post({**STREAM, "model": "default_model"}))
            await waiting.wait()
            (open_one,) = h.gateway._connections
            assert open_one._transport.get_write_buffer_size() < 512 * 1024
            client.writer.transport.resume_reading()
            answer = await client.read()
            assert answer.is_complete
            assert answer.body == piece * count + DONE

    run(test())
    # The kernel's own buffers on loopback take up to 10 MB.
    assert stalled_at[0] < 24 << 20


def test_answers_wait_for_a_client_that_sends_but_does_not_read() -> None:
    async def test() -> None:
        async with house() as h:
            h.directory.stopped = [Served(f"profile {i}", "org/x", True, 1.0) for i in range(500)]
            client = await h.connect()
            client.writer.transport.pause_reading()
            await client.send(get("/v1/models") * 500)
            await until(lambda: h.gateway._connections)
            (open_one,) = h.gateway._connections
            await until(lambda: open_one._is_paused)
            assert open_one._transport.get_write_buffer_size() < 512 * 1024
            client.writer.transport.resume_reading()
            for _ in range(500):
                assert len((await client.read()).json["data"]) == 501

    run(test())


def test_half_close_of_a_client_that_does_not_read_reaches_the_server() -> None:
    async def test() -> None:
        async with house(flood) as h:
            client = await h.connect()
            client.writer.transport.pause_reading()
            await client.send(post(STREAM))
            await h.server.called.wait()
            (open_one,) = h.gateway._connections
            await until(lambda: open_one._is_paused)
            client.writer.write_eof()
            await h.server.calls[0].hung_up.wait()

    run(test())
