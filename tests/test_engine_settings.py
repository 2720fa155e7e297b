"""The engine's settings: precedence, checks and a file that people edit."""

import errno
import os
import tomllib
from pathlib import Path

import pytest

from app import files, paths
from app.engine.settings import EngineSettings
from app.wire.errors import AppError, ErrorCode
from app.wire.settings import SETTINGS, Scope, SettingKind

OWN = [setting for setting in SETTINGS if setting.scope is Scope.ENGINE]


def write(text: str) -> Path:
    path = paths.home() / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def states(settings: EngineSettings) -> dict[str, tuple[object, str]]:
    return {state.name: (state.value, state.source) for state in settings.states()}


@pytest.fixture(autouse=True)
def no_settings_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in OWN:
        for name in (setting.env, setting.env.lower()):
            monkeypatch.delenv(name, raising=False)


def test_default_of_every_setting_is_its_value() -> None:
    assert states(EngineSettings({})) == {s.name: (s.default, "default") for s in OWN}


def test_token_of_the_hub_is_kept_where_every_program_looks_and_never_shown() -> None:
    settings = EngineSettings({})
    token = "hf_" + "secret" * 5
    settings.change({"hub_token": f" {token}\n", "show_demo": False})
    path = paths.hub_token()
    assert path.read_text() == token
    assert path.stat().st_mode & 0o777 == 0o600
    assert states(settings)["hub_token"] == (True, "file")
    for file in paths.home().rglob("*"):
        assert file == path or not file.is_file() or token not in file.read_text()
    settings.change({"hub_token": ""})
    assert not path.exists()
    assert states(settings)["hub_token"] == (False, "default")
    settings.change({"hub_token": ""})


def test_token_that_is_none_is_refused_without_showing_it() -> None:
    settings = EngineSettings({})
    with pytest.raises(AppError, match="one word") as refused:
        settings.change({"hub_token": "hf_a b"})
    assert "hf_a" not in refused.value.message
    assert not paths.hub_token().exists()


def test_hub_and_proxy_of_the_settings_reach_the_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ | {"https_proxy": "http://of-the-shell:1"})
    write('hub_endpoint = "http://mirror:2"\nproxy = "http://of-the-file:3"\n')
    settings = EngineSettings({})
    settings.export()
    assert os.environ["HF_ENDPOINT"] == "http://mirror:2"
    assert "HTTPS_PROXY" not in os.environ
    # What was passed on is still known as a choice that can be changed.
    settings.change({"hub_endpoint": ""})
    assert states(settings)["hub_endpoint"] == ("", "file")
    assert states(settings)["proxy"] == ("http://of-the-shell:1", "environment")


def test_proxy_with_a_password_is_refused() -> None:
    with pytest.raises(AppError, match="without name and password"):
        EngineSettings({}).change({"proxy": "http://me:secret@proxy:3128"})


def test_flag_beats_environment_beats_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('host = "10.0.0.1"\ngateway_port = 5001\nlog_level = "warning"\n')
    monkeypatch.setenv("MLX_MANAGER_GATEWAY_PORT", "5002")
    monkeypatch.setenv("MLX_MANAGER_HOST", "10.0.0.2")
    found = states(EngineSettings({"host": "10.0.0.3"}))
    assert found["host"] == ("10.0.0.3", "flag")
    assert found["gateway_port"] == (5002, "environment")
    assert found["log_level"] == ("warning", "file")
    assert found["show_demo"] == (True, "default")


@pytest.mark.parametrize(
    "text", ["gateway_port = 80\n", 'gateway_port = "x"\n', "gateway_port = true\n"]
)
def test_bugfix_03_bad_value_in_the_file_is_told_and_the_default_used(text: str) -> None:
    write(text)
    settings = EngineSettings({})
    assert settings.number("gateway_port") == 8799
    (problem,) = settings.problems
    assert "Gateway port" in problem


def test_bad_value_in_the_environment_is_told_and_the_file_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("gateway_port = 5001\n")
    monkeypatch.setenv("MLX_MANAGER_GATEWAY_PORT", "99999")
    settings = EngineSettings({})
    assert settings.number("gateway_port") == 5001
    assert len(settings.problems) == 1


@pytest.mark.parametrize("text", [b"host = \n", b"\xff\xfe", b"a = [" + b"[" * 20_000])
def test_file_that_does_not_parse_is_told_and_never_overwritten(text: bytes) -> None:
    path = write("")
    path.write_bytes(text)
    settings = EngineSettings({})
    assert "settings.toml" in settings.problems[0]
    assert settings.flag("show_demo") is True
    with pytest.raises(AppError, match="could not be saved") as refused:
        settings.change({"show_demo": False})
    assert refused.value.code is ErrorCode.STORE_FAILED
    assert path.read_bytes() == text


def test_change_is_written_and_keeps_what_people_wrote() -> None:
    path = write("# mine\nshow_demo = true # yes\nfuture = 1\n")
    settings = EngineSettings({})
    settings.change({"show_demo": False, "gateway_port": 5005})
    assert settings.flag("show_demo") is False
    text = path.read_text()
    assert "# mine" in text
    assert "show_demo = false # yes" in text
    assert tomllib.loads(text) == {"show_demo": False, "future": 1, "gateway_port": 5005}
    assert states(EngineSettings({}))["gateway_port"] == (5005, "file")


BAD: dict[str, list[object]] = {
    "gateway_port": [0, 80, 65536, -1, 1.5, True, None, [], "port"],
    "show_demo": ["perhaps", 2, None, {}],
    "log_level": ["loud", 1, None],
    "host": [3, None, False],
    "no_such": [1],
    "appearance": ["dark"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in BAD.items() for v in vs])
def test_bugfix_03_bad_change_is_refused_and_nothing_is_written(name: str, value: object) -> None:
    settings = EngineSettings({})
    with pytest.raises(AppError) as refused:
        settings.change({"hub_cache": "/x", name: value})
    assert refused.value.status == 400
    assert not (paths.home() / "settings.toml").exists()
    assert settings.text("hub_cache") == ""


def test_change_of_what_a_flag_or_the_environment_sets_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLX_MANAGER_SHOW_DEMO", "0")
    settings = EngineSettings({"host": "::1"})
    for name, value, source in (("show_demo", True, "environment"), ("host", "::", "flag")):
        with pytest.raises(AppError, match=source):
            settings.change({name: value})


def test_full_disk_is_a_sentence_and_the_old_file_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("show_demo = true\n")
    settings = EngineSettings({})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(AppError, match="No space left") as refused:
        settings.change({"show_demo": False})
    assert refused.value.status == 507
    assert path.read_text() == "show_demo = true\n"
    assert settings.flag("show_demo") is True


@pytest.mark.parametrize("setting", OWN, ids=lambda setting: setting.name)
def test_every_setting_can_come_from_the_environment(
    setting: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = next(s for s in OWN if s is setting)
    text = {
        SettingKind.BOOL: "false",
        SettingKind.SECRET: "true",
        SettingKind.INT: str(row.minimum),
        SettingKind.CHOICE: row.choices[-1][0] if row.choices else "",
    }.get(row.kind, "" if row.pattern else "something")
    monkeypatch.setenv(row.env, text)
    value, source = states(EngineSettings({}))[row.name]
    assert source == "environment"
    assert str(value).lower() == text
