"""Both ends of a gateway.

Usage: stream_ends.py upstream STREAMS CHUNKS PER_SECOND | gateway PORT | gateway-on-asyncio PORT

Prints its port. The upstream answers every request with a paced event stream whose chunks say when
they were sent. A request that says "8 chunks at 25" gets that, at once; 0 chunks are a first event
and then none until the client hangs up, and the moment at which that is seen is printed. A pace of
0 is as fast as it goes. All end with standard input.
"""

import asyncio
import contextlib
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import uvloop
from gateway_kit import DONE, KEYED, SSE_HEAD, FakeDirectory

from app.gateway import Gateway

_CHUNK = (
    'data: {"id": "chatcmpl-5f1c", "object": "chat.completion.chunk", "model": "default_model", '
    '"created": 1, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "sent %d;"}, '
    '"logprobs": null, "finish_reason": null}]}\n\n'
)
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_ASKED = re.compile(rb"([0-9]+) chunks at ([0-9]+)")


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Upstream:
    """Streams that all start when the last of them has come, spread over one interval."""

    def __init__(self, streams: int, chunks: int, per_second: int) -> None:
        self._streams, self._chunks, self._per_second = streams, chunks, per_second
        self._waiting = 0
        self._all_here = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        asked = _ASKED.search(await reader.readexactly(int(length[1])) if length else b"")
        # The first event at once: its delay is measured alone.
        writer.write(SSE_HEAD + self._chunk())
        # Cancelled are those that are open when the process ends.
        with contextlib.suppress(asyncio.CancelledError):
            await self._answer(asked, reader, writer)
        if not writer.transport.is_closing():
            writer.write(DONE)
        writer.close()

    async def _answer(
        self,
        asked: "re.Match[bytes] | None",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if asked is None:
            delay_s = await self._wait_for_all() / self._streams / self._per_second
            await self._pace(writer, self._chunks, self._per_second, delay_s)
        elif int(asked[1]) == 0:
            await reader.read()
            _say(time.monotonic_ns())
        elif int(asked[2]) == 0:
            await self._flood(writer, int(asked[1]))
        else:
            await self._pace(writer, int(asked[1]), int(asked[2]), 1 / int(asked[2]))

    async def _wait_for_all(self) -> int:
        """Wait until all streams have come; return which one this is."""
        number, self._waiting = self._waiting, self._waiting + 1
        if self._waiting == self._streams:
            self._waiting = 0
            self._all_here.set()
            self._all_here = asyncio.Event()
        else:
            await self._all_here.wait()
        return number

    async def _pace(
        self, writer: asyncio.StreamWriter, chunks: int, per_second: int, delay_s: float
    ) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        for _ in range(chunks):
            await asyncio.sleep(max(0.0, due - loop.time()))
            if writer.transport.is_closing():
                return
            writer.write(self._chunk())
            due += 1 / per_second

    async def _flood(self, writer: asyncio.StreamWriter, chunks: int) -> None:
        for _ in range(chunks):
            writer.write(self._chunk())
            await writer.drain()
            # Each in a turn of its own, as a server writes them.
            await asyncio.sleep(0)

    def _chunk(self) -> bytes:
        return (_CHUNK % time.monotonic_ns()).encode()


async def _upstream(*words: int) -> int:
    # Never closed: the process ends with its owner.
    server = await asyncio.start_server(Upstream(*words).serve, "127.0.0.1", 0, backlog=1024)
    _KEPT.append(server)
    return server.sockets[0].getsockname()[1]


async def gateway(port: int) -> int:
    """Serve in this process and return the port."""
    directory = FakeDirectory()
    directory.add("coding", port)
    gateway = Gateway(directory, KEYED, requests_per_server=lambda: 1000)
    _KEPT.append(gateway)
    return (await gateway.start("127.0.0.1", 0))[1]


_KEPT: list[object] = []


async def main(mode: str, *words: int) -> None:
    _say(await (_upstream if mode == "upstream" else gateway)(*words))
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    # The upstream costs all ways the same; the gateway runs in the loop that it has in the engine.
    run = uvloop.run if sys.argv[1] == "gateway" else asyncio.run
    run(main(sys.argv[1], *map(int, sys.argv[2:])))
