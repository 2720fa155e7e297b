"""Login items: files that launchd, systemd and desktops accept, written only when asked for."""

import configparser
import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app import __main__ as program
from app import login_item, paths
from app.login_item import Kind, LoginItemFailed

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test may touch the real folders."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "user")
    return tmp_path / "config"


@pytest.fixture
def on_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_item, "_IS_MAC", True)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run."""
    commands: list[list[str]] = []
    monkeypatch.setattr(login_item, "_run", commands.append)
    return commands


def test_launch_agent_of_the_engine_after_round_trip_is_the_same(tmp_path: Path) -> None:
    agent = login_item.launch_agent(
        Kind.ENGINE, ["/A b/program", "engine"], home="/h ü", logs=tmp_path
    )
    assert plistlib.loads(plistlib.dumps(agent)) == agent
    assert agent["ProgramArguments"] == ["/A b/program", "engine"]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["ProcessType"] == "Interactive"
    assert agent["EnvironmentVariables"] == {"MLX_MANAGER_HOME": "/h ü"}
    assert agent["RunAtLoad"] is True


def test_launch_agent_of_the_app_lets_it_be_quit(on_mac: None, home: Path) -> None:
    item = login_item.login_item(Kind.APP)
    agent = plistlib.loads(item.content.encode())
    assert item.path.parts[-3:-1] == ("Library", "LaunchAgents")
    assert item.path.stem == agent["Label"]
    assert "KeepAlive" not in agent
    assert agent["ProgramArguments"] == [sys.executable, "-m", "app"]


def test_bundle_and_login_item_have_the_same_identifier() -> None:
    text = (Path(__file__).parent.parent / "resources/packaging/bundle.py").read_text()
    assert f'IDENTIFIER = "{login_item.IDENTIFIER}"' in text


def _undo_desktop(text: str) -> list[str]:
    """As the specification reads Exec: first the file's escapes, then those of quotes."""
    inner = text.replace("\\\\", "\\")
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"', inner)
    return [re.sub(r"\\(.)", r"\1", part).replace("%%", "%") for part in quoted]


@given(TEXT)
@example("100%% of %u in $HOME, `date` and \\n")
def test_autostart_entry_names_any_program_exactly(argument: str) -> None:
    entry = login_item.autostart_entry(["/usr/bin/x", argument], home=None)
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=())
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(entry)
    section = parser["Desktop Entry"]
    assert section["Type"] == "Application"
    assert _undo_desktop(section["Exec"]) == ["/usr/bin/x", argument]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="asks systemd")
def test_systemd_accepts_the_unit(tmp_path: Path, home: Path) -> None:
    unit = tmp_path / "mlx-model-manager-engine.service"
    unit.write_text(login_item.login_item(Kind.ENGINE).content)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert complaints == []


def test_unit_starts_the_engine_of_this_home(home: Path) -> None:
    item = login_item.login_item(Kind.ENGINE)
    lines = item.content.splitlines()
    assert f'ExecStart="{sys.executable}" "-m" "app" "engine"' in lines
    assert f'Environment="MLX_MANAGER_HOME={home}"' in lines
    assert f"WorkingDirectory={paths.program_root()}" in lines


def test_unit_takes_no_placeholder_from_a_name(tmp_path: Path) -> None:
    unit = login_item.systemd_unit(["/opt/50%h/$HOME/x", 'a "b"'], home="/h%u")
    assert 'ExecStart="/opt/50%%h/$$HOME/x" "a \\"b\\""' in unit
    assert 'Environment="MLX_MANAGER_HOME=/h%%u"' in unit


def test_app_at_login_writes_one_file_and_runs_nothing(home: Path, ran: list[list[str]]) -> None:
    assert not login_item.is_installed(Kind.APP)
    item = login_item.install(Kind.APP)
    assert login_item.is_installed(Kind.APP)
    assert item.path.read_text() == item.content
    login_item.remove(Kind.APP)
    assert not item.path.exists()
    login_item.remove(Kind.APP)
    assert ran == []


def test_engine_at_login_is_started_now_and_stopped_when_removed(
    home: Path, ran: list[list[str]]
) -> None:
    item = login_item.install(Kind.ENGINE)
    assert item.path.exists()
    assert ran[-1][-3:] == ["enable", "--now", item.path.name]
    login_item.remove(Kind.ENGINE)
    assert ran[-1][-3:] == ["disable", "--now", item.path.name]
    assert not item.path.exists()


def test_engine_at_login_on_macos_uses_the_domain_of_the_user(
    home: Path, on_mac: None, ran: list[list[str]]
) -> None:
    item = login_item.install(Kind.ENGINE)
    login_item.remove(Kind.ENGINE)
    domain = f"gui/{os.getuid()}"
    assert ran == [
        ["launchctl", "bootstrap", domain, str(item.path)],
        ["launchctl", "bootout", f"{domain}/{login_item.IDENTIFIER}.engine"],
    ]


def test_app_in_a_place_that_changes_is_not_installed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/private/var/AppTranslocation/x/app")
    with pytest.raises(LoginItemFailed, match="Applications folder"):
        login_item.install(Kind.APP)
    assert not login_item.is_installed(Kind.APP)


def test_command_line_installs_and_says_where(
    home: Path, ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.mlxm(["engine", "--install"]) == 0
    assert str(login_item.login_item(Kind.ENGINE).path) in capsys.readouterr().out
    assert program.main(["engine", "--uninstall"]) == 0
    assert not login_item.is_installed(Kind.ENGINE)


def test_command_line_without_service_manager_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert program.mlxm(["engine", "--install"]) == 1
    assert "is not here" in capsys.readouterr().err
    assert not login_item.is_installed(Kind.ENGINE)
