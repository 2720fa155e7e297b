"""What starts at login: the app, or an engine alone. Written and removed only on the user's word.

A LaunchAgent on macOS; on Linux an autostart entry for the app and a user unit of systemd for the
engine.
"""

import contextlib
import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from app import desktop, files, paths

IDENTIFIER = "io.github.mlx-model-manager"
_UNIT = "mlx-model-manager-engine.service"
# The end of an engine, whose servers may take a minute, is waited for.
_COMMAND_S = 90.0
_LOOK_S = 0.1
# What launchctl and systemctl return for a service that is not loaded, or is on its way out.
_NOT_LOADED = (0, 3, 5, 36, 113)
_IS_MAC = sys.platform == "darwin"


class Kind(Enum):
    """What is started."""

    APP = "app"
    ENGINE = "engine"


class State(Enum):
    """Whether something is started."""

    OFF = "off"
    ON = "on"
    OTHER = "other"
    """Another copy of the program is."""
    REFUSED = "refused"
    """Switched on here and off in the settings of the system."""


@dataclass(frozen=True)
class LoginItem:
    """One file that the system reads at login."""

    kind: Kind
    path: Path
    content: str


class LoginItemFailed(Exception):
    """The file or the system's service manager did not take the change; the text is for users."""


def login_item(kind: Kind) -> LoginItem:
    """Return the file for this system, this program and this home."""
    command = _command(kind)
    home = os.environ.get("MLX_MANAGER_HOME")
    if _IS_MAC:
        label = f"{IDENTIFIER}.{kind.value}"
        path = Path.home() / "Library/LaunchAgents" / f"{label}.plist"
        content = plistlib.dumps(launch_agent(kind, command, home=home, logs=paths.logs()))
        return LoginItem(kind, path, content.decode())
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    if kind is Kind.APP:
        path = config / "autostart" / "mlx-model-manager.desktop"
        return LoginItem(kind, path, autostart_entry(command, home=home))
    path = config / "systemd/user" / _UNIT
    return LoginItem(kind, path, systemd_unit(command, home=home))


def state(kind: Kind) -> State:
    """Return what the file says: that it starts this program, another one, or that it is gone."""
    item = login_item(kind)
    try:
        text = _read(item.path)
    except (OSError, ValueError):
        return State.OTHER
    if text is None:
        return State.OFF
    return State.ON if text == item.content else State.OTHER


def follow_move(kind: Kind) -> None:
    """Write the file anew if its program is gone. Raises LoginItemFailed.

    So an app that was moved is still opened. What runs is left alone, and so is another copy.
    """
    item = login_item(kind)
    with contextlib.suppress(OSError, ValueError):
        text = _read(item.path)
        if text is None or Path(_program_in(text)).is_file():
            return
        home = os.environ.get("MLX_MANAGER_HOME", "")
        if "/AppTranslocation/" not in sys.executable and home in text:
            _write(item, item.content)


def install(kind: Kind) -> LoginItem:
    """Write the file; an engine is started at once, or again. Raises LoginItemFailed."""
    require_fixed_place()
    item = login_item(kind)
    try:
        former = _read(item.path)
    except (OSError, ValueError) as error:
        raise LoginItemFailed(f"{item.path} could not be read: {error}") from error
    _write(item, item.content)
    if kind is Kind.ENGINE:
        try:
            _start(item)
        except LoginItemFailed:
            # Not at the next login either, after we have said that it did not work.
            if former is None:
                item.path.unlink(missing_ok=True)
            else:
                _write(item, former)
            raise
    return item


def remove(kind: Kind) -> LoginItem:
    """Delete the file; an engine that it started is stopped, also when the file is gone already.

    Raises LoginItemFailed when something of that did not work; the rest is done then.
    """
    item = login_item(kind)
    failures: list[str] = []
    if kind is Kind.ENGINE:
        try:
            _stop(item)
        except LoginItemFailed as error:
            failures.append(str(error))
    # The link is what enabling the unit makes, and stays behind when only its file is deleted.
    for path in (item.path, item.path.parent / "default.target.wants" / item.path.name):
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            continue
        except OSError as error:
            failures.append(f"{path} could not be deleted: {error.strerror}.")
    if failures:
        raise LoginItemFailed(" ".join(failures))
    return item


def require_fixed_place() -> None:
    """Raise LoginItemFailed when macOS runs this copy of the app from a place that changes."""
    if "/AppTranslocation/" in sys.executable:
        raise LoginItemFailed(
            "macOS runs this copy of the app from a place that changes. "
            "Move the app to the Applications folder first."
        )


def launch_agent(
    kind: Kind, command: list[str], *, home: str | None, logs: Path
) -> dict[str, object]:
    """Return the content of the LaunchAgent."""
    agent: dict[str, object] = {
        "Label": f"{IDENTIFIER}.{kind.value}",
        "ProgramArguments": command,
        "RunAtLoad": True,
        "LimitLoadToSessionType": "Aqua",
        # Without it the work runs on the cores for efficiency.
        "ProcessType": "Interactive",
        "AssociatedBundleIdentifiers": [IDENTIFIER],
    }
    if (root := paths.program_root()) is not None:
        agent["WorkingDirectory"] = root
    if home:
        agent["EnvironmentVariables"] = {"MLX_MANAGER_HOME": home}
    if kind is Kind.ENGINE:
        agent |= {
            # Started again after a crash, left alone after an orderly end.
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            # The engine stops its servers first; one that holds much memory gets a minute.
            "ExitTimeOut": 75,
            "StandardOutPath": str(logs / "engine-login.log"),
            "StandardErrorPath": str(logs / "engine-login.log"),
        }
    return agent


def autostart_entry(command: list[str], *, home: str | None) -> str:
    """Return the entry that desktops of Linux read at login."""
    return desktop.entry(command, home=home)


def systemd_unit(command: list[str], *, home: str | None) -> str:
    """Return the user unit that runs an engine."""
    service = [
        "Type=exec",
        f"ExecStart={' '.join(_systemd_quoted(part) for part in command)}",
        "Restart=on-failure",
        "RestartSec=10",
        # Servers are the engine's to stop; what is left after that goes too.
        "KillMode=mixed",
        "TimeoutStopSec=75",
    ]
    if home:
        service.append(f"Environment={_systemd_quoted(f'MLX_MANAGER_HOME={home}')}")
    if (root := paths.program_root()) is not None:
        service.append(f"WorkingDirectory={root.replace('%', '%%')}")
    return "\n".join(
        [
            "[Unit]",
            f"Description={desktop.NAME}: engine",
            "StartLimitIntervalSec=60",
            "StartLimitBurst=5",
            "",
            "[Service]",
            *service,
            "",
            "[Install]",
            "WantedBy=default.target",
            "",
        ]
    )


def _command(kind: Kind) -> list[str]:
    if kind is Kind.ENGINE:
        # Not restarted for ever while the app has an engine of its own, and there when that ends.
        return [*paths.program("engine"), "--wait"]
    return paths.program("gui")[:-1]


def _read(path: Path) -> str | None:
    """Return the text of a file, None when there is none. Raises OSError or ValueError."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(item: LoginItem, content: str) -> None:
    try:
        # The logs' folder too: launchd would not make it.
        paths.logs().mkdir(parents=True, exist_ok=True)
        files.write_atomically(item.path, content)
    except OSError as error:
        raise LoginItemFailed(f"{item.path} could not be written: {error.strerror}.") from error


def _program_in(content: str) -> str:
    """Return the program that a file starts."""
    if content.startswith("<?xml"):
        with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
            return str(plistlib.loads(content.encode())["ProgramArguments"][0])
        return ""
    # An entry with a home of its own begins with `env`.
    found = re.search(r'^Exec(?:Start)?=(?:"env" "[^"]*" )?"([^"]*)"', content, re.MULTILINE)
    return found[1] if found else ""


def _start(item: LoginItem) -> None:
    """Have the service manager run what the file says now, and nothing older."""
    if _IS_MAC:
        # A label that is loaded already is refused, and so is one that is switched off.
        with contextlib.suppress(LoginItemFailed):
            _stop(item)
        _run(["launchctl", "enable", _target(item)])
        _run(["launchctl", "bootstrap", _domain(), str(item.path)])
        return
    control = ["systemctl", "--user"]
    for command in (["daemon-reload"], ["enable", _UNIT], ["restart", _UNIT]):
        _run([*control, *command])


def _stop(item: LoginItem) -> None:
    """Stop what runs, and wait until it is gone. Without a service manager nothing runs."""
    if _IS_MAC and shutil.which("launchctl"):
        _run(["launchctl", "bootout", _target(item)], fine=_NOT_LOADED)
        end = time.monotonic() + _COMMAND_S
        while _run(["launchctl", "print", _target(item)], fine=range(256)) == 0:
            if time.monotonic() > end:
                raise LoginItemFailed(f"{item.path.stem} does not stop.")
            time.sleep(_LOOK_S)
    elif shutil.which("systemctl"):
        _run(["systemctl", "--user", "stop", _UNIT], fine=_NOT_LOADED)


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _target(item: LoginItem) -> str:
    return f"{_domain()}/{item.path.stem}"


def _run(command: list[str], fine: Container[int] = (0,)) -> int:
    """Run a command and return its exit code. Raises LoginItemFailed for one that is not fine."""
    if shutil.which(command[0]) is None:
        raise LoginItemFailed(f"{command[0]} is not here, so nothing can be started at login.")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LoginItemFailed(f"{shlex.join(command)} did not work: {error}") from error
    if done.returncode not in fine:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise LoginItemFailed(f"{shlex.join(command)} did not work: {reason[0]}")
    return done.returncode


def _systemd_quoted(text: str) -> str:
    """Quote as systemd.service(5) wants it, whose % and $ are placeholders."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{inner}"'
