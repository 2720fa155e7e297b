"""A port of its own for a profile: every request there goes to it, by the gateway's own rules."""

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from engine_kit import RunningEngine, call, chat, is_free, running_engine, until
from gateway_kit import (
    ASK,
    BEARER,
    KEYED,
    STREAM,
    Client,
    House,
    get,
    house,
    post,
    run,
    stalled,
)
from gateway_kit import until as until_so
from patience import DEADLINE_S

from app.wire.nouns import PublicPort
from app.wire.requests import RequestState


@contextlib.asynccontextmanager
async def beside(h: House, profile_id: str = "coding") -> AsyncIterator[House]:
    """The same house through the port of one profile."""
    _, port = await h.gateway.open_port(profile_id, 0)
    yield House(h.gateway, h.directory, h.server, port, h.clients)


@pytest.mark.parametrize("name", ["coding", "other", "gpt-4o", None])
def test_every_model_name_goes_to_the_profile_of_the_port(name: str | None) -> None:
    async def test() -> None:
        async with house() as h, beside(h) as door:
            h.directory.add("other", h.directory.upstreams[0].port)
            body = {**ASK, "model": name} if name else {"messages": ASK["messages"]}
            answer = await door.ask(post(body))
            assert answer.status == 200
            assert h.server.calls[0].headers["x-upstream-token"] == "token-coding"
            assert h.server.calls[0].json["model"] == "default_model"
            assert answer.json["model"] == (name or "coding")

    run(test())


def test_list_of_models_has_only_the_profile_of_the_port() -> None:
    async def test() -> None:
        async with house() as h, beside(h) as door:
            h.directory.add("other", 1)
            listed = (await door.ask(get("/v1/models"))).json["data"]
            assert [one["id"] for one in listed] == ["coding"]
            assert (await door.ask(get("/v1/models/other"))).status == 404
            assert (await door.ask(get("/v1/models/coding"))).status == 200
            assert len((await h.ask(get("/v1/models"))).json["data"]) == 2

    run(test())


def test_port_has_the_gateways_key_and_counts_in_its_ledger() -> None:
    async def test() -> None:
        async with house(policy=KEYED) as h, beside(h) as door:
            assert (await door.ask(post(ASK))).status == 401
            assert (await door.ask(post(ASK, BEARER))).status == 200
            assert h.gateway.ledger.last(1)[0].state is RequestState.DONE

    run(test())


def test_port_of_a_stopped_profile_starts_it_or_says_how() -> None:
    async def test() -> None:
        async with house() as h:
            start = h.directory.add_startable("sleeper")
            async with beside(h, "sleeper") as door:
                asking = asyncio.create_task(door.ask(post({**ASK, "model": "any"})))
                await until_so(lambda: h.directory.asked)
                start.set_result(h.directory.upstreams[0])
                assert (await asking).status == 200
            async with beside(h, "gone") as door:
                assert (await door.ask(post(ASK))).status == 404
        async with house() as h:
            h.directory.add_startable("sleeper")
            (served,) = h.directory.stopped
            h.directory.stopped = [type(served)("sleeper", "m", False, 0.0, "sleeper", False)]
            async with beside(h, "sleeper") as door:
                answer = await door.ask(post(ASK))
                assert answer.status == 503
                assert "mlxm start sleeper" in answer.error["message"]

    run(test())


async def _is_refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


def test_closed_port_drops_idle_connections_and_ends_streams_in_order() -> None:
    async def test() -> None:
        async with house(stalled) as h, beside(h) as door:
            idle, busy = await door.connect(), await door.connect()
            elsewhere = await h.connect()
            await idle.send(get("/v1/models"))
            assert (await idle.read()).status == 200
            await busy.send(post(STREAM))
            await busy.reader.readuntil(b"data: ")
            h.gateway.close_port("coding")
            assert await idle.is_closed()
            assert await _is_refused(door.port)
            assert h.gateway.ledger.open_requests("coding") == 1
            call_under_way = h.server.calls[-1]
            await call_under_way.send(b"data: [DONE]\n\n")
            assert (await busy.reader.read()).endswith(b"0\r\n\r\n")
            await elsewhere.send(get("/v1/models"))
            assert (await elsewhere.read()).status == 200

    run(test())


def test_end_of_the_gateway_closes_its_ports() -> None:
    async def test() -> None:
        async with house(stalled) as h, beside(h) as door:
            client: Client = await door.connect()
            await client.send(post(STREAM))
            await client.reader.readuntil(b"data: ")
            await h.gateway.close()
            assert b"shutting down" in await client.reader.read()
            assert await _is_refused(door.port)

    run(test())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def own_port(engine: RunningEngine, name: str) -> PublicPort | None:
    with engine.api() as api:
        ports = {one.profile: one for one in api.engine().public_ports}
    return ports.get(name)


def save(engine: RunningEngine, name: str, port: int, *, is_new: bool = False) -> None:
    body: dict[str, Any] = {
        "name": name.title(), "model": "demo", "options": {"max_tokens": 4},
        "policy": {"public_port": port, "start_on_request": True},
    }  # fmt: skip
    method, path = ("POST", "/api/profiles") if is_new else ("PUT", f"/api/profiles/{name}")
    assert engine.call(method, path, body).status in (200, 201)


def test_port_of_a_profile_follows_its_file(homes: Path) -> None:
    first, second = free_port(), free_port()
    with running_engine(homes) as engine:
        save(engine, "coding", first, is_new=True)
        until(lambda: own_port(engine, "coding") is not None)
        found = own_port(engine, "coding")
        assert found == PublicPort("coding", first, url=f"http://127.0.0.1:{first}")
        answer = call(found.url, "POST", "/v1/chat/completions", chat(model="whatever"))
        assert (answer.status, answer.json["model"]) == (200, "whatever")
        # A client that keeps its connection must not reach the profile by its old port.
        link = http.client.HTTPConnection("127.0.0.1", first, timeout=DEADLINE_S)
        link.request("GET", "/v1/models")
        assert [m["id"] for m in json.loads(link.getresponse().read())["data"]] == ["Coding"]
        save(engine, "coding", second)
        until(lambda: not is_free(second) and is_free(first))
        assert link.sock is not None
        assert link.sock.recv(1) == b""
        link.close()
        save(engine, "other", second, is_new=True)
        until(lambda: own_port(engine, "other") is not None)
        rival = own_port(engine, "other")
        assert rival is not None
        assert rival.note == f"Port {second} belongs to “Coding” already."
        engine.stop_server("coding")
        assert engine.call("DELETE", "/api/profiles/coding").status == 204
        until(lambda: own_port(engine, "coding") is None)
        save(engine, "other", 0)
        until(lambda: is_free(second))


def test_taken_port_is_told_and_everything_else_works(homes: Path) -> None:
    with running_engine(homes) as engine, socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        save(engine, "coding", port, is_new=True)
        until(lambda: own_port(engine, "coding") is not None)
        found = own_port(engine, "coding")
        assert found is not None
        assert found.url == ""
        assert found.note.startswith(f"Port {port} cannot be opened: it is taken by ")
        assert engine.complete(model="Coding").status == 200
        save(engine, "low", 80, is_new=True)
        until(lambda: own_port(engine, "low") is not None)
        low = own_port(engine, "low")
        assert low is not None
        assert "choose one from 1024" in low.note
        stranger.close()
        until(lambda: bool((one := own_port(engine, "coding")) and one.url))
        assert engine.log.count("cannot be opened") == 1
        for wrong in (-1, 65_536, "9000"):
            body = {"name": "Wrong", "model": "demo", "policy": {"public_port": wrong}}
            assert engine.call("POST", "/api/profiles", body).status == 400
