"""Login items: files that launchd, systemd and desktops accept, written only when asked for."""

import configparser
import json
import os
import plistlib
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from engine_kit import DEADLINE_S, Lines, running_engine, spawn_engine, until
from hypothesis import example, given
from hypothesis import strategies as st
from login_kit import ServiceManager

from app import __main__ as program
from app import login_item, paths
from app.client import launch
from app.gui.workers.connection import connect
from app.login_item import Kind, LoginItem, LoginItemFailed, State
from app.wire.errors import EXIT_ENGINE_RUNS

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
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceManager:
    """The service manager of this system and of the other one, played by a program."""
    found = ServiceManager(tmp_path)
    monkeypatch.setenv("PATH", found.path)
    return found


@pytest.fixture(params=["launchd", "systemd"])
def either(
    request: pytest.FixtureRequest, manager: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> ServiceManager:
    """One after the other."""
    monkeypatch.setattr(login_item, "_IS_MAC", request.param == "launchd")
    return manager


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
        timeout=DEADLINE_S,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert complaints == []


def test_unit_starts_the_engine_of_this_home(home: Path) -> None:
    item = login_item.login_item(Kind.ENGINE)
    lines = item.content.splitlines()
    assert f'ExecStart="{sys.executable}" "-m" "app" "engine" "--wait"' in lines
    assert f'Environment="MLX_MANAGER_HOME={home}"' in lines
    assert f"WorkingDirectory={paths.program_root()}" in lines


def test_unit_takes_no_placeholder_from_a_name(tmp_path: Path) -> None:
    unit = login_item.systemd_unit(["/opt/50%h/$HOME/x", 'a "b"'], home="/h%u")
    assert 'ExecStart="/opt/50%%h/$$HOME/x" "a \\"b\\""' in unit
    assert 'Environment="MLX_MANAGER_HOME=/h%%u"' in unit


def test_app_at_login_writes_one_file_and_runs_nothing(home: Path, manager: ServiceManager) -> None:
    assert login_item.state(Kind.APP) is State.OFF
    item = login_item.install(Kind.APP)
    assert login_item.state(Kind.APP) is State.ON
    assert item.path.read_text() == item.content
    login_item.remove(Kind.APP)
    assert not item.path.exists()
    login_item.remove(Kind.APP)
    assert manager.said == []


def test_engine_at_login_is_started_now_and_stopped_when_removed(
    home: Path, either: ServiceManager
) -> None:
    item = login_item.install(Kind.ENGINE)
    assert login_item.state(Kind.ENGINE) is State.ON
    assert either.loaded == [_loaded_name(item)]
    login_item.remove(Kind.ENGINE)
    assert either.loaded == []
    assert not item.path.exists()


def test_engine_at_login_can_be_installed_again(home: Path, either: ServiceManager) -> None:
    login_item.install(Kind.ENGINE)
    item = login_item.install(Kind.ENGINE)
    assert either.loaded == [_loaded_name(item)]
    # What ran before ran what the file said before.
    assert either.said[-1].split()[0] in ("bootstrap", "restart")
    assert item.path.read_text() == item.content


def test_engine_that_the_user_switched_off_in_the_system_is_switched_on(
    home: Path, on_mac: None, manager: ServiceManager
) -> None:
    manager.switch_off(f"{login_item.IDENTIFIER}.engine")
    login_item.install(Kind.ENGINE)
    domain = f"gui/{os.getuid()}"
    label = f"{login_item.IDENTIFIER}.engine"
    assert manager.said == [
        f"bootout {domain}/{label}",
        f"enable {domain}/{label}",
        f"bootstrap {domain} {login_item.login_item(Kind.ENGINE).path}",
    ]


def test_install_that_fails_leaves_the_file_as_it_was(home: Path, either: ServiceManager) -> None:
    item = login_item.login_item(Kind.ENGINE)
    either.break_down("enable")
    with pytest.raises(LoginItemFailed, match="enable"):
        login_item.install(Kind.ENGINE)
    assert not item.path.exists()
    item.path.write_text("of another copy")
    with pytest.raises(LoginItemFailed, match="enable"):
        login_item.install(Kind.ENGINE)
    assert item.path.read_text() == "of another copy"


def test_engine_whose_file_is_gone_is_stopped_all_the_same(
    home: Path, either: ServiceManager
) -> None:
    item = login_item.install(Kind.ENGINE)
    item.path.unlink()
    login_item.remove(Kind.ENGINE)
    assert either.loaded == []
    login_item.remove(Kind.ENGINE)


def test_engine_that_does_not_stop_starts_no_more_and_that_is_told(
    home: Path, either: ServiceManager
) -> None:
    item = login_item.install(Kind.ENGINE)
    link = item.path.parent / "default.target.wants" / item.path.name
    link.parent.mkdir()
    link.symlink_to(item.path)
    verb = either.said[0].split()[0] if item.path.suffix == ".plist" else "stop"
    either.break_down(verb)
    with pytest.raises(LoginItemFailed, match=f"{verb}.* did not work"):
        login_item.remove(Kind.ENGINE)
    assert not item.path.exists()
    assert not link.is_symlink()


def test_app_that_was_moved_is_still_opened(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, either: ServiceManager
) -> None:
    program = tmp_path / "old place" / "program"
    program.parent.mkdir()
    program.touch()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(program))
        for kind in Kind:
            login_item.install(kind)
    before = either.said
    for kind in Kind:
        assert login_item.state(kind) is State.OTHER
        # Both copies are there, and which one is wanted only the user knows.
        login_item.follow_move(kind)
        assert login_item.state(kind) is State.OTHER
    program.unlink()
    for kind in Kind:
        login_item.follow_move(kind)
        assert login_item.state(kind) is State.ON
    # A running engine has servers.
    assert either.said == before


def test_move_makes_no_login_item_where_none_was(home: Path) -> None:
    for kind in Kind:
        login_item.follow_move(kind)
        assert login_item.state(kind) is State.OFF


def test_app_in_a_place_that_changes_is_not_installed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/private/var/AppTranslocation/x/app")
    with pytest.raises(LoginItemFailed, match="Applications folder"):
        login_item.install(Kind.APP)
    assert login_item.state(Kind.APP) is State.OFF


def test_command_line_installs_and_says_where(
    home: Path, manager: ServiceManager, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.mlxm(["engine", "--install"]) == 0
    said = capsys.readouterr().out
    assert str(login_item.login_item(Kind.ENGINE).path) in said
    assert "An engine runs now" in said
    assert program.main(["engine", "--uninstall"]) == 0
    assert login_item.state(Kind.ENGINE) is State.OFF


def test_command_line_says_that_the_engine_at_login_waits_for_another(
    homes: Path,
    monkeypatch: pytest.MonkeyPatch,
    manager: ServiceManager,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with running_engine(homes) as engine:
        monkeypatch.setenv("MLX_MANAGER_HOME", str(engine.home))
        assert program.mlxm(["engine", "--install"]) == 0
        said = capsys.readouterr().out
        assert engine.url in said
        assert "waits for its end" in said


def test_command_line_without_service_manager_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert program.mlxm(["engine", "--install"]) == 1
    assert "is not here" in capsys.readouterr().err
    assert login_item.state(Kind.ENGINE) is State.OFF


def test_engine_of_the_login_waits_and_takes_over(homes: Path) -> None:
    command = login_item.login_item(Kind.ENGINE).content
    assert '"--wait"' in command
    with running_engine(homes) as first:
        second = spawn_engine(first.home, "--wait")
        assert second.stdout is not None
        try:
            until(lambda: "This one waits" in (first.home / "errors").read_text())
            assert second.poll() is None
            assert first.stop() == 0
            line = Lines(second.stdout.fileno()).next()
            assert line is not None
            assert json.loads(line)["pid"] == second.pid
            second.terminate()
            assert second.wait(DEADLINE_S) == 0
        finally:
            second.kill()
            second.wait()
            second.stdout.close()


def test_engine_that_waits_ends_at_a_signal(homes: Path) -> None:
    with running_engine(homes) as first:
        second = spawn_engine(first.home, "--wait")
        assert second.stdout is not None
        until(lambda: "This one waits" in (first.home / "errors").read_text())
        second.terminate()
        assert second.wait(DEADLINE_S) == -signal.SIGTERM
        second.stdout.close()
        assert first.call("GET", "/health").status == 200


def test_engine_that_finds_another_one_says_so_with_a_code_of_its_own(homes: Path) -> None:
    with running_engine(homes) as first:
        second = spawn_engine(first.home)
        assert second.stdout is not None
        assert second.wait(DEADLINE_S) == EXIT_ENGINE_RUNS
        second.stdout.close()
        assert f"at {first.url}" in (first.home / "errors").read_text()


def test_app_that_starts_while_the_engine_of_the_login_takes_over_uses_that(
    homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_engine(homes) as first:
        monkeypatch.setenv("MLX_MANAGER_HOME", str(first.home))
        # What the window sees: nobody answers yet, and somebody holds the lock.
        real = launch.find
        looks: list[int] = []

        def find_late() -> launch.Address | None:
            looks.append(1)
            return None if len(looks) < 3 else real()

        monkeypatch.setattr(launch, "find", find_late)
        found = connect(None)
        assert found.url == first.url
        assert found.owned is None


def _loaded_name(item: LoginItem) -> str:
    return item.path.stem if item.path.suffix == ".plist" else item.path.name
