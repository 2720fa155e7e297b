"""What starts at login: the app, or an engine alone. Written and removed only on the user's word.

A LaunchAgent on macOS; on Linux an autostart entry for the app and a user unit of systemd for the
engine.
"""

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from app import desktop, files, paths

IDENTIFIER = "io.github.mlx-model-manager"
_UNIT = "mlx-model-manager-engine.service"
_COMMAND_S = 20.0
_IS_MAC = sys.platform == "darwin"


class Kind(Enum):
    """What is started."""

    APP = "app"
    ENGINE = "engine"


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


def is_installed(kind: Kind) -> bool:
    """Return True when the file is there."""
    return login_item(kind).path.exists()


def install(kind: Kind) -> LoginItem:
    """Write the file; an engine is started at once, too. Raises LoginItemFailed."""
    if "/AppTranslocation/" in sys.executable:
        raise LoginItemFailed(
            "macOS runs this copy of the app from a place that changes. "
            "Move the app to the Applications folder first."
        )
    item = login_item(kind)
    try:
        # The logs' folder too: launchd would not make it.
        paths.logs().mkdir(parents=True, exist_ok=True)
        files.write_atomically(item.path, item.content)
    except OSError as error:
        raise LoginItemFailed(f"{item.path} could not be written: {error.strerror}.") from error
    if kind is Kind.ENGINE:
        try:
            for command in _start_commands(item):
                _run(command)
        except LoginItemFailed:
            # Not at the next login either, after we have said that it did not work.
            item.path.unlink(missing_ok=True)
            raise
    return item


def remove(kind: Kind) -> LoginItem:
    """Delete the file; an engine that it started is stopped. Raises LoginItemFailed."""
    item = login_item(kind)
    if item.path.exists() and kind is Kind.ENGINE:
        for command in _stop_commands(item):
            _run(command)
    try:
        item.path.unlink(missing_ok=True)
    except OSError as error:
        raise LoginItemFailed(f"{item.path} could not be deleted: {error.strerror}.") from error
    return item


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
    command = paths.program("engine" if kind is Kind.ENGINE else "gui")
    return command if kind is Kind.ENGINE else command[:-1]


def _start_commands(item: LoginItem) -> list[list[str]]:
    if _IS_MAC:
        return [["launchctl", "bootstrap", _domain(), str(item.path)]]
    control = ["systemctl", "--user"]
    return [[*control, "daemon-reload"], [*control, "enable", "--now", _UNIT]]


def _stop_commands(item: LoginItem) -> list[list[str]]:
    if _IS_MAC:
        return [["launchctl", "bootout", f"{_domain()}/{item.path.stem}"]]
    return [["systemctl", "--user", "disable", "--now", _UNIT]]


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _run(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise LoginItemFailed(f"{command[0]} is not here, so nothing can be started at login.")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LoginItemFailed(f"{shlex.join(command)} did not work: {error}") from error
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise LoginItemFailed(f"{shlex.join(command)} did not work: {reason[0]}")


def _systemd_quoted(text: str) -> str:
    """Quote as systemd.service(5) wants it, whose % and $ are placeholders."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{inner}"'
