"""Readers of an engine's event stream that do nothing else. Usage: event_readers.py PORT COUNT

Ends with standard input, and then prints the bytes that all of them got.
"""

import asyncio
import sys


async def read(port: int, got: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while data := await reader.read(1 << 20):
        got.append(len(data))


async def main(port: int, count: int) -> None:
    got: list[int] = []
    readers = [asyncio.create_task(read(port, got)) for _ in range(count)]
    await asyncio.to_thread(sys.stdin.read)
    for reader in readers:
        reader.cancel()
    print(sum(got))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
