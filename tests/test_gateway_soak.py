"""Thousands of requests that end in every way: nothing is left behind, and every count is right."""

import asyncio
import gc
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import (
    ASK,
    DONE,
    SSE_HEAD,
    Call,
    House,
    answer_ok,
    endless,
    event,
    house,
    json_answer,
    post,
    silent,
    stalled,
    until,
)

from app.gateway.connection import Connection
from app.gateway.exchange import Exchange
from app.gateway.relay import Relay
from app.wire.requests import RequestRecord, RequestState

AT_ONCE = 48
DEADLINE_S = 900.0


async def dying(call: Call) -> None:
    await call.send(SSE_HEAD + event("a"))


async def resetting(call: Call) -> None:
    await call.send(SSE_HEAD + event("a"))
    call.reset()


async def refusing(call: Call) -> None:
    await call.send(json_answer({"error": "no"}, "400 Bad Request"))


async def paced(call: Call) -> None:
    """A stream of some events, one after another."""
    await call.send(SSE_HEAD)
    for _ in range(5):
        await call.send(event("a"))
        await asyncio.sleep(0)
    await call.send(DONE)


SCRIPTS = {
    script.__name__: script
    for script in (answer_ok, silent, stalled, endless, dying, resetting, refusing, paced)
}
# How a client behaves: the server's script, whether it is a stream, when it hangs up, and the end.
# A request that is hung up at once may never be read, so nobody can say whether it was one.
_READS, _BEFORE, _AFTER = "reads all", "hangs up before the answer", "hangs up after an event"
_AT_ONCE = "hangs up at once"
KINDS: tuple[tuple[str, bool, str, RequestState | None], ...] = (
    ("silent", True, _AT_ONCE, None),
    ("answer_ok", False, _READS, RequestState.DONE),
    ("answer_ok", True, _READS, RequestState.DONE),
    ("paced", True, _READS, RequestState.DONE),
    ("silent", True, _BEFORE, RequestState.HUNG_UP),
    ("silent", False, _BEFORE, RequestState.HUNG_UP),
    ("stalled", True, _AFTER, RequestState.HUNG_UP),
    ("endless", True, _AFTER, RequestState.HUNG_UP),
    ("dying", True, _READS, RequestState.FAILED),
    ("resetting", True, _READS, RequestState.FAILED),
    ("refusing", False, _READS, RequestState.REFUSED),
)


class Crowd:
    """Clients that count for themselves how each of their requests ended."""

    def __init__(self, h: House, total: int, seed: int) -> None:
        self.house = h
        self.left = total
        self.dice = random.Random(seed)  # noqa: S311 - no secret
        self.ends: Counter[RequestState | None] = Counter()
        self.arrived: dict[str, asyncio.Event] = {}

    async def serve(self, call: Call) -> None:
        """Do what a request says."""
        _, number, script = call.json["messages"][0]["content"].split()
        if (arrived := self.arrived.get(number)) is not None:
            arrived.set()
        await SCRIPTS[script](call)

    async def client(self) -> None:
        link: Any = None
        while self.left > 0:
            self.left -= 1
            script, is_stream, manner, end = self.dice.choice(KINDS)
            number = str(self.left)
            arrived = self.arrived[number] = asyncio.Event()
            messages = [{"role": "user", "content": f"Number {number} {script}"}]
            data = post({**ASK, "messages": messages, "stream": is_stream})
            if link is None:
                link = await asyncio.open_connection("127.0.0.1", self.house.port)
            if manner == _BEFORE:
                link = await self._hang_up_when(arrived, link[1], data)
            else:
                link = await self._one(link, data, manner, end)
            del self.arrived[number]
            self.ends[end] += 1
        if link is not None:
            link[1].close()

    async def _hang_up_when(
        self, arrived: asyncio.Event, writer: asyncio.StreamWriter, data: bytes
    ) -> None:
        writer.write(data)
        await arrived.wait()
        self._hang_up(writer)

    async def _one(self, link: Any, data: bytes, manner: str, end: RequestState | None) -> Any:
        reader, writer = link
        writer.write(data)
        if manner == _AT_ONCE:
            for _ in range(self.dice.randrange(30)):
                await asyncio.sleep(0)
            return self._hang_up(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        if manner == _AFTER:
            await reader.readuntil(b"data: ")
            return self._hang_up(writer)
        if b"chunked" in head:
            tail = await self._read_stream(reader)
            assert tail.endswith(b"0\r\n\r\n") is (end is RequestState.DONE)
        else:
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            json.loads(await reader.readexactly(length))
        if end is RequestState.FAILED:
            writer.close()
            return None
        return link

    def _hang_up(self, writer: asyncio.StreamWriter) -> None:
        if self.dice.random() < 0.5:
            writer.close()
        else:
            writer.transport.abort()

    async def _read_stream(self, reader: asyncio.StreamReader) -> bytes:
        tail = b""
        while not tail.endswith(b"0\r\n\r\n") and (data := await reader.read(65_536)):
            tail = (tail + data)[-64:]
        return tail


def _descriptors() -> int:
    folder = Path("/proc/self/fd") if sys.platform == "linux" else Path("/dev/fd")
    return len(os.listdir(folder))  # noqa: PTH208 - a folder of open files changes as it is read


def _timers() -> int:
    handles = [one for one in gc.get_objects() if type(one).__name__ == "TimerHandle"]
    return sum(not handle.cancelled() for handle in handles)


def _objects() -> Counter[str]:
    gc.collect()
    kinds = (Relay, Exchange, Connection)
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, kinds))


def check_counts(counted: dict[RequestState, int], ends: Counter[RequestState | None]) -> None:
    """Compare what the gateway counted with what the clients did."""
    unclear = ends[None]
    hung_up = counted[RequestState.HUNG_UP] - ends[RequestState.HUNG_UP]
    assert 0 <= hung_up <= unclear
    for state in (RequestState.DONE, RequestState.FAILED, RequestState.REFUSED):
        assert counted[state] == ends[state]


async def soak(total: int, seed: int) -> None:
    async with house() as h:
        records: list[RequestRecord] = []
        h.gateway.ledger.follow_on(0, records.append)
        # Once before counting: the loop itself opens what it keeps.
        warm = Crowd(h, 50, seed)
        h.server.script = warm.serve
        await warm.client()
        ledger = h.gateway.ledger
        await until(lambda: not ledger.open_requests("coding") and not h.gateway._connections)
        # Tests before this one may have left some to a traceback.
        objects = _objects()
        before = (len(asyncio.all_tasks()), _descriptors(), _timers())
        crowd = Crowd(h, total, seed + 1)
        crowd.ends += warm.ends
        h.server.script = crowd.serve
        h.server.calls.clear()
        await asyncio.gather(*(crowd.client() for _ in range(AT_ONCE)))
        await until(lambda: not ledger.open_requests("coding") and not h.gateway._connections)
        await until(lambda: len(asyncio.all_tasks()) <= before[0])
        await until(lambda: _descriptors() <= before[1])
        await until(lambda: _timers() <= before[2])
        assert _objects() <= objects
        check_counts(ledger.ends()["coding"], crowd.ends)
        assert Counter(record.state for record in records) == +Counter(ledger.ends()["coding"])
        assert len({record.id for record in records}) == len(records)
        assert sum(crowd.ends.values()) == total + 50
        assert ledger.figures("coding", {})["requests_waiting"] == 0


@pytest.fixture(autouse=True)
def deaths_are_told(allow_log: Any) -> None:
    """A server that dies in mid-answer is a warning."""
    allow_log("stopped in mid-answer")


def test_requests_that_end_in_every_way_leave_nothing_and_are_counted() -> None:
    asyncio.run(asyncio.wait_for(soak(600, seed=1), DEADLINE_S))


@pytest.mark.soak
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("seed", [10, 20])
def test_ten_thousand_requests_leave_nothing_and_are_counted(seed: int) -> None:
    asyncio.run(asyncio.wait_for(soak(10_000, seed), DEADLINE_S))
