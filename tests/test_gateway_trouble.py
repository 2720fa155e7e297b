"""The gateway when servers die, refuse or are not there, and when it is closed itself."""

import asyncio
import contextlib
import json
import re
import socket
import struct
import threading
from typing import Any

import pytest
from gateway_kit import (
    ASK,
    DONE,
    SSE_HEAD,
    STREAM,
    Call,
    Client,
    FakeServer,
    event,
    flood,
    get,
    house,
    json_answer,
    post,
    run,
    silent,
    stalled,
    until,
)

from app.gate import Policy
from app.gateway.shared import Limits


@pytest.mark.expect_log("coding stopped in mid-answer")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("half_event", [b"", b'data: {"choices": [{"del'], ids=["whole", "half"])
def test_death_in_mid_answer_is_an_error_event_and_a_cut(
    version: str, reset: bool, half_event: bytes
) -> None:
    async def script(call: Call) -> None:
        await call.send(SSE_HEAD + event("a"))
        await got_first.wait()
        await call.send(half_event)
        if reset:
            call.reset()

    got_first = asyncio.Event()

    async def test() -> None:
        async with house(script) as h:
            client = await h.connect()
            await client.send(post(STREAM, version=version))
            status, _ = await client.read_head()
            assert status == 200
            start = await client.reader.readuntil(b"\n\n")
            got_first.set()
            rest = await client.reader.read()
            body = re.sub(rb"\r\n[0-9a-f]+\r\n|^[0-9a-f]+\r\n", b"", start + rest)
            first, last = body.rstrip().split(b"\n\n")
            assert first.endswith(event("a", "coding").rstrip())
            error = json.loads(last.removeprefix(b"data: "))["error"]
            assert error["message"] == "The server coding stopped in mid-answer."
            assert error["code"] == "upstream_failed"
            assert not rest.endswith(b"0\r\n\r\n")

    run(test())


@pytest.mark.expect_log("The server coding ")
@pytest.mark.parametrize(
    "answer",
    [
        json_answer({"choices": []})[:-3],
        json_answer({"choices": []}, has_length=False)[:-3],
        b"HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Type: appli",
        b"",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\n{}",
        b"X" * 40_000,
        json_answer({"error": "boom"}, "500 Internal Server Error"),
        json_answer({}, "403 Forbidden"),
        b"HTTP/1.0 501 Unsupported method\r\n\r\n<html></html>",
    ],
)
def test_answer_that_cannot_be_used_becomes_502(answer: bytes) -> None:
    async def script(call: Call) -> None:
        await call.send(answer)

    async def test() -> None:
        async with house(script) as h:
            got = await h.ask(post(ASK))
            assert got.status == 502
            assert got.error["type"] == "api_error"
            assert "coding" in got.error["message"]

    run(test())


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found"])
@pytest.mark.parametrize("has_length", [False, True])
@pytest.mark.parametrize(
    "error", ["top_p must be at most 1", {"message": "top_p must be at most 1"}]
)
def test_error_of_the_server_becomes_openais_object(
    status: str, has_length: bool, error: object
) -> None:
    async def script(call: Call) -> None:
        await call.send(json_answer({"error": error}, status, has_length=has_length))

    async def test() -> None:
        async with house(script) as h:
            for body in (ASK, STREAM):
                answer = await h.ask(post(body))
                assert answer.status == 400
                assert answer.error["message"] == "top_p must be at most 1"
                assert answer.error["type"] == "invalid_request_error"

    run(test())


def test_connection_lost_before_the_first_byte_is_tried_again() -> None:
    async def test() -> None:
        async with house() as h:
            h.server.refuses_first = 3
            answer = await h.ask(post(STREAM))
            assert answer.is_complete
            assert answer.body.endswith(DONE)
            assert h.server.connections == 4

    run(test())


def test_refusal_that_comes_with_a_reset_is_answered(allow_log: Any) -> None:
    """A server that closes before it has read everything resets what it has just sent."""
    allow_log("closed the connection without an answer|cannot be reached|stopped in mid-answer")
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                with link:
                    link.recv(65_536)
                    link.sendall(json_answer({"error": "no"}, "400 No", has_length=False))

    async def test() -> None:
        async with house() as h:
            h.directory.upstreams.clear()
            h.directory.add("coding", listener.getsockname()[1])
            for size in [200_000] * 20 + [5_000_000] * 5:
                answer = await h.ask(post({**ASK, "pad": "a" * size}))
                assert answer.status in (400, 502)

    server = threading.Thread(target=serve)
    server.start()
    try:
        run(test())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join()


@pytest.mark.expect_log("coding stopped in mid-answer")
@pytest.mark.parametrize("ask", [STREAM, ASK], ids=["stream", "whole"])
def test_loss_that_comes_together_with_an_event_is_noticed(ask: dict[str, Any]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    go_on, gone = threading.Event(), threading.Event()

    def serve() -> None:
        link, _ = listener.accept()
        with link:
            link.recv(65_536)
            link.sendall(SSE_HEAD + event("one"))
            go_on.wait(20)
            link.sendall(event("two"))
            # A reset instead of an orderly end.
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.set()

    async def test() -> None:
        async with house(limits=Limits(ping_s=0.2)) as h:
            h.directory.upstreams.clear()
            h.directory.add("coding", listener.getsockname()[1])
            client = await h.connect()
            await client.send(post(ask))
            await until(lambda: any(r.ttft_s is not None for r in h.gateway.ledger.last(1)))
            go_on.set()
            # In the loop's thread, so that event and reset are both there when it comes back.
            assert gone.wait(20)
            answer = await client.read()
            assert answer.status == (200 if ask is STREAM else 502)
            assert not (ask is STREAM and answer.is_complete)
            assert b"stopped in mid-answer" in answer.body

    server = threading.Thread(target=serve)
    server.start()
    try:
        run(test())
    finally:
        go_on.set()
        listener.shutdown(socket.SHUT_RDWR)
        server.join()
        listener.close()


def test_server_that_begins_to_listen_late_is_reached() -> None:
    async def test() -> None:
        async with house() as h:
            late = FakeServer()
            port = await late.start()
            await late.stop()
            h.directory.add("late", port)
            asking = asyncio.create_task(h.ask(post({**ASK, "model": "late"})))
            await until(lambda: h.gateway.ledger.open_requests("late"))
            await late.start(port)
            assert (await asking).status == 200
            await late.stop()

    run(test())


@pytest.mark.expect_log("coding cannot be reached")
def test_server_that_is_not_there_becomes_502() -> None:
    async def test() -> None:
        async with house() as h:
            await h.server.stop()
            answer = await h.ask(post(STREAM))
            assert answer.status == 502
            assert "coding cannot be reached" in answer.error["message"]

    run(test())


@pytest.mark.expect_log("coding cannot be reached")
def test_server_that_is_known_to_be_gone_is_not_tried_again() -> None:
    async def script(call: Call) -> None:
        h_directory.upstreams.clear()
        call.reset()

    async def test() -> None:
        nonlocal h_directory
        async with house(script) as h:
            h_directory = h.directory
            answer = await h.ask(post(STREAM))
            assert answer.status == 502
            assert h.server.connections == 1

    h_directory: Any = None
    run(test())


@pytest.mark.expect_log("coding answered with the status 500. boom")
def test_connection_lives_on_after_a_server_failed() -> None:
    async def script(call: Call) -> None:
        await call.send(json_answer({"error": "boom"}, "500 Internal Server Error"))

    async def test() -> None:
        async with house(script) as h:
            client = await h.connect()
            await client.send(post(ASK) + get("/health"))
            assert (await client.read()).status == 502
            assert (await client.read()).status == 200

    run(test())


def test_start_on_a_taken_port_raises() -> None:
    async def test() -> None:
        async with house() as h:
            with pytest.raises(OSError, match="in use"):
                await type(h.gateway)(h.directory, Policy()).start("127.0.0.1", h.port)

    run(test())


def test_close_stops_listening_and_cuts_open_answers_within_a_second() -> None:
    async def test() -> None:
        async with house(stalled) as h:
            streaming, waiting, idle = [await h.connect() for _ in range(3)]
            await streaming.send(post(STREAM))
            await streaming.read_head()
            await streaming.reader.readuntil(b"\n\n")
            h.server.script = silent
            h.server.called.clear()
            await waiting.send(post(ASK))
            await h.server.called.wait()
            loop = asyncio.get_running_loop()
            started = loop.time()
            await h.gateway.close()
            assert loop.time() - started < 10
            rest = await streaming.reader.read()
            assert b"shutting down" in rest
            assert not rest.endswith(b"0\r\n\r\n")
            assert (await waiting.read()).status == 503
            assert await idle.is_closed()
            for call in h.server.calls:
                await call.hung_up.wait()
            with pytest.raises(ConnectionError):
                await h.connect()

    run(test())


def test_close_cuts_a_client_that_does_not_read() -> None:
    async def test() -> None:
        async with house(flood) as h:
            client: Client = await h.connect()
            client.writer.transport.pause_reading()
            await client.send(post(STREAM))
            await h.server.called.wait()
            (connection,) = h.gateway._connections
            await until(lambda: connection._is_paused)
            await asyncio.wait_for(h.gateway.close(), 5)
            assert not h.gateway._connections
            await h.server.calls[0].hung_up.wait()

    run(test())


def test_nothing_is_left_behind_after_many_requests() -> None:
    async def test() -> None:
        async with house() as h:
            answers = await asyncio.gather(*(h.ask(post(STREAM)) for _ in range(64)))
            assert all(answer.is_complete for answer in answers)
            await until(lambda: not h.gateway._connections)
            assert not [t for t in asyncio.all_tasks() if "gateway to" in t.get_name()]

    run(test())
