"""Authentication at both ports of a real engine: every route, every way to get the key wrong."""

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from engine_kit import RunningEngine, call, chat, family, running_engine, wait_for_event

from app.client import credentials
from app.client.api import Api
from app.client.errors import NeedsKey
from app.wire.events import Snapshot
from app.wire.nouns import Server
from app.wire.routes import ROUTES

KEY = "correct-horse-battery-staple"
GATEWAY_ROUTES = [
    ("GET", "/v1/models"),
    ("GET", "/v1/models/demo"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("GET", "/"),
    ("GET", "/nothing"),
    ("OPTIONS", "/v1/models"),
]
ENGINE_ROUTES = [
    (row.method, row.path.replace("{id}", "demo")) for row in ROUTES if row.name != "health"
] + [
    ("GET", "/"),
    ("GET", "/nothing"),
    ("GET", "/health/"),
    ("GET", "/health?x"),
    ("POST", "/health"),
]
BAD_HEADERS = {
    "none": {},
    "empty": {"Authorization": ""},
    "scheme only": {"Authorization": "Bearer"},
    "wrong": {"Authorization": "Bearer wrong"},
    "prefix": {"Authorization": f"Bearer {KEY[:-1]}"},
    "longer": {"Authorization": f"Bearer {KEY}x"},
    "case": {"Authorization": f"Bearer {KEY.upper()}"},
    "basic": {"Authorization": f"Basic {KEY}"},
    "bare": {"Authorization": KEY},
    "x-api-key": {"X-Api-Key": KEY},
    "null": {"Authorization": "Bearer null"},
}


@pytest.fixture(scope="module")
def locked(homes: Path) -> Iterator[RunningEngine]:
    """An engine that wants a key."""
    with running_engine(homes, key=KEY) as one:
        yield one


@pytest.fixture(scope="module")
def server(locked: RunningEngine) -> Server:
    return locked.start("demo")


@pytest.fixture(scope="module")
def unlocked(homes: Path) -> Iterator[RunningEngine]:
    """An engine that wants none."""
    with running_engine(homes) as one:
        yield one


def test_auth_01_key_in_the_environment_turns_it_on(
    locked: RunningEngine, unlocked: RunningEngine
) -> None:
    assert locked.facts["key_required"] is True
    assert locked.call("GET", "/api/engine").json["key_required"] is True
    assert unlocked.facts["key_required"] is False


@pytest.mark.parametrize("text", ["", "   ", ",", " , "])
def test_auth_01_blank_key_is_no_key(homes: Path, text: str) -> None:
    with running_engine(homes, env={"MLX_MANAGER_API_KEY": text}) as one:
        assert one.facts["key_required"] is False
        assert one.call("GET", "/api/engine").status == 200


@pytest.mark.parametrize("headers", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_auth_02_request_without_valid_token_gets_401(
    locked: RunningEngine, headers: dict[str, str]
) -> None:
    for url, target in ((locked.url, "/api/engine"), (locked.gateway_url, "/v1/models")):
        answer = call(url, "GET", target, headers=headers)
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "target"), ENGINE_ROUTES)
def test_auth_02_every_engine_route_without_token_gets_401(
    locked: RunningEngine, method: str, target: str
) -> None:
    answer = call(locked.url, method, target)
    assert (answer.status, answer.code) == (401, "unauthorized")


@pytest.mark.parametrize(("method", "target"), GATEWAY_ROUTES)
def test_auth_02_every_gateway_route_without_token_gets_401(
    locked: RunningEngine, method: str, target: str
) -> None:
    body = chat() if method == "POST" else None
    answer = call(locked.gateway_url, method, target, body)
    assert (answer.status, answer.code) == (401, "unauthorized")


def test_auth_02_refused_order_has_no_effect(locked: RunningEngine, server: Server) -> None:
    assert call(locked.url, "POST", "/api/servers/demo/stop", key="wrong").status in (401, 429)
    assert call(locked.url, "DELETE", "/api/profiles/demo").status == 401
    assert locked.call("GET", "/api/servers/demo").json["pid"] == server.pid


def test_auth_02_valid_token_is_let_in(locked: RunningEngine, server: Server) -> None:
    assert locked.call("GET", "/api/engine").status == 200
    assert locked.call("GET", "/nothing").status == 404
    assert call(locked.gateway_url, "GET", "/v1/models", key=KEY).status == 200
    assert locked.complete().status == 200
    with locked.api() as api:
        assert isinstance(next(api.events()), Snapshot)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
def test_auth_02_scheme_ignores_case_and_spaces(locked: RunningEngine, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {KEY} "}
    assert call(locked.url, "GET", "/api/engine", headers=headers).status == 200


def test_auth_02_health_alone_is_open_and_says_only_that_it_lives(locked: RunningEngine) -> None:
    for url in (locked.url, locked.gateway_url):
        answer = call(url, "GET", "/health")
        assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_auth_02_two_keys_are_both_valid(homes: Path) -> None:
    with running_engine(homes, env={"MLX_MANAGER_API_KEY": "first-key, second-key"}) as one:
        for key in ("first-key", "second-key"):
            assert call(one.url, "GET", "/api/engine", key=key).status == 200
        assert call(one.url, "GET", "/api/engine", key="first-key, second-key").status == 401


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer anything"}])
def test_auth_03_without_a_key_everything_is_open(
    unlocked: RunningEngine, headers: dict[str, str]
) -> None:
    for method, target in ENGINE_ROUTES:
        # These would need the hub.
        if "events" in target or "/api/hub/" in target or "/plan" in target or method != "GET":
            continue
        assert call(unlocked.url, method, target, headers=headers).status in (200, 404)
    assert call(unlocked.gateway_url, "GET", "/v1/models", headers=headers).status == 200
    body = {"name": "Open", "model": "demo"}
    made = call(unlocked.url, "POST", "/api/profiles", body, headers=headers)
    assert made.status == 201
    target = f"/api/profiles/{made.json['id']}"
    assert call(unlocked.url, "DELETE", target, headers=headers).status == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
    ],
    ids=str,
)
def test_web_page_of_a_stranger_is_refused_without_a_key(
    unlocked: RunningEngine, headers: dict[str, str]
) -> None:
    body = {"name": "Evil", "model": "demo"}
    answer = call(unlocked.url, "POST", "/api/profiles", body, headers=headers)
    assert (answer.status, answer.code) == (403, "forbidden")
    names = [profile["name"] for profile in unlocked.call("GET", "/api/profiles").json]
    assert "Evil" not in names


def test_auth_04_client_asks_for_a_key_and_stores_it(locked: RunningEngine) -> None:
    with Api(locked.url) as api, pytest.raises(NeedsKey) as asked:
        api.engine()
    assert "key" in asked.value.message
    with Api(locked.url, "wrong") as api, pytest.raises(NeedsKey):
        next(api.events())
    where = credentials.store_key(locked.url + "/", KEY)
    assert "only you can read" in where
    with Api(locked.url, credentials.load_key(locked.url)) as api:
        assert api.engine().key_required
    credentials.forget_key(locked.url)
    assert credentials.load_key(locked.url) is None


def test_key_is_in_no_log_no_argument_no_event_and_no_child(
    locked: RunningEngine, server: Server
) -> None:
    locked.complete()
    call(locked.url, "GET", f"/api/engine?key={KEY}", key=KEY)
    for process in family(locked.process.pid):
        assert KEY not in " ".join(process.cmdline())
        if process.pid != locked.process.pid:
            assert KEY not in process.environ().values()
    with locked.api() as api:
        snapshot = wait_for_event(api.events(), lambda event: isinstance(event, Snapshot))
        assert KEY not in repr(snapshot)
    assert KEY not in locked.call("GET", "/api/settings").body.decode()
    for file in locked.home.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file
    assert psutil.pid_exists(server.pid or 0)


def test_readme_tells_about_the_key() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    assert "MLX_MANAGER_API_KEY" in text
    assert re.search(r"/health", text)
