"""Both ends of a gateway. Usage: stream_ends.py upstream STREAMS CHUNKS PER_SECOND | gateway PORT

Prints its port. The upstream answers every request with a paced event stream whose chunks say when
they were sent. Both end with standard input.
"""

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway_kit import DONE, SSE_HEAD, FakeDirectory

from app.gate import Policy
from app.gateway import Gateway

_CHUNK = (
    'data: {"id": "chatcmpl-5f1c", "object": "chat.completion.chunk", "model": "default_model", '
    '"created": 1, "choices": [{"index": 0, "delta": {"role": "assistant", "content": " word"}, '
    '"logprobs": null, "finish_reason": null}], "sent": %d}\n\n'
)


class Upstream:
    """Streams that all start when the last of them has come, spread over one interval."""

    def __init__(self, streams: int, chunks: int, per_second: int) -> None:
        self._streams, self._chunks, self._interval = streams, chunks, 1 / per_second
        self._waiting = 0
        self._all_here = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        # The first event at once: its delay is measured alone.
        writer.write(SSE_HEAD + self._chunk())
        number, self._waiting = self._waiting, self._waiting + 1
        if self._waiting == self._streams:
            self._waiting = 0
            self._all_here.set()
            self._all_here = asyncio.Event()
        else:
            await self._all_here.wait()
        loop = asyncio.get_running_loop()
        due = loop.time() + self._interval * number / self._streams
        for _ in range(self._chunks):
            await asyncio.sleep(max(0.0, due - loop.time()))
            if writer.transport.is_closing():
                return
            writer.write(self._chunk())
            due += self._interval
        writer.write(DONE)
        await writer.drain()
        writer.close()

    def _chunk(self) -> bytes:
        return (_CHUNK % time.monotonic_ns()).encode()


async def _upstream(*words: int) -> int:
    # Never closed: the process ends with its owner.
    server = await asyncio.start_server(Upstream(*words).serve, "127.0.0.1", 0)
    _KEPT.append(server)
    return server.sockets[0].getsockname()[1]


async def _gateway(port: int) -> int:
    directory = FakeDirectory()
    directory.add("coding", port)
    gateway = Gateway(directory, Policy(), requests_per_server=lambda: 1000)
    _KEPT.append(gateway)
    return (await gateway.start("127.0.0.1", 0))[1]


_KEPT: list[object] = []


async def main(mode: str, *words: int) -> None:
    port = await {"upstream": _upstream, "gateway": _gateway}[mode](*words)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *(int(word) for word in sys.argv[2:])))
