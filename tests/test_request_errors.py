"""Requests that fail or are refused: by kind and by client, in the log and in the metrics."""

import hashlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from engine_kit import call, new_home, running_engine
from gateway_kit import (
    ASK,
    BEARER,
    KEY,
    KEYED,
    SSE_HEAD,
    STREAM,
    Call,
    House,
    event,
    get,
    house,
    json_answer,
    post,
    run,
    stalled,
)

from app.gate import Policy
from app.gateway.ledger import Caller, Ledger
from app.gateway.shared import Limits
from app.wire.errors import AppError
from app.wire.requests import ErrorKind, RequestState

NAMED = "sk-named-7718"
POLICY = Policy.from_key_text(f"{KEY},{NAMED}")
POLICY = Policy(keys=POLICY.keys, names={hashlib.sha256(NAMED.encode()).digest(): "Laptop"})


async def dying(call: Call) -> None:
    await call.send(SSE_HEAD + event("a"))
    call.reset()


async def failing(call: Call) -> None:
    await call.send(json_answer({"error": "no"}, "500 Oops"))


async def refusing(call: Call) -> None:
    await call.send(json_answer({"error": "no"}, "400 Bad Request"))


async def closing(call: Call) -> None:
    await call.send(b"")


async def ask(h: House) -> None:
    await h.ask(post(STREAM, BEARER))


async def ask_unreachable(h: House) -> None:
    await h.server.stop()
    await ask(h)


async def ask_unknown(h: House) -> None:
    await h.ask(post({**ASK, "model": "nobody's"}, BEARER))


async def ask_nonsense(h: House) -> None:
    await h.ask(post(b"[]", BEARER))


async def ask_without_key(h: House) -> None:
    await h.ask(post(ASK))


async def ask_malformed(h: House) -> None:
    await h.ask(b"nonsense\r\n\r\n")


async def ask_slowly(h: House) -> None:
    client = await h.connect()
    await client.send(post(ASK, BEARER)[:-1])
    assert (await client.read()).status == 408


async def ask_twice(h: House) -> None:
    client = await h.connect()
    await client.send(post(STREAM, BEARER))
    await client.reader.readuntil(b"data: ")
    await ask(h)


async def ask_stopped(h: House) -> None:
    h.directory.upstreams.clear()
    await ask(h)


async def start_in_vain(h: House) -> None:
    h.directory.add_startable("sleeper").set_exception(AppError("No."))
    await h.ask(post({**ASK, "model": "sleeper"}, BEARER))


async def ask_as_stranger(h: House) -> None:
    await h.ask(get("/v1/models", BEARER).replace(b"localhost", b"evil.example"))


@pytest.mark.parametrize(
    ("script", "act", "kind", "server"),
    [
        (dying, ask, ErrorKind.DIED, "coding"),
        (closing, ask, ErrorKind.UNREACHABLE, "coding"),
        (failing, ask, ErrorKind.SERVER_ERROR, "coding"),
        (refusing, ask, ErrorKind.BAD_REQUEST, "coding"),
        (refusing, ask_unreachable, ErrorKind.UNREACHABLE, "coding"),
        (stalled, ask_twice, ErrorKind.BUSY, "coding"),
        (refusing, start_in_vain, ErrorKind.START_FAILED, "sleeper"),
        (refusing, ask_stopped, ErrorKind.UNKNOWN_MODEL, ""),
        (refusing, ask_unknown, ErrorKind.UNKNOWN_MODEL, ""),
        (refusing, ask_nonsense, ErrorKind.BAD_REQUEST, ""),
        (refusing, ask_malformed, ErrorKind.BAD_REQUEST, ""),
        (refusing, ask_without_key, ErrorKind.UNAUTHORIZED, ""),
        (refusing, ask_as_stranger, ErrorKind.FORBIDDEN, ""),
        (refusing, ask_slowly, ErrorKind.TIMEOUT, ""),
    ],
)
def test_each_way_to_fail_has_its_kind(
    script: Any,
    act: Callable[[House], Awaitable[None]],
    kind: ErrorKind,
    server: str,
    allow_log: Any,
) -> None:
    allow_log("stopped in mid-answer|answered with|cannot be reached|without an answer")

    async def test() -> None:
        limits = Limits(body_window_s=0.2)
        async with house(script, policy=KEYED, limits=limits, requests_per_server=lambda: 1) as h:
            await act(h)
            found = next(r for r in h.gateway.ledger.last(9) if r.kind is not None)
            assert (found.kind, found.server, found.client) == (kind, server, "127.0.0.1")
            assert found.error
            assert "nobody" not in repr(found)
            assert {k: dict(v) for k, v in h.gateway.ledger.errors().items() if v} == {
                server: {kind: 1}
            }

    run(test())


def test_client_is_told_by_address_and_by_the_name_of_its_key() -> None:
    async def test() -> None:
        async with house(policy=POLICY) as h:
            await h.ask(post(ASK, BEARER))
            for _ in range(2):
                await h.ask(post(ASK, f"Authorization: Bearer {NAMED}"))
            await h.ask(post({**ASK, "model": "x"}, f"Authorization: Bearer {NAMED}"))
            records = h.gateway.ledger.last(9)
            assert [r.key for r in records] == ["Laptop", "Laptop", "Laptop", ""]
            assert h.gateway.ledger.clients() == {
                Caller("127.0.0.1"): {RequestState.DONE: 1},
                Caller("127.0.0.1", "Laptop"): {RequestState.DONE: 2, RequestState.REFUSED: 1},
            }
            assert not any(secret in repr(records) for secret in (KEY, NAMED))

    run(test())


def test_strangers_fill_neither_the_log_nor_the_metrics() -> None:
    now = 0.0
    ledger = Ledger(lambda: now)
    for number in range(2000):
        caller = Caller(f"10.0.{number % 100}.1")
        ledger.refuse(caller, ErrorKind.UNAUTHORIZED, "No key.", is_stranger=True)
    assert len(ledger.last(5000)) == 100
    assert ledger.errors()[""][ErrorKind.UNAUTHORIZED] == 2000
    clients = ledger.clients()
    assert len(clients) == 51
    assert clients[Caller("other")][RequestState.REFUSED] == 1000
    now = 61.0
    ledger.refuse(Caller("10.0.0.1"), ErrorKind.UNAUTHORIZED, "No key.", is_stranger=True)
    assert len(ledger.last(5000)) == 101


def test_history_of_an_earlier_version_is_kept_and_kinds_are_told(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as engine:
        assert engine.complete(model="nobody").status == 404
    link = sqlite3.connect(home / "history.db")
    link.executescript(
        'ALTER TABLE requests DROP COLUMN kind; ALTER TABLE requests DROP COLUMN "key";'
        "DROP TABLE texts; PRAGMA user_version = 1;"
    )
    link.close()
    with running_engine(homes, home=home) as engine, engine.api() as api:
        (old,) = api.requests()
        assert (old.id, old.kind, old.state) == (1, None, RequestState.REFUSED)
        made = api.create_key("Laptop")
        body = {**ASK, "model": "nobody"}
        options: dict[str, Any] = {"key": made.secret}
        call(engine.gateway_url, "POST", "/v1/chat/completions", body, **options)
        new = api.requests()[0]
        assert (new.kind, new.key, new.server) == (ErrorKind.UNKNOWN_MODEL, "Laptop", "")
        lines = api.metrics().splitlines()
        assert 'mlx_manager_request_errors_total{server="",kind="unknown_model"} 1' in lines
        told = (
            'mlx_manager_client_requests_total{client="127.0.0.1",key="Laptop",state="refused"} 1'
        )
        assert told in lines
        assert made.secret not in "".join(lines)
    with running_engine(homes, home=home) as engine, engine.api() as api:
        assert api.requests() == [new, old]
