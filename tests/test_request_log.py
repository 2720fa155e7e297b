"""The log of requests: what is kept of each, page by page, and over restarts of the engine."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from engine_kit import new_home, running_engine, until
from gateway_kit import (
    ASK,
    STREAM,
    Call,
    House,
    answer_ok,
    event,
    house,
    json_answer,
    post,
    stalled,
)
from gateway_kit import run as run_gateway
from gateway_kit import until as until_so
from patience import DEADLINE_S
from request_kit import SECRET, open_stream

from app import paths
from app.engine.history import History, requests
from app.wire.requests import RequestRecord, RequestState

NOW = 1_795_444_200.0


def record(number: int, **fields: Any) -> RequestRecord:
    values = {
        "at": time.time(), "client": "127.0.0.1", "server": "p", "profile": "P", "model": "m",
        "state": RequestState.DONE, "id": number,
    }  # fmt: skip
    return RequestRecord(**{**values, **fields})


def run(work: Callable[[History], Awaitable[None]], *, days: int = 30) -> None:
    async def live() -> None:
        history = History(paths.history_file(), days=lambda: days)
        await history.open()
        try:
            await work(history)
        finally:
            await history.close()

    asyncio.run(asyncio.wait_for(live(), DEADLINE_S))


async def ids(history: History, recent: tuple[RequestRecord, ...] = (), **query: Any) -> list[int]:
    wanted = {"count": 100, "server": None, "before": None, **query}
    return [found.id for found in await history.requests(recent, **wanted)]


def test_pages_go_back_without_gap_and_without_overlap() -> None:
    async def work(history: History) -> None:
        for number in range(1, 26):
            history.put_request(record(number, server="pq"[number % 2]))
            if number == 20:
                await history._write()
        open_one = record(26, state=RequestState.ANSWERING)
        recent = (open_one, record(25, server="q"), record(24))
        assert await ids(history, recent, count=5) == [26, 25, 24, 23, 22]
        assert await ids(history, recent, count=5, before=22) == [21, 20, 19, 18, 17]
        assert await ids(history, recent, count=3, before=3) == [2, 1]
        assert await ids(history, recent, before=1) == []
        assert await ids(history, recent, count=3, server="q") == [25, 23, 21]
        assert await ids(history, recent, count=3, server="q", before=21) == [19, 17, 15]
        assert await ids(history, recent, server="nobody") == []

    run(work)


def test_record_comes_back_as_it_was() -> None:
    full = record(
        7, at=NOW, prompt_tokens=20, completion_tokens=6, ttft_s=0.25, duration_s=1.5,
        tokens_per_s=4.0, is_stream=True, error="It failed.", state=RequestState.FAILED,
    )  # fmt: skip
    bare = record(8, at=NOW + 1, server="ü/“x”")

    async def put(history: History) -> None:
        history.put_request(full)
        history.put_request(bare)

    async def look(history: History) -> None:
        found = await history.requests((), count=9, server=None, before=None)
        assert found == [bare, full]
        assert await history.open() == 8

    far = 365 * 100
    run(put, days=far)
    run(look, days=far)


def test_log_is_bounded_in_rows_and_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_ROWS", 10)

    async def work(history: History) -> None:
        now = time.time()
        history.put_request(record(1, at=now - 31 * 86_400))
        for number in range(2, 20):
            history.put_request(record(number, at=now - 29 * 86_400))
        await history._write()
        assert await ids(history) == list(range(19, 9, -1))

    run(work)


def test_zero_days_keep_nothing_and_remove_what_there_is() -> None:
    async def put(history: History) -> None:
        history.put_request(record(1))

    async def look(history: History) -> None:
        history.put_request(record(2))
        await history._write()
        assert await ids(history) == []

    run(put)
    run(look, days=0)


async def refusing(call: Call) -> None:
    await call.send(json_answer({"error": f"no: {SECRET}"}, "400 Bad Request"))


async def failing(call: Call) -> None:
    await call.send(json_answer({"error": f"no: {SECRET}"}, "500 Oops"))


async def dying(call: Call) -> None:
    await call.send(event("a")[:0] + b"HTTP/1.0 200 OK\r\nContent-type: text/event-stream\r\n\r\n")
    await call.send(event("a"))


async def full(h: House) -> None:
    """Ask twice where only one request is let in."""
    client = await h.connect()
    await client.send(post(STREAM))
    await client.reader.readuntil(b"data: ")
    await h.ask(post(ASK))


async def one(h: House) -> None:
    await h.ask(post(STREAM))


@pytest.mark.parametrize(
    ("script", "ask", "state", "error"),
    [
        (refusing, one, RequestState.REFUSED, "The server coding refused the request."),
        (failing, one, RequestState.FAILED, "The server coding answered with the status 500."),
        (dying, one, RequestState.FAILED, "The server coding stopped in mid-answer."),
        (stalled, full, RequestState.REFUSED, "coding has too many open requests."),
        (answer_ok, one, RequestState.DONE, None),
    ],
)
def test_error_is_told_without_a_word_of_the_server(
    script: Any, ask: Any, state: RequestState, error: str | None, allow_log: Any
) -> None:
    allow_log("stopped in mid-answer|answered with the status")

    async def test() -> None:
        async with house(script, requests_per_server=lambda: 1) as h:
            await ask(h)
            found = h.gateway.ledger.last(1)[0]
            assert (found.state, found.error) == (state, error)
            assert SECRET not in repr(found)

    run_gateway(test())


def test_requests_are_numbered_and_tell_streams() -> None:
    async def test() -> None:
        async with house() as h:
            ended: list[RequestRecord] = []
            h.gateway.ledger.follow_on(41, ended.append)
            await h.ask(post(ASK))
            await h.ask(post(STREAM))
            assert [(r.id, r.is_stream) for r in ended] == [(42, False), (43, True)]
            assert h.gateway.ledger.last(9) == ended[::-1]
            assert h.gateway.ledger.last(9, before=43) == ended[:1]

    run_gateway(test())


def test_open_request_is_seen_however_many_came_after_it() -> None:
    async def test() -> None:
        async with house(stalled) as h:
            client = await h.connect()
            await client.send(post(STREAM))
            await client.reader.readuntil(b"data: ")
            h.server.script = answer_ok
            h.gateway.ledger._ended = type(h.gateway.ledger._ended)(maxlen=3)
            for _ in range(5):
                await h.ask(post(ASK))
            found = h.gateway.ledger.last(100)
            assert [r.id for r in found] == [6, 5, 4, 1]
            assert found[-1].state is RequestState.ANSWERING
            client.writer.close()
            await until_so(lambda: not h.gateway.ledger.open_requests("coding"))
            assert h.gateway.ledger.last(1, before=2)[0].state is RequestState.HUNG_UP

    run_gateway(test())


def test_answer_that_the_end_of_the_engine_cuts_is_no_hang_up() -> None:
    async def test() -> None:
        async with house(stalled) as h:
            client = await h.connect()
            await client.send(post(STREAM))
            await client.reader.readuntil(b"data: ")
            await h.gateway.close()
            (found,) = h.gateway.ledger.last(1)
            assert found.state is RequestState.FAILED
            assert found.error == "The engine is shutting down."

    run_gateway(test())


def test_requests_are_there_after_a_restart_and_open_ones_live(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as engine, engine.api() as api:
        engine.start("demo")
        for _ in range(3):
            assert engine.complete(messages=[{"role": "user", "content": SECRET}]).status == 200
        with open_stream(engine):
            until(lambda: api.requests(last=1)[0].state is RequestState.ANSWERING)
            assert api.requests(last=1)[0].is_stream
        until(lambda: api.requests(last=1)[0].state is RequestState.HUNG_UP)
        before = api.requests()
        assert [r.id for r in before] == [4, 3, 2, 1]
        assert before[-1].completion_tokens
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in home.glob("history.db*"))
    with running_engine(homes, home=home) as engine, engine.api() as api:
        assert api.requests() == before
        engine.start("demo")
        assert engine.complete().status == 200
        assert [r.id for r in api.requests(last=2)] == [5, 4]
        assert api.requests(last=2, before=4) == before[1:3]
        assert api.requests(server_id="demo", last=2, before=3) == before[2:]
        assert api.requests(server_id="nobody") == []
        for query in ("last=1001", "before=x", "before=-1"):
            answer = engine.call("GET", f"/api/requests?{query}")
            assert (answer.status, answer.code) == (400, "bad_request")
        assert engine.call("GET", "/api/requests?last=0").json == []
        api.change_settings({"request_log_days": 0})
        assert engine.complete().status == 200
        assert api.requests(last=1)[0].id == 6
    link = sqlite3.connect(home / "history.db")
    assert link.execute("SELECT count(*) FROM requests").fetchone() == (0,)
    link.close()
