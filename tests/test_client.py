"""The client's door to an engine: what works, and each way in which it does not."""

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import keyring
import msgspec
import pytest
from engine_kit import RunningEngine, running_engine
from keyring.errors import KeyringError, NoKeyringError, PasswordDeleteError
from stranger_kit import Stranger, answering

from app import paths
from app.client import credentials, launch
from app.client.api import Api
from app.client.calls import general
from app.client.errors import EngineGone, EngineRunning, NeedsKey, WrongVersion
from app.wire import API_VERSION
from app.wire.errors import AppError, ErrorCode
from app.wire.events import Snapshot
from app.wire.nouns import ProfileDraft
from app.wire.routes import ROUTES


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    """One engine for all calls."""
    with running_engine(homes) as one:
        yield one


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_client_has_a_method_for_every_route(route: Any) -> None:
    assert callable(getattr(Api, route.name))


def test_every_call_reaches_its_route(engine: RunningEngine) -> None:
    with engine.api() as api:
        assert api.health()
        assert api.engine().pid == engine.process.pid
        made = api.create_profile(ProfileDraft("Client/ä ?", "nobody/nothing"))
        assert made in api.profiles()
        draft = ProfileDraft("Client 2", "nobody/nothing", revision=made.revision)
        assert api.update_profile(made.id, draft).name == "Client 2"
        api.start_server(made.id)
        *_, server = api.wait_settled(made.id)
        assert server.failure is not None
        assert api.restart_server(made.id).id == made.id
        *_, server = api.wait_settled(made.id)
        assert [s.id for s in api.servers()] == [made.id]
        assert api.stop_server(made.id).id == made.id
        assert api.server_log(made.id) == ""
        api.remove_server(made.id)
        assert api.servers() == []
        api.delete_profile(made.id)
        api.scan_models()
        assert isinstance(api.models(), list)
        assert isinstance(api.places(), list)
        assert api.leftovers() == []
        assert api.remove_leftovers() == []
        assert api.downloads() == []
        assert {state.name for state in api.settings()} >= {"host", "show_demo"}
        assert {s.name: s.value for s in api.change_settings({"show_demo": True})}["show_demo"]


def test_name_in_a_path_is_quoted(engine: RunningEngine) -> None:
    with engine.api() as api, pytest.raises(AppError, match=r"There is no server “a \?b%23ä”"):
        api.server("a ?b%23ä")


def test_refusal_keeps_code_message_and_hint(engine: RunningEngine) -> None:
    with engine.api() as api, pytest.raises(AppError) as refused:
        api.start_server("nobody")
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert refused.value.hint


def test_events_end_with_engine_gone_when_the_engine_ends(homes: Path) -> None:
    with running_engine(homes) as one, one.api() as api:
        events = api.events()
        assert isinstance(next(events), Snapshot)
        one.stop()
        with pytest.raises(EngineGone, match="ended"):
            for _ in events:
                pass


def test_nobody_at_the_address_is_engine_gone() -> None:
    with answering({}) as stranger:
        url = stranger.url
    with Api(url) as api:
        with pytest.raises(EngineGone, match="No engine listens"):
            api.engine()
        with pytest.raises(EngineGone):
            next(api.events())


def test_engine_that_does_not_answer_is_engine_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def wait(_: str) -> tuple[int, bytes]:
        release.wait(10)
        return 200, b"{}"

    monkeypatch.setattr(general, "SILENCE_S", 0.2)
    with Stranger(wait) as stranger, Api(stranger.url) as api:
        with pytest.raises(EngineGone, match="does not answer"):
            next(api.events())
        with pytest.raises(EngineGone, match="does not answer"):
            api.get("/x", dict[str, Any], timeout=0.2)
        release.set()


def test_answer_that_breaks_off_is_engine_gone() -> None:
    def break_off(_: str) -> tuple[int, bytes]:
        raise ConnectionAbortedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadingHTTPServer, "handle_error", lambda *_: None)
        with Stranger(break_off) as stranger, Api(stranger.url) as api:  # noqa: SIM117
            with pytest.raises(EngineGone, match="broke"):
                api.engine()


def test_auth_04_refused_key_is_needs_key() -> None:
    body = {"error": {"message": "No.", "type": "authentication_error", "code": "unauthorized"}}
    with answering(body, 401) as stranger, Api(stranger.url, "wrong") as api:
        with pytest.raises(NeedsKey, match="No"):
            api.engine()
        with pytest.raises(NeedsKey):
            next(api.events())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"api_version": API_VERSION + 1}),
        (200, {"hello": "world"}),
        (200, b"<html>a router</html>"),
        (200, []),
        (404, b"<html>not here</html>"),
        (500, {"error": {"message": "x", "type": "y", "code": "from the future"}}),
    ],
    ids=str,
)
def test_other_version_is_wrong_version(status: int, body: object) -> None:
    with answering(body, status) as stranger, Api(stranger.url) as api:  # noqa: SIM117
        with pytest.raises(WrongVersion):
            api.engine()


def test_right_version_with_wrong_facts_is_wrong_version() -> None:
    with answering({"api_version": API_VERSION, "pid": "x"}) as stranger:  # noqa: SIM117
        with Api(stranger.url) as api, pytest.raises(WrongVersion):
            api.engine()


def test_event_of_another_version_is_wrong_version() -> None:
    with answering(b'data: {"event": "surprise"}\n\n') as stranger, Api(stranger.url) as api:  # noqa: SIM117
        with pytest.raises(WrongVersion):
            next(api.events())


@pytest.mark.parametrize("url", ["", "localhost:1", "/x", "ftp://h", "http://", "http://[::"])
def test_address_that_is_none_is_a_sentence(url: str) -> None:
    with pytest.raises(AppError) as refused:
        Api(url)
    assert refused.value.code is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("key", ["line\nbreak", "ünï", "\0"])
def test_key_that_cannot_be_sent_is_a_sentence_without_it(key: str) -> None:
    with pytest.raises(AppError) as refused, Api("http://127.0.0.1:9", key) as api:
        api.engine()
    assert key not in refused.value.message


def test_find_returns_only_an_engine_that_answers(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launch.find() is None
    monkeypatch.setenv("MLX_MANAGER_HOME", str(engine.home))
    found = launch.find()
    assert found is not None
    assert msgspec.to_builtins(found) == engine.facts


@pytest.mark.parametrize("text", ["", "{", "{}", '{"url": 3}'])
def test_find_with_a_broken_file_returns_none(home: Path, text: str) -> None:
    (home / "run").mkdir()
    (home / "run" / "engine.json").write_text(text)
    assert launch.find() is None


def test_find_of_a_stranger_at_the_old_address_returns_none(home: Path) -> None:
    (home / "run").mkdir()
    with answering(b"hello") as stranger:
        facts = launch.Address(stranger.url, "", 1, API_VERSION, "")
        (home / "run" / "engine.json").write_bytes(msgspec.json.encode(facts))
        assert launch.find() is None


def test_start_of_a_second_engine_says_where_the_first_is(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLX_MANAGER_HOME", str(engine.home))
    with pytest.raises(EngineRunning, match="already runs") as refused:
        launch.start_owned(None, gateway_port=0)
    assert engine.url in refused.value.message


@pytest.mark.parametrize(
    "program", [["/bin/sh", "-c", "exit 3"], ["/bin/sh", "-c", "echo no json"]]
)
def test_start_of_what_is_no_engine_is_engine_gone(
    program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "program", lambda _: program)
    with pytest.raises(EngineGone, match="did not start"):
        launch.start_owned("key")


def test_start_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "program", lambda _: ["/bin/sh", "-c", "exec sleep 60", "x"])
    monkeypatch.setattr(launch, "_START_S", 0.2)
    with pytest.raises(EngineGone, match="did not start"):
        launch.start_owned(None)


def test_stop_of_an_engine_that_hangs_kills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(
        ["/bin/sh", "-c", "exec sleep 60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    owned = launch.OwnedEngine(process, launch.Address("", "", 1, 1, ""))
    assert owned.is_alive()
    monkeypatch.setattr(launch, "_STOP_S", 0.2)
    owned.stop()
    assert not owned.is_alive()
    owned.stop()


class Keychain:
    """A keychain in memory."""

    def __init__(self, error: KeyringError | None = None) -> None:
        self._error = error
        self.keys: dict[tuple[str, str], str] = {}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(
            keyring, "get_password", lambda s, u: self._checked() or self.keys.get((s, u))
        )
        patch.setattr(keyring, "set_password", self._set)
        patch.setattr(keyring, "delete_password", self._delete)

    def _checked(self) -> None:
        if self._error is not None:
            raise self._error

    def _set(self, service: str, user: str, key: str) -> None:
        self._checked()
        self.keys[service, user] = key

    def _delete(self, service: str, user: str) -> None:
        self._checked()
        if self.keys.pop((service, user), None) is None:
            raise PasswordDeleteError


@pytest.mark.parametrize(
    ("keychain", "is_file"),
    [(Keychain(), False), (Keychain(NoKeyringError()), True), (None, True)],
    ids=["keychain", "no keychain", "null keychain"],
)
def test_auth_04_key_is_stored_in_the_keychain_or_a_private_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, keychain: Keychain | None, is_file: bool
) -> None:
    if keychain is not None:
        keychain.install(monkeypatch)
    file = home / "keys.json"
    where = credentials.store_key("http://a:1", "one")
    credentials.store_key("http://b:1", "two")
    assert file.exists() is is_file
    assert ("file" in where) is is_file
    if is_file:
        assert file.stat().st_mode & 0o777 == 0o600
    assert credentials.load_key("http://a:1") == "one"
    assert credentials.load_key("http://b:1/") == "two"
    credentials.forget_key("http://a:1")
    credentials.forget_key("http://never:1")
    assert credentials.load_key("http://a:1") is None
    assert credentials.load_key("http://b:1") == "two"
    credentials.forget_key("http://b:1")
    assert not file.exists()


def test_broken_file_of_keys_is_no_key_and_is_kept(
    home: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("kept as keys.json.broken")
    (home / "keys.json").write_text("{")
    assert credentials.load_key("http://a:1") is None
    with contextlib.suppress(OSError):
        credentials.store_key("http://a:1", "one")
    assert credentials.load_key("http://a:1") == "one"
    assert (home / "keys.json.broken").read_text() == "{"
