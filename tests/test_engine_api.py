"""The engine as a real process: every route, a server's whole life, an end without leftovers."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import psutil
import pytest
import uvicorn.server
from engine_kit import (
    DEADLINE_S,
    ENDLESS,
    Lines,
    RunningEngine,
    call,
    chat,
    family,
    is_free,
    new_home,
    running_engine,
    spawn_engine,
    until,
    wait_for_event,
    wait_gone,
)

from app import paths
from app.client import launch
from app.client.api import Api
from app.client.errors import EngineGone
from app.engine.bus import Bus
from app.engine.http.app import make_app
from app.engine.http.server import ControlServer
from app.engine.http.state import State
from app.wire.errors import EXIT_ENGINE_RUNS, ErrorCode
from app.wire.events import (
    Event,
    Heartbeat,
    Removed,
    Samples,
    SampleValues,
    Snapshot,
    Upsert,
    decode_event,
    decode_item,
)
from app.wire.metrics import METRIC_NAMES
from app.wire.nouns import EngineInfo, Machine, Profile, ProfileDraft, Server, ServerState
from app.wire.routes import ROUTES

PROC = Path("/proc")
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is refused without a key
DEMO = 'name = "{name}"\nmodel = "demo"\n[options]\nmax_tokens = 16\n'


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    """One engine for the tests that leave it as it was."""
    with running_engine(homes) as one:
        yield one


@pytest.fixture(scope="module")
def demo(engine: RunningEngine) -> Server:
    """The demo server, ready."""
    return engine.start("demo")


def make_profile(engine: RunningEngine, name: str, **fields: object) -> str:
    body = {"name": name, "model": "demo", "options": {"max_tokens": 16}, **fields}
    answer = engine.call("POST", "/api/profiles", body)
    assert answer.status == 201, answer.body
    return answer.json["id"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_answers(engine: RunningEngine, route: Any) -> None:
    target = re.sub(r"{id(:path)?}", "nobody", route.path)
    if route.name == "events":
        with engine.api() as api:
            assert isinstance(next(api.events()), Snapshot)
        return
    if route.name == "search_hub":
        # A search that works is in the tests of the hub; it starts a worker.
        target += "?sort=best"
    answer = engine.call(route.method, target)
    if "{id" in route.path or route.name == "search_hub":
        assert answer.status in (400, 404)
        assert answer.code in ("bad_request", "not_found")
    elif route.method in ("POST", "PUT", "PATCH") and answer.status >= 400:
        assert (answer.status, answer.code) == (400, "bad_request")
    else:
        assert answer.status in (200, 202, 204)
    assert "internal" not in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/engine/", 404, "not_found"),
        ("GET", "/api/servers/nobody", 404, "not_found"),
        ("GET", "/api/servers/nobody/log", 404, "not_found"),
        ("GET", "/api/servers/..%2f..%2fx/log", 404, "not_found"),
        ("POST", "/api/servers/nobody/start", 404, "not_found"),
        ("DELETE", "/api/profiles/nobody", 404, "not_found"),
        ("PUT", "/api/engine", 405, "method_not_allowed"),
        ("DELETE", "/api/profiles", 405, "method_not_allowed"),
        ("OPTIONS", "/api/engine", 405, "method_not_allowed"),
        ("GET", "/api/servers/demo?wait_s=31", 400, "bad_request"),
        ("GET", "/api/servers/demo?wait_s=nan", 400, "bad_request"),
        ("GET", "/api/servers/demo?wait_s=-1", 400, "bad_request"),
        ("GET", "/api/servers/demo/log?max_bytes=1e9", 400, "bad_request"),
        ("GET", "/api/servers/demo/log?max_bytes=all", 400, "bad_request"),
    ],
)
def test_bugfix_03_wrong_request_is_told_in_the_shape_of_errors(
    engine: RunningEngine, method: str, target: str, status: int, code: str
) -> None:
    answer = engine.call(method, target)
    assert (answer.status, answer.code) == (status, code)


def test_405_names_every_method_of_the_path(engine: RunningEngine) -> None:
    allowed = engine.call("PATCH", "/api/profiles").headers["allow"]
    assert {name.strip() for name in allowed.split(",")} == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("target", ["/health", "/api/engine", "/api/events"])
def test_head_answers_at_once_without_a_body(engine: RunningEngine, target: str) -> None:
    answer = engine.call("HEAD", target)
    assert answer.status == 200
    assert answer.body == b""


GOOD = {"name": "X", "model": "demo"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"name": "\\ud800", "model": "m"}',
        b"[" * 100_000,
        b'{"name": "a", "model": "m", "options": {"x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
        {"name": "X"},
        GOOD | {"name": 3},
        GOOD | {"options": []},
        GOOD | {"options": {"temp": "hot"}},
        GOOD | {"options": {"temp": 1e400}},
        GOOD | {"options": {"max_tokens": 10**400}},
        GOOD | {"surprise": 1},
        GOOD | {"runtime": "vllm"},
    ],
    ids=str,
)
def test_bugfix_03_bad_profile_is_a_400_and_makes_nothing(
    engine: RunningEngine, body: object
) -> None:
    before = engine.call("GET", "/api/profiles").json
    answer = engine.call("POST", "/api/profiles", body)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert engine.call("GET", "/api/profiles").json == before


@pytest.mark.parametrize(
    "body",
    [b"[1]", b"{", {"host": 3}, {"gateway_port": 80}, {"nothing": 1}, {"appearance": "dark"}],
    ids=str,
)
def test_bugfix_03_bad_settings_are_a_400_and_change_nothing(
    engine: RunningEngine, body: object
) -> None:
    answer = engine.call("PATCH", "/api/settings", body)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert not (engine.home / "settings.toml").exists()


def test_body_that_is_too_large_is_a_413(engine: RunningEngine) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        answer = engine.call("POST", "/api/profiles", b" " * (1024 * 1024 + 1))
        assert (answer.status, answer.code) == (413, "too_large")
    assert engine.call("GET", "/health").status == 200


def test_line_that_is_no_http_is_a_400(engine: RunningEngine) -> None:
    parts = urlsplit(engine.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=DEADLINE_S) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("target", "status"), [("/api/events", b"200"), ("/nowhere", b"404")], ids=["amid", "after"]
)
def test_nonsense_where_an_answer_has_begun_ends_it_without_an_error(
    homes: Path, target: str, status: bytes
) -> None:
    with running_engine(homes) as engine:
        parts = urlsplit(engine.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=DEADLINE_S) as raw:
            head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            raw.sendall(head.encode())
            assert raw.recv(100).startswith(b"HTTP/1.1 " + status)
            raw.sendall(b"nonsense\r\n\r\n")
            while raw.recv(65_536):
                pass
        assert engine.call("GET", "/health").status == 200
        assert "Invalid HTTP request" in engine.log
        assert "Traceback" not in engine.log


def test_nonsense_that_goes_on_after_its_refusal_is_no_error() -> None:
    """The loop may still deliver what came while the connection is being closed."""

    async def live() -> None:
        config = ControlServer(make_app(cast("State", None))).config
        config.load()
        ours, theirs = socket.socketpair()
        _, protocol = await asyncio.get_running_loop().create_unix_connection(
            lambda: cast("Any", config.http_protocol_class)(
                config, uvicorn.server.ServerState(), {}
            ),
            sock=ours,
        )
        for _ in range(3):
            protocol.data_received(b"nonsense\r\n\r\n")
        with theirs:
            answer = await asyncio.to_thread(theirs.makefile("rb").read)
        assert answer.count(b"HTTP/1.1 400") == 1

    asyncio.run(live())


def test_engine_says_what_it_is(engine: RunningEngine) -> None:
    with engine.api() as api:
        info = api.engine()
    assert info.pid == engine.process.pid == engine.facts["pid"]
    assert (info.url, info.gateway_url) == (engine.url, engine.gateway_url)
    assert not info.key_required
    assert not info.open_bind
    assert info.gateway_note == ""
    assert info.home == str(engine.home)
    assert info.machine.memory_bytes > 0
    assert [runtime.id for runtime in info.runtimes] == ["mlx_lm"]
    assert Path(info.log).is_file()


def test_engine_file_is_for_its_user_only(engine: RunningEngine) -> None:
    path = engine.home / "run" / "engine.json"
    assert json.loads(path.read_text()) == engine.facts
    assert path.stat().st_mode & 0o077 == 0


def test_profile_goes_through_its_life(engine: RunningEngine) -> None:
    made = engine.call("POST", "/api/profiles", {"name": "Life", "model": "demo"})
    assert made.status == 201
    target, revision = f"/api/profiles/{made.json['id']}", made.json["revision"]
    changed = engine.call("PUT", target, {"name": "Other", "model": "demo", "revision": revision})
    assert changed.status == 200
    stale = {"name": "Third", "model": "demo", "revision": revision}
    assert engine.call("PUT", target, stale).code == "stale_revision"
    taken = engine.call("POST", "/api/profiles", {"name": "OTHER", "model": "demo"})
    assert (taken.status, taken.code) == (409, "name_taken")
    assert engine.call("DELETE", target).status == 204
    assert engine.call("DELETE", target).status == 404


def test_change_of_a_file_by_hand_reaches_front_ends(engine: RunningEngine) -> None:
    with engine.api() as api:
        events = api.events()
        next(events)
        path = engine.write_profile("by-hand", DEMO.format(name="By hand"))

        def shows(wanted: str) -> Profile:
            def is_wanted(event: object) -> bool:
                if not isinstance(event, Upsert) or event.kind != "profile":
                    return False
                item = decode_item(event)
                return isinstance(item, Profile) and item.id == "by-hand" and wanted in repr(item)

            event = wait_for_event(events, is_wanted)
            assert isinstance(event, Upsert)
            item = decode_item(event)
            assert isinstance(item, Profile)
            return item

        first = shows("By hand")
        engine.write_profile("by-hand", 'name = "Edited"\nmodel = "demo"\n')
        # The form still shows the old file; it must be told, and then see the new one.
        draft = {"name": "Mine", "model": "demo", "revision": first.revision}
        answer = engine.call("PUT", "/api/profiles/by-hand", draft)
        assert answer.code == "stale_revision"
        assert shows("Edited").revision != first.revision
        engine.write_profile("by-hand", "name = \n")
        fault = shows("line=1").fault
        assert fault is not None
        path.unlink()
        gone = wait_for_event(events, lambda e: isinstance(e, Removed) and e.kind == "profile")
        assert isinstance(gone, Removed)
        assert gone.id == "by-hand"
        events.close()  # type: ignore[attr-defined]


def test_start_of_a_broken_profile_is_refused(engine: RunningEngine) -> None:
    path = engine.write_profile("broken", "name = \n")
    # Any change has the folder read again.
    engine.call("PUT", "/api/profiles/nobody", {"name": "n", "model": "m"})
    answer = engine.call("POST", "/api/servers/broken/start")
    assert (answer.status, answer.code) == (409, "profile_broken")
    assert "line 1" in answer.json["error"]["message"]
    path.unlink()


def test_ready_server_answers_through_the_gateway(engine: RunningEngine, demo: Server) -> None:
    answer = engine.complete()
    assert answer.status == 200, answer.body
    assert answer.json["usage"]["completion_tokens"] > 0
    assert answer.json["choices"][0]["message"]["content"]


def test_private_port_of_a_server_answers_nobody_else(engine: RunningEngine, demo: Server) -> None:
    url = f"http://127.0.0.1:{demo.port}"
    assert call(url, "POST", "/v1/chat/completions", chat()).status == 403


def test_samples_of_a_ready_server_have_every_metric(engine: RunningEngine, demo: Server) -> None:
    assert engine.complete().status == 200

    def is_complete(event: object) -> bool:
        if not isinstance(event, Samples) or "demo" not in event.values:
            return False
        values = event.values["demo"]
        assert set(values) == METRIC_NAMES
        # Nothing is read now, and Linux has no such GPU.
        others = METRIC_NAMES - {"gpu_percent", "prompt_read_percent"}
        return all(values[name] is not None for name in others)

    with engine.api() as api:
        event = wait_for_event(api.events(), is_complete)
    assert isinstance(event, Samples)
    values = event.values["demo"]
    assert (values["tokens_total"] or 0) > 0
    assert (values["requests_total"] or 0) > 0
    assert values["requests_open"] == 0
    assert (values["memory_bytes"] or 0) > 10_000_000
    assert event.machine.memory_total_bytes > event.machine.memory_used_bytes > 0


def test_stream_begins_with_a_snapshot_and_goes_on_in_order(
    engine: RunningEngine, demo: Server
) -> None:
    with engine.api() as api:
        events = api.events()
        first = next(events)
        assert isinstance(first, Snapshot)
        assert "demo" in {server.id for server in first.servers}
        assert "demo" in {profile.id for profile in first.profiles}
        profile_id = make_profile(engine, "Ordered")
        engine.call("DELETE", f"/api/profiles/{profile_id}")
        last = first.seq
        for event in events:
            expected = last if isinstance(event, Heartbeat) else last + 1
            assert event.seq == expected
            last = event.seq
            if isinstance(event, Removed):
                break


def test_slow_subscriber_gets_a_new_snapshot_and_misses_nothing() -> None:
    machine = Machine("m", "c", 1)
    info = EngineInfo("0", 1, 1, "", "", "", 0.0, "", "", False, False, machine, ())

    async def lag() -> None:
        bus = Bus(info)
        subscription = bus.subscribe()
        assert isinstance(decode_event(await subscription.next(1) or b""), Snapshot)
        for number in range(1000):
            bus.put(Profile("p", str(number), "m"))
        seen = []
        while not seen or not isinstance(seen[-1], Snapshot):
            seen.append(decode_event(await subscription.next(1) or b""))
        assert [event.seq for event in seen[:-1]] == list(range(1, len(seen)))
        assert seen[-1].seq == 1000
        assert seen[-1].profiles[0].name == "999"
        bus.put(Profile("p", "after", "m"))
        assert decode_event(await subscription.next(1) or b"").seq == 1001
        assert isinstance(decode_event(await subscription.next(0) or b""), Heartbeat)
        for number in range(1000):
            bus.put(Profile("p", str(number), "m"))
        bus.close()
        rest = [await subscription.next(1) for _ in range(260)]
        assert rest.index(None) == 256
        assert rest[-1] is None

    asyncio.run(lag())


def test_wait_for_a_settled_server_returns_at_once(engine: RunningEngine, demo: Server) -> None:
    answer = engine.call("GET", "/api/servers/demo?wait_s=30")
    assert answer.json["state"] == "ready"


def test_server_goes_through_its_life(engine: RunningEngine) -> None:
    profile_id = make_profile(engine, "Life of a server")
    target = f"/api/servers/{profile_id}"
    with engine.api() as api:
        events = api.events()
        next(events)
        started = engine.call("POST", f"{target}/start")
        assert started.status == 202
        assert started.json["state"] == "starting"
        assert engine.call("POST", f"{target}/start").status == 202
        first = engine.settle(profile_id)
        assert first.state is ServerState.READY
        used = engine.call("DELETE", target)
        assert (used.status, used.code) == (409, "profile_in_use")
        used = engine.call("DELETE", f"/api/profiles/{profile_id}")
        assert (used.status, used.code) == (409, "profile_in_use")
        guard = psutil.Process(first.pid).parent()
        assert guard is not None
        members = family(guard.pid)

        assert engine.call("POST", f"{target}/restart").status == 202
        until(lambda: engine.call("GET", target).json["pid"] not in (None, first.pid))
        second = engine.settle(profile_id)
        assert second.state is ServerState.READY
        assert second.restarts == 1
        assert second.pid != first.pid
        wait_gone(members, 1)

        assert engine.call("POST", f"{target}/stop").status == 202
        stopped = engine.settle(profile_id)
        assert (stopped.state, stopped.pid, stopped.port) == (ServerState.STOPPED, None, None)
        assert is_free(second.port or 0)
        assert not psutil.pid_exists(second.pid or 0)
        assert engine.call("DELETE", target).status == 204
        seen = []
        for event in events:
            seen.append(event)
            if isinstance(event, Removed) and event.kind == "server":
                break
        items = [decode_item(e) for e in seen if isinstance(e, Upsert) and e.kind == "server"]
        states = [item.state.value for item in items if isinstance(item, Server)]
        short = [s for i, s in enumerate(states) if i == 0 or states[i - 1] != s]
        life = ["starting", "ready", "stopping", "starting", "ready", "stopping", "stopped"]
        assert short == life
        assert sum(isinstance(e, Removed) for e in seen) == 1
    assert engine.call("GET", f"{target}/log").status == 200
    assert engine.call("DELETE", f"/api/profiles/{profile_id}").status == 204
    assert not list((engine.home / "logs" / "servers").glob(f"{profile_id}.log*"))


def test_stop_during_a_start_ends_it(engine: RunningEngine) -> None:
    profile_id = make_profile(engine, "Given up")
    target = f"/api/servers/{profile_id}"
    assert engine.call("POST", f"{target}/start").status == 202
    until(lambda: engine.call("GET", target).json["phase"] == "importing")
    pid = engine.call("GET", target).json["pid"]
    assert engine.call("POST", f"{target}/stop").json["state"] == "stopping"
    server = engine.settle(profile_id)
    assert (server.state, server.failure) == (ServerState.STOPPED, None)
    assert not psutil.pid_exists(pid)
    engine.call("DELETE", f"/api/profiles/{profile_id}")


def test_failed_start_is_told_in_words_with_log_and_hint(engine: RunningEngine) -> None:
    model = engine.home / "cut model"
    shutil.copytree(paths.demo_model(), model)
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    profile_id = make_profile(engine, "Cut", model=str(model))
    engine.call("POST", f"/api/servers/{profile_id}/start")
    server = engine.settle(profile_id)
    assert server.state is ServerState.FAILED
    assert server.failure is not None
    assert server.failure.code is ErrorCode.MODEL_BROKEN
    assert server.failure.message.endswith(".")
    assert server.failure.hint
    assert server.failure.log_tail
    assert server.pid is None
    log = engine.call("GET", f"/api/servers/{profile_id}/log")
    assert log.headers["content-type"].startswith("text/plain")
    assert server.failure.log_tail[-1] in log.body.decode()
    assert len(engine.call("GET", f"/api/servers/{profile_id}/log?max_bytes=300").body) <= 300
    assert engine.call("DELETE", f"/api/profiles/{profile_id}").status == 204
    assert profile_id not in {s["id"] for s in engine.call("GET", "/api/servers").json}


def test_missing_model_fails_at_once_in_words(engine: RunningEngine) -> None:
    profile_id = make_profile(engine, "Missing", model="nobody/nothing")
    engine.call("POST", f"/api/servers/{profile_id}/start")
    server = engine.settle(profile_id)
    assert server.failure is not None
    assert server.failure.code is ErrorCode.MODEL_MISSING
    assert server.failure.hint
    engine.call("DELETE", f"/api/profiles/{profile_id}")


def test_models_list_has_the_demo(engine: RunningEngine) -> None:
    until(lambda: [m["id"] for m in engine.call("GET", "/api/models").json] == ["demo"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/models", 200),
        ("GET", "/api/models/demo/fit", 200),
        ("GET", "/api/models/demo/removal", 200),
        ("POST", "/api/models/demo/verify", 202),
    ],
)
def test_model_is_not_missing_while_a_new_engine_looks_for_the_first_time(
    homes: Path, method: str, path: str, status: int
) -> None:
    with running_engine(homes) as engine:
        answer = engine.call(method, path)
        assert answer.status == status, answer.json
        assert answer.json != []
        assert engine.call("GET", "/api/models/nobody/fit").status == 404


def test_demo_is_hidden_and_shown_again_by_its_setting(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as one:
        until(lambda: len(one.call("GET", "/api/models").json) == 1)
        answer = one.call("PATCH", "/api/settings", {"show_demo": False})
        assert {"name": "show_demo", "value": False, "source": "file"} in answer.json
        assert one.call("GET", "/api/profiles").json == []
        until(lambda: one.call("GET", "/api/models").json == [])
    with running_engine(homes, home=home) as one:
        assert one.call("GET", "/api/profiles").json == []
        one.call("PATCH", "/api/settings", {"show_demo": True})
        assert [p["id"] for p in one.call("GET", "/api/profiles").json] == ["demo"]
        until(lambda: len(one.call("GET", "/api/models").json) == 1)


def refused(home: Path, *flags: str, status: int = 1, **options: Any) -> str:
    """Start an engine that must not come up, and return its words."""
    process = spawn_engine(home, *flags, **options)
    assert process.stdout is not None
    try:
        assert Lines(process.stdout.fileno()).next() is None
        assert process.wait(DEADLINE_S) == status
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    text = (home / "errors").read_text()
    assert "Traceback" not in text
    return text.splitlines()[-1]


def test_second_engine_of_a_home_is_refused_and_names_the_first(engine: RunningEngine) -> None:
    errors = (engine.home / "errors").read_text()
    words = refused(engine.home, status=EXIT_ENGINE_RUNS)
    assert engine.url in words
    assert str(engine.process.pid) in words
    assert engine.call("GET", "/health").status == 200
    assert (engine.home / "run" / "engine.json").exists()
    (engine.home / "errors").write_text(errors)


@contextlib.contextmanager
def stranger(host: str = "127.0.0.1") -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_gateway_port_of_a_stranger_is_named_and_another_is_used(homes: Path) -> None:
    with stranger() as port, running_engine(homes, "--gateway-port", str(port)) as one:
        assert urlsplit(one.gateway_url).port != port
        info = one.call("GET", "/api/engine").json
        assert str(port) in info["gateway_note"]
        assert f"process {os.getpid()}" in info["gateway_note"]
        assert info["gateway_note"] in one.log


def test_control_port_of_a_stranger_is_a_sentence(homes: Path) -> None:
    with stranger() as port:
        words = refused(new_home(homes), "--port", str(port))
    assert f":{port} cannot be listened on" in words
    assert f"process {os.getpid()}" in words


@pytest.mark.parametrize("host", [EVERYWHERE, "::"])
def test_open_network_without_a_key_is_refused(homes: Path, host: str) -> None:
    assert "--allow-open-network" in refused(new_home(homes), "--host", host)


def test_open_network_is_allowed_by_a_flag_and_shown(homes: Path) -> None:
    with running_engine(homes, "--host", EVERYWHERE, "--allow-open-network") as one:
        info = one.call("GET", "/api/engine").json
        assert info["open_bind"] is True
        assert "no API key" in info["gateway_note"]


def test_open_network_with_a_key_is_allowed(homes: Path) -> None:
    with running_engine(homes, "--host", EVERYWHERE, key="a-long-secret") as one:
        info = one.call("GET", "/api/engine").json
        assert (info["open_bind"], info["gateway_note"]) == (False, "")


def test_address_of_another_computer_is_a_sentence(homes: Path) -> None:
    words = refused(new_home(homes), "--host", "192.0.2.1", key="a-long-secret")
    assert "192.0.2.1" in words


@pytest.mark.parametrize("flags", [["--port", "80"], ["--port", "x"], ["--gateway-port", "70000"]])
def test_bugfix_03_port_that_is_none_is_a_usage_error(homes: Path, flags: list[str]) -> None:
    home = new_home(homes)
    process = spawn_engine(home, *flags)
    assert process.stdout is not None
    assert process.wait(DEADLINE_S) == 2
    process.stdout.close()


def test_home_that_cannot_be_one_is_a_sentence(homes: Path) -> None:
    home = new_home(homes)
    (home / "file").touch()
    words = refused(home, env={"MLX_MANAGER_HOME": str(home / "file")})
    assert "cannot be used: Not a directory" in words


def test_bugfix_02_sigterm_ends_engine_servers_and_open_streams(homes: Path) -> None:
    with running_engine(homes) as one, one.api() as api:
        server = one.start("demo")
        members = family(one.process.pid)
        assert len(members) >= 3
        events = api.events()
        assert isinstance(next(events), Snapshot)
        answers: list[object] = []
        asking = threading.Thread(
            target=lambda: answers.append(ask_for_long(one)), name="long request"
        )
        asking.start()
        until(lambda: open_requests(one) == 1)
        assert one.stop() == 0
        wait_gone(members, 1)
        asking.join(DEADLINE_S)
        # Front ends see the servers end before the stream does.
        assert server_states(events)[-1] is ServerState.STOPPED
        assert is_free(server.port or 0)
        assert not (one.home / "run" / "engine.json").exists()
        assert "Traceback" not in one.log
        assert not re.search(r" (WARNING|ERROR|CRITICAL) ", one.log)


def server_states(events: Iterator[Event]) -> list[ServerState]:
    """Read the stream to its end."""
    states: list[ServerState] = []
    try:
        for event in events:
            if isinstance(event, Upsert) and event.kind == "server":
                item = decode_item(event)
                assert isinstance(item, Server)
                states.append(item.state)
    except EngineGone:
        return states
    raise AssertionError("a stream has no end of its own")


def ask_for_long(one: RunningEngine) -> object:
    try:
        return one.complete(max_tokens=4000, stream=True, **ENDLESS).status
    except (OSError, http.client.HTTPException) as error:
        return error


def open_requests(one: RunningEngine) -> float | None:
    with one.api() as api:
        event = wait_for_event(api.events(), lambda e: isinstance(e, Samples))
    assert isinstance(event, Samples)
    return event.values.get("demo", {}).get("requests_open")


@pytest.mark.skipif(not PROC.is_dir(), reason="only Linux tells whose a pipe is")
def test_children_of_an_engine_get_no_file_of_its_starter(homes: Path) -> None:
    read, write = os.pipe()
    pipe = (PROC / f"self/fd/{write}").readlink()

    def holds_it(pid: int) -> bool:
        return pipe in [file.readlink() for file in (PROC / f"{pid}/fd").iterdir()]

    try:
        with running_engine(homes, pass_fds=[write]) as one:
            one.start("demo")
            engine, *children = [process.pid for process in family(one.process.pid)]
            assert holds_it(engine)
            assert children
            assert not [pid for pid in children if holds_it(pid)]
    finally:
        os.close(read)
        os.close(write)


def test_bugfix_02_engine_that_is_killed_leaves_nothing(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as one:
        server = one.start("demo")
        members = family(one.process.pid)
        one.process.send_signal(signal.SIGKILL)
        assert one.process.wait(DEADLINE_S) == -signal.SIGKILL
        wait_gone(members[1:], 10)
        assert is_free(server.port or 0)
    # What it left on the disk is no obstacle to the next one.
    with running_engine(homes, home=home) as one:
        assert one.call("GET", "/api/servers").json == []
        assert one.facts["pid"] != server.pid


def test_owned_engine_ends_with_its_owner_and_keeps_the_key_secret(homes: Path) -> None:
    home = new_home(homes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_MANAGER_HOME", str(home))
        patch.setenv("HF_HOME", str(home / "hf"))
        owned = launch.start_owned("a-long-secret", gateway_port=0)
        try:
            assert owned.address.key_required
            members = family(owned.process.pid)
            assert all("a-long-secret" not in " ".join(p.cmdline()) for p in members)
            assert owned.process.stdin is not None
            owned.process.stdin.close()
            assert owned.process.wait(DEADLINE_S) == 0
            wait_gone(members)
        finally:
            owned.stop()
    assert not owned.is_alive()


@pytest.mark.parametrize("source", [os.devnull, __file__])
def test_owned_engine_without_a_pipe_says_so(homes: Path, source: str) -> None:
    environment = os.environ | {"MLX_MANAGER_HOME": str(new_home(homes))}
    with Path(source).open("rb") as given:
        done = subprocess.run(
            [*paths.program("engine"), "--owned"], stdin=given, env=environment,
            cwd=paths.program_root(), capture_output=True, text=True, timeout=DEADLINE_S,
            check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "An owned engine needs a pipe as its standard input." in done.stderr


def test_engine_listens_to_nobody_else_when_owned_without_key(homes: Path) -> None:
    home = new_home(homes)
    (home / "settings.toml").write_text('host = "0.0.0.0"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_MANAGER_HOME", str(home))
        patch.setenv("HF_HOME", str(home / "hf"))
        owned = launch.start_owned(None, gateway_port=0)
        try:
            with Api(owned.address.url) as api:
                info = api.engine()
            assert urlsplit(info.gateway_url).hostname == "127.0.0.1"
            assert "needs an API key" in info.gateway_note
        finally:
            owned.stop()


def test_owned_engine_comes_up_with_an_address_of_another_computer(homes: Path) -> None:
    home = new_home(homes)
    (home / "settings.toml").write_text('host = "192.0.2.1"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_MANAGER_HOME", str(home))
        patch.setenv("HF_HOME", str(home / "hf"))
        owned = launch.start_owned("a-long-secret", gateway_port=0)
        try:
            with Api(owned.address.url, "a-long-secret") as api:
                info = api.engine()
            assert "192.0.2.1 is no address of this computer" in info.gateway_note
            assert not info.open_bind
        finally:
            owned.stop()


def test_bugfix_05_engine_writes_one_line_to_standard_output(homes: Path) -> None:
    with running_engine(homes) as one:
        one.call("GET", "/api/engine")
        assert one.call("GET", "/nothing").status == 404
        one.stop()
        assert one.process.stdout is not None
        assert os.read(one.process.stdout.fileno(), 100) == b""
        assert " DEBUG " not in one.log


def test_request_that_waits_for_its_server_counts_as_open(engine: RunningEngine) -> None:
    with engine.api() as api:
        policy = {"start_on_request": True}
        made = api.create_profile(ProfileDraft("Sleepy", "demo", policy=policy))
        with ThreadPoolExecutor(1) as pool:
            events = api.events()
            answer = pool.submit(engine.complete, model="Sleepy")
            seen: list[SampleValues] = []
            for event in events:
                if isinstance(event, Samples) and made.id in event.values:
                    seen.append(event.values[made.id])
                if answer.done() and seen and not seen[-1]["requests_queued"]:
                    break
            events.close()
        assert answer.result().status == 200
        assert any(figures["requests_queued"] for figures in seen)
        for figures in seen:
            assert (figures["requests_open"] or 0) >= (figures["requests_queued"] or 0)
        engine.stop_server(made.id)
        api.remove_server(made.id)
        api.delete_profile(made.id)
