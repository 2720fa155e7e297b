"""Addresses of an engine that listens everywhere: each can be used where it is read."""

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from engine_kit import RunningEngine, call, running_engine, until, wait_for_event
from test_cli import mlxm
from test_public_port import free_port, own_port, save

from app.client.api import Api
from app.wire.events import Snapshot, Upsert, decode_item
from app.wire.nouns import EngineInfo

KEY = "a-long-secret"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is under test
OTHER = "127.0.0.2"
"""Stands for an address by which another computer comes."""

pytestmark = pytest.mark.skipif(
    sys.platform == "darwin", reason="a Mac has no second loopback address"
)


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    """An engine that listens on every address, with a profile that has a port of its own."""
    with running_engine(homes, "--host", EVERYWHERE, key=KEY) as one:
        save(one, "coding", free_port(), is_new=True)
        until(lambda: own_port(one, "coding") is not None)
        yield one


def by_the_other(url: str) -> str:
    return f"http://{OTHER}:{urlsplit(url).port}"


def test_client_of_another_address_keeps_to_that_address(engine: RunningEngine) -> None:
    url = by_the_other(engine.url)
    gateway = by_the_other(engine.gateway_url)
    with Api(url, KEY) as api:
        events = api.events()
        snapshot = next(events)
        assert isinstance(snapshot, Snapshot)
        api.change_settings({"memory_budget": "4 GB"})
        changed = wait_for_event(events, lambda e: isinstance(e, Upsert) and e.kind == "engine")
        assert isinstance(changed, Upsert)
        infos = (api.engine(), snapshot.engine, decode_item(changed))
    for info in infos:
        assert isinstance(info, EngineInfo)
        assert (info.url, info.gateway_url) == (url, gateway)
        (own,) = info.public_ports
        assert own.url == f"http://{OTHER}:{own.port}"
        assert "local_disk" not in info.capabilities
    assert call(gateway, "GET", "/v1/models", key=KEY).status == 200


def test_terminal_names_addresses_that_can_be_used(engine: RunningEngine) -> None:
    environment = {"MLX_MANAGER_API_KEY": KEY}
    url = by_the_other(engine.url)
    said = mlxm(engine.home, "--engine", url, "status", **environment).stdout
    assert f"at {url}, gateway {by_the_other(engine.gateway_url)}\n" in said
    said = mlxm(engine.home, "--engine", url, "start", "demo", **environment).stdout
    assert f"is ready at {by_the_other(engine.gateway_url)}/v1" in said
    mlxm(engine.home, "--engine", url, "stop", "demo", **environment)
    said = mlxm(engine.home, "status", **environment).stdout
    assert EVERYWHERE not in said


def test_engine_names_itself_by_an_address_of_this_computer(engine: RunningEngine) -> None:
    # Programs of this computer must find it whatever happens to the network.
    assert urlsplit(engine.url).hostname == "127.0.0.1"
    with engine.api() as api:
        info = api.engine()
    assert info.gateway_url == engine.gateway_url
    assert "local_disk" in info.capabilities
    for shown in (info.url, info.gateway_url, *(one.url for one in info.public_ports)):
        assert urlsplit(shown).hostname not in (EVERYWHERE, None)
        assert call(shown, "GET", "/health").status == 200
