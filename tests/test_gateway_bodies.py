"""Large request bodies: what they cost in memory and in other clients' time."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
from gateway_kit import (
    ASK,
    BEARER,
    DONE,
    SSE_HEAD,
    STREAM,
    Call,
    Client,
    FakeServer,
    event,
    house,
    post,
    run,
)

from app.gateway.completion import read_completion
from app.gateway.reader import RequestReader

ENDS = Path(__file__).parent / "benchmarks" / "stream_ends.py"
SIZE = 20_000_000
STREAMS = 6
PIECE = 256 * 1024


def large(letter: str = "x") -> bytes:
    text = letter * (SIZE // len(letter.encode()))
    asked = {**STREAM, "messages": [{"role": "user", "content": text}]}
    return post(json.dumps(asked, ensure_ascii=False).encode(), BEARER)


@contextlib.asynccontextmanager
async def gateway_process(upstream: int) -> AsyncGenerator[tuple[psutil.Process, int]]:
    """A gateway of its own process, and its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ENDS), "gateway", str(upstream),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield psutil.Process(process.pid), int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


def test_open_answers_hold_no_prompt_in_memory() -> None:
    async def test() -> None:
        end = asyncio.Event()

        async def script(call: Call) -> None:
            await call.send(SSE_HEAD + event("a"))
            await end.wait()
            await call.send(DONE)

        server = FakeServer(script)
        upstream = await server.start()
        async with gateway_process(upstream) as (process, port):
            before = process.memory_info().rss
            clients: list[Client] = []
            for _ in range(STREAMS):
                clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
                await clients[-1].send(large())
                await clients[-1].reader.readuntil(b"data: ")
            # One body may stay with the allocator, for the next one.
            assert process.memory_info().rss - before < 2.5 * SIZE
            end.set()
            for client in clients:
                await client.reader.readuntil(b"[DONE]\n\n\r\n0\r\n\r\n")
                client.writer.close()
                await client.writer.wait_closed()
        await server.stop()

    run(test())


def test_events_of_others_pass_while_a_large_body_comes() -> None:
    tokens: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(call: Call) -> None:
        if len(call.body) > SIZE:
            await call.send(SSE_HEAD + DONE)
            return
        await call.send(SSE_HEAD)
        while True:
            await call.send(await tokens.get())

    async def test() -> None:
        async with house(script) as h:
            reader, sender = await h.connect(), await h.connect()
            await reader.send(post(STREAM))
            request = large()
            for number, begin in enumerate(range(0, len(request), 16 * PIECE)):
                await sender.send(request[begin : begin + 16 * PIECE])
                tokens.put_nowait(event(f"token {number}"))
                await reader.reader.readuntil(f"token {number}".encode())
            assert (await sender.read()).is_complete

    run(test())


def test_large_body_is_checked_as_it_comes_and_not_at_its_end() -> None:
    request, reader, steps = large("漢"), RequestReader(), list[float]()
    body = None
    for begin in range(0, len(request), PIECE):
        # The processor's time, which nobody else on the computer takes part in.
        began = time.thread_time()
        reader.feed(request[begin : begin + PIECE])
        if not reader.is_in_body:
            reader.take_head()
        body = reader.take_body()
        if body is not None:
            completion, _ = read_completion(body, is_chat=True)
            assert completion.is_stream
        steps.append(time.thread_time() - began)
    assert body is not None
    assert max(steps) < 0.6 * sum(steps)


def test_body_that_is_not_text_is_refused_however_it_is_cut() -> None:
    async def test() -> None:
        async with house() as h:
            data = json.dumps({**ASK, "pad": "ü"}, ensure_ascii=False).encode()
            place = data.index("ü".encode())
            request = post(data)
            client = await h.connect()
            cut = len(request) - len(data) + place + 1
            await client.send(request[:cut])
            await client.send(request[cut:])
            assert (await client.read()).status == 200
            for broken in (data.replace("ü".encode(), b"\xfc"), data[: place + 1]):
                answer = await h.ask(post(broken))
                assert (answer.status, answer.error["code"]) == (400, "bad_request")
                assert "UTF-8" in answer.error["message"]

    run(test())
