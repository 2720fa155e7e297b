"""Variables that a program started from Finder or at login does not get from any shell.

Two sources: the file `env` in the home, with lines NAME=VALUE, and on macOS the login shell of a
user who starts the app by double-click. What the environment has already comes before both.
"""

import contextlib
import logging
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from app import paths

_log = logging.getLogger("engine")
_SHELL_S = 3.0
"""Start-up files of a shell that take longer are not waited for."""
_MOST_BYTES = 64 * 1024

_ALLOWED = re.compile(
    r"HF_[A-Z0-9_]+|MLX_[A-Z0-9_]+|(?:https?|all|no)_proxy|(?:HTTPS?|ALL|NO)_PROXY"
    r"|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|PATH"
)
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
# Finder, and nobody else, gives a program this search path.
_PATH_OF_FINDER = "/usr/bin:/bin:/usr/sbin:/sbin"
# Where the app keeps its files must be known before the file there is read.
_NEVER_FROM_FILE = {"MLX_MANAGER_HOME"}


def env_file() -> Path:
    """Return the file with variables for programs that no shell has started."""
    return paths.home() / "env"


def adopt_file(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Take what the file says and the environment lacks; return the names. Never raises."""
    path = env_file()
    try:
        status = path.stat()
        text = path.read_bytes()[:_MOST_BYTES].decode("utf-8")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read: %s", path, error)
        return []
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (0, os.getuid()):
        _log.warning("%s is ignored: others may write to it; chmod 600 makes it yours alone", path)
        return []
    if status.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        _log.warning("%s can be read by others; chmod 600 keeps its keys to you", path)
    return _adopt(parse(text), environment, without=_NEVER_FROM_FILE)


def adopt_shell(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Take what the login shell would set, if Finder started us; return the names.

    Blocks up to 3 s. Never raises.
    """
    if not is_from_finder(environment):
        return []
    found = ask_shell(environment.get("SHELL") or "/bin/zsh")
    if environment.get("PATH") == _PATH_OF_FINDER and "PATH" in found:
        environment["PATH"] = found["PATH"]
    return _adopt(found, environment)


def is_from_finder(environment: Mapping[str, str]) -> bool:
    """Return True when no terminal is behind this process on macOS."""
    return sys.platform == "darwin" and "TERM" not in environment and os.getppid() == 1


def parse(text: str) -> dict[str, str]:
    """Return the variables of a file. Quotes around a value go; nothing in it is expanded."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.strip()):
            name, value = match.groups()
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[name] = value
    return found


def ask_shell(shell: str, *, timeout_s: float = _SHELL_S) -> dict[str, str]:
    """Return the variables that an interactive login shell has; none if it takes too long."""
    try:
        process = subprocess.Popen(
            # What its start-up files print is parted from the variables by the first zero.
            [shell, "-ilc", "printf '\\0'; env -0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # Whatever its start-up files begin ends with it.
            start_new_session=True,
        )
    except OSError as error:
        _log.warning("the shell %s cannot be asked for its environment: %s", shell, error)
        return {}
    try:
        out, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _log.warning(
            "the shell %s took longer than %.0f s and was not waited for", shell, timeout_s
        )
        return {}
    finally:
        _end_group(process)
    pairs = (entry.decode("utf-8", "replace").partition("=") for entry in out.split(b"\0")[1:])
    return {name: value for name, mark, value in pairs if mark}


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _adopt(
    found: Mapping[str, str],
    environment: MutableMapping[str, str],
    *,
    without: set[str] | None = None,
) -> list[str]:
    names = [
        name
        for name in found
        if _ALLOWED.fullmatch(name) and name not in environment and name not in (without or ())
    ]
    for name in names:
        environment[name] = found[name]
    return names
