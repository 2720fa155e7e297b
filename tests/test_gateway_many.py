"""Hundreds of clients at one gateway at the same time."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from engine_kit import DEADLINE_S, call, running_engine
from gateway_kit import SSE_HEAD, STREAM, Call, event, house, post, run, until

STREAMS = 500
# Each stream has four sockets in one process here: client, gateway twice, server.
FILES = 4096
FILES_OF_A_MAC_PROGRAM = 256


@pytest.fixture
def many_files() -> Iterator[tuple[int, int]]:
    """Let this process open many files, and return what it was allowed before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    yield soft, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_500_open_streams_get_their_events_and_a_newcomer_is_answered(
    many_files: tuple[int, int],
) -> None:
    gate = asyncio.Event()

    async def script(server: Call) -> None:
        await server.send(SSE_HEAD + event("a"))
        await gate.wait()
        await server.send(event("b") + b"data: [DONE]\n\n")

    async def test() -> None:
        async with house(script, requests_per_server=lambda: STREAMS) as h:
            clients = [await h.connect() for _ in range(STREAMS)]
            for client in clients:
                await client.send(post(STREAM))
                assert (await client.read_head())[0] == 200
            await until(lambda: h.gateway.ledger.figures("coding", {})["requests_waiting"] == 0)
            assert h.gateway.ledger.open_requests("coding") == STREAMS
            assert (await h.ask(post(STREAM))).status == 429
            gate.set()
            for client in clients:
                assert b"[DONE]" in await client.reader.readuntil(b"0\r\n\r\n")
            assert h.gateway.ledger.open_requests("coding") == 0

    run(test())


def test_engine_with_the_file_limit_of_a_mac_program_serves_hundreds_of_clients(
    homes: Path, many_files: tuple[int, int]
) -> None:
    hard = many_files[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_OF_A_MAC_PROGRAM, hard))
    with running_engine(homes) as engine, ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
        url = urlsplit(engine.gateway_url)
        address = (url.hostname or "", url.port or 0)
        for _ in range(2 * FILES_OF_A_MAC_PROGRAM):
            stack.enter_context(socket.create_connection(address, DEADLINE_S))
        assert call(engine.gateway_url, "GET", "/health").status == 200
