"""Named API keys at a real engine: made, used, required, revoked, never readable on the disk."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_kit import RunningEngine, call, new_home, running_engine

from app.client import launch
from app.client.api import Api
from app.client.errors import EngineGone, NeedsKey
from app.wire.errors import AppError
from app.wire.events import Snapshot

ENV_KEY = "correct-horse-battery-staple"
ORIGIN = "http://localhost:3000"


@pytest.fixture
def engine(homes: Path) -> Iterator[RunningEngine]:
    """An engine without a key in its environment."""
    with running_engine(homes) as one:
        yield one


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_named_key_without_the_switch_leaves_everything_open(engine: RunningEngine) -> None:
    with Api(engine.url) as api:
        made = api.create_key("Editor")
        assert [key.name for key in api.named_keys()] == ["Editor"]
        assert api.engine().key_required is False
    assert call(engine.gateway_url, "GET", "/v1/models").status == 200
    assert made.secret.startswith("mlxm-")


def test_required_key_is_wanted_at_both_ports_and_taken(engine: RunningEngine) -> None:
    with Api(engine.url) as api:
        made = api.create_key("Editor")
        api.change_settings({"require_key": True})
        with pytest.raises(NeedsKey):
            api.engine()
    for url, path in ((engine.url, "/api/servers"), (engine.gateway_url, "/v1/models")):
        assert call(url, "GET", path).status == 401
        assert call(url, "GET", path, headers=bearer("mlxm-wrong")).status == 401
        assert call(url, "GET", path, headers=bearer(made.secret)).status == 200
    assert call(engine.url, "GET", "/health").status == 200
    with Api(engine.url, made.secret) as api:
        assert api.engine().key_required is True
        assert api.named_keys()[0].last_used_at is not None


def test_revoked_key_opens_nothing_and_ends_its_event_stream(engine: RunningEngine) -> None:
    with Api(engine.url) as api:
        kept, lost = api.create_key("Kept"), api.create_key("Lost")
        api.change_settings({"require_key": True})
    with Api(engine.url, lost.secret) as reader, Api(engine.url, kept.secret) as api:
        stream = reader.events()
        assert isinstance(next(stream), Snapshot)
        api.revoke_key(lost.key.id)
        with pytest.raises(EngineGone):
            for _ in stream:
                pass
        with pytest.raises(NeedsKey):
            reader.servers()
        assert [key.name for key in api.named_keys()] == ["Kept"]


def test_last_key_is_not_revoked_while_keys_are_required(engine: RunningEngine) -> None:
    with Api(engine.url) as api:
        with pytest.raises(AppError, match="no key yet"):
            api.change_settings({"require_key": True})
        made = api.create_key("Only")
        api.change_settings({"require_key": True})
    with Api(engine.url, made.secret) as api:
        with pytest.raises(AppError, match="last key"):
            api.revoke_key(made.key.id)
        api.change_settings({"require_key": False})
        api.revoke_key(made.key.id)
        assert api.named_keys() == []


def test_named_key_beside_the_key_of_the_environment_works_as_well(homes: Path) -> None:
    with running_engine(homes, key=ENV_KEY) as engine:
        with Api(engine.url, ENV_KEY) as api:
            made = api.create_key("Editor")
        with Api(engine.url, made.secret) as api:
            assert [key.name for key in api.named_keys()] == ["Editor"]
            api.revoke_key(made.key.id)
            with pytest.raises(NeedsKey):
                api.named_keys()


def test_keys_survive_a_restart_as_digests_in_a_file_for_its_user_only(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as engine, Api(engine.url) as api:
        secret = api.create_key("Editor").secret
        api.change_settings({"require_key": True})
    holders = [
        path for path in home.rglob("*") if path.is_file() and b"Editor" in path.read_bytes()
    ]
    assert [path.name for path in holders] == ["api-keys.json"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
    for path in home.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    with running_engine(homes, home=home) as engine, Api(engine.url, secret) as api:
        assert api.named_keys()[0].name == "Editor"


def test_broken_key_file_is_told_and_kept(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as engine, Api(engine.url) as api:
        api.create_key("Editor")
    file = home / "api-keys.json"
    file.write_text("[{")
    with running_engine(homes, home=home) as engine, Api(engine.url) as api:
        assert api.named_keys() == []
        with pytest.raises(AppError, match="cannot be read"):
            api.create_key("Another")
    assert file.read_text() == "[{"


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_name_that_does_not_work_is_refused(engine: RunningEngine, name: str) -> None:
    with Api(engine.url) as api, pytest.raises(AppError, match="1 to 60"):
        api.create_key(name)


def test_name_that_is_taken_is_refused(engine: RunningEngine) -> None:
    with Api(engine.url) as api:
        api.create_key("Editor")
        with pytest.raises(AppError, match="already"):
            api.create_key(" Editor ")
        with pytest.raises(AppError, match="no key"):
            api.revoke_key("ffff")


def test_owner_stays_in_when_keys_become_required(
    homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home(homes)
    monkeypatch.setenv("MLX_MANAGER_HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    owned = launch.start_owned(None, gateway_port=0)
    try:
        with Api(owned.address.url, owned.owner_key) as api:
            api.create_key("Editor")
            api.change_settings({"require_key": True})
            assert api.engine().key_required is True
            assert call(owned.address.gateway_url, "GET", "/v1/models").status == 401
            written = json.loads((home / "run" / "engine.json").read_text())
            assert owned.owner_key not in json.dumps(written)
    finally:
        owned.stop()


def test_page_of_an_allowed_origin_may_use_the_gateway(engine: RunningEngine) -> None:
    ask = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    refused = call(engine.gateway_url, "OPTIONS", "/v1/chat/completions", headers=ask)
    assert refused.status == 403
    with Api(engine.url) as api:
        secret = api.create_key("Page").secret
        api.change_settings({"origins": f"{ORIGIN}/, http://other", "require_key": True})
    allowed = call(engine.gateway_url, "OPTIONS", "/v1/chat/completions", headers=ask)
    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert allowed.headers["access-control-allow-headers"] == "authorization,content-type"
    page = {"Origin": ORIGIN}
    answer = call(engine.gateway_url, "GET", "/v1/models", headers={**page, **bearer(secret)})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    stranger = call(engine.gateway_url, "GET", "/v1/models", headers=page)
    assert (stranger.status, stranger.headers["access-control-allow-origin"]) == (401, ORIGIN)
    evil = {"Origin": "http://evil.example", **bearer(secret)}
    assert call(engine.gateway_url, "GET", "/v1/models", headers=evil).status == 403
    # The control API is for no page at all.
    for headers in (page | bearer(secret), ask):
        method = "GET" if headers is not ask else "OPTIONS"
        assert call(engine.url, method, "/api/servers", headers=headers).status in (401, 403)


def test_other_name_of_this_computer_is_served_once_it_is_allowed(engine: RunningEngine) -> None:
    named = {"Host": "mac.example:8799"}
    assert call(engine.gateway_url, "GET", "/v1/models", headers=named).status == 403
    with Api(engine.url) as api:
        api.change_settings({"allowed_hosts": "Mac.Example"})
    assert call(engine.gateway_url, "GET", "/v1/models", headers=named).status == 200
