"""The checks of `mlxm doctor`: of folders, files, ports and versions, without an engine."""

import fcntl
import json
import os
import platform
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from app import files, paths
from app.doctor.finding import Finding, Level
from app.wire.errors import AppError
from app.wire.reading import read_toml
from app.wire.settings import BY_NAME, parse_setting

_GB = 10**9
_LEAST_HOME = _GB // 2
_LEAST_MODELS = 5 * _GB
_MOST_LOGS = 500_000_000
_LOG_AGE_S = 14 * 86_400.0
_OLD_S = 3_600.0
_OLDEST_MACOS = 14
SECRET_FILES = ("api-keys.json", "keys.json", "run/engine.json", "env")
"""Files for their user alone, below the home folder."""


def all_checks() -> Iterator[Finding]:
    """Yield what each check finds; one that itself fails is a finding, too."""
    checks = (
        check_home, check_space, check_settings, check_profiles, check_secrets, check_remains,
        check_engine_file, check_port, check_logs, check_crashes, check_libraries, check_system,
        check_environment,
    )  # fmt: skip
    for check in checks:
        try:
            yield from check()
        except OSError as error:
            name = check.__name__.removeprefix("check_")
            yield Finding(name, Level.TROUBLE, f"This could not be looked at: {error}.")


def check_home() -> Iterator[Finding]:
    """Whether the home folder can be written."""
    home = paths.home()
    home.mkdir(parents=True, exist_ok=True)
    probe = home / f".tmp-doctor-{os.getpid()}"
    probe.write_bytes(b"x")
    probe.unlink()
    yield Finding("home", Level.FINE, f"{home} can be written.")


def check_space() -> Iterator[Finding]:
    """Whether the disks of home and models have room."""
    for name, folder, least in (
        ("disk", paths.home(), _LEAST_HOME),
        ("models disk", paths.hub_cache(), _LEAST_MODELS),
    ):
        place = next(p for p in (folder, *folder.parents) if p.exists())
        free = shutil.disk_usage(place).free
        text = f"{free / _GB:.1f} GB are free for {folder}."
        if free < least:
            yield Finding(name, Level.TROUBLE, text, "Delete models that you do not use.")
        else:
            yield Finding(name, Level.FINE, text)


def check_settings() -> Iterator[Finding]:
    """Whether the files of settings can be read and make sense."""
    for name in ("settings.toml", "app.toml"):
        path = paths.home() / name
        if not path.exists():
            continue
        problems = list(_setting_problems(path))
        for problem in problems:
            yield Finding(name, Level.TROUBLE, problem, f"Correct {path}; defaults are used now.")
        if not problems:
            yield Finding(name, Level.FINE, "It can be read.")


def _setting_problems(path: Path) -> Iterator[str]:
    try:
        document = read_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield f"It is no TOML file: {error}."
        return
    for name, value in document.items():
        if (setting := BY_NAME.get(name)) is None:
            yield f"There is no setting “{name}”."
            continue
        try:
            parse_setting(setting, value)
        except AppError as error:
            yield error.message


def check_profiles() -> Iterator[Finding]:
    """Whether the files of profiles are TOML; the engine checks what is in them."""
    found = sorted(paths.profiles().glob("*.toml"))
    broken = 0
    for path in found:
        try:
            read_toml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            broken += 1
            hint = f"Correct {path}; earlier versions are in {paths.backups() / path.stem}."
            yield Finding(f"profile {path.stem}", Level.TROUBLE, f"{error}.", hint)
    yield Finding("profiles", Level.FINE, f"{len(found) - broken} of {len(found)} can be read.")


def check_secrets() -> Iterator[Finding]:
    """Whether files with keys are for their user alone."""
    for name in SECRET_FILES:
        path = paths.home() / name
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:

            def fix(path: Path = path) -> str:
                path.chmod(0o600)
                return f"{path.name} is for you alone now."

            text = f"Others on this computer can read it (mode {mode:o})."
            yield Finding(name, Level.TROUBLE, text, f"chmod 600 {path}", fix)
        else:
            yield Finding(name, Level.FINE, "Only you can read it.")


def check_remains() -> Iterator[Finding]:
    """Whether interrupted writes have left files behind."""
    limit = time.time() - _OLD_S
    folders = (paths.home(), paths.profiles(), paths.run(), *paths.backups().glob("*/"))
    left = [
        path
        for folder in folders
        for path in folder.glob(".tmp-*")
        if path.is_file() and path.stat().st_mtime < limit
    ]
    if not left:
        yield Finding("remains", Level.FINE, "No interrupted write has left a file.")
        return

    def fix() -> str:
        for path in left:
            path.unlink(missing_ok=True)
        return f"{len(left)} files are gone."

    text = f"{len(left)} files of interrupted writes are left in {paths.home()}."
    yield Finding("remains", Level.NOTE, text, "They are of no use.", fix)


def check_engine_file() -> Iterator[Finding]:
    """Whether the address of an engine belongs to one that lives."""
    path = paths.engine_file()
    if not path.exists():
        yield Finding("engine", Level.FINE, "None runs.")
        return
    if _engine_lives():
        facts = json.loads(path.read_text(encoding="utf-8"))
        yield Finding("engine", Level.FINE, f"It runs at {facts.get('url')}.")
        return

    def fix() -> str:
        path.unlink(missing_ok=True)
        return "The address is gone."

    text = "The address of an engine is left, but none runs: it was killed."
    yield Finding("engine", Level.NOTE, text, "The next start cleans up.", fix)


def _engine_lives() -> bool:
    with paths.engine_lock().open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def check_port() -> Iterator[Finding]:
    """Whether the gateway's port is free, or ours."""
    port = int(_setting("gateway_port"))
    if paths.engine_file().exists() and _engine_lives():
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            text = f"Another program holds port {port}, so the gateway will use another one."
            hint = "End that program, or choose another gateway port in the settings."
            yield Finding("port", Level.TROUBLE, text, hint)
            return
    yield Finding("port", Level.FINE, f"Port {port} is free.")


def _setting(name: str) -> bool | int | str:
    try:
        document = read_toml((paths.home() / "settings.toml").read_text(encoding="utf-8"))
        return parse_setting(BY_NAME[name], document.get(name, BY_NAME[name].default))
    except (OSError, ValueError, AppError):
        return BY_NAME[name].default


def check_logs() -> Iterator[Finding]:
    """Whether logs stay within their bounds."""
    size = sum(p.stat().st_size for p in paths.logs().rglob("*") if p.is_file())
    text = f"{size / 1e6:.0f} MB in {paths.logs()}."
    long = [p for p in paths.logs().glob("*.log") if p.stat().st_size > 2 * files.MOST_LOG_BYTES]
    if size <= _MOST_LOGS and not long:
        yield Finding("logs", Level.FINE, text)
        return

    def fix() -> str:
        files.sweep_logs(paths.logs() / "servers", max_bytes=_MOST_LOGS // 2, max_age_s=_LOG_AGE_S)
        for path in long:
            files.trim(path)
        return "Old logs of servers are gone, and long logs are cut to their end."

    yield Finding("logs", Level.NOTE, text, "Old logs can go, and long ones be cut.", fix)


def check_crashes() -> Iterator[Finding]:
    """Whether the app or the system has noted crashes of late."""
    for who, crash in (("app", paths.logs() / "crash.log"), ("engine", paths.engine_crash())):
        if not files.is_newer(crash, 1.0):
            continue
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(crash.stat().st_mtime))
        text = f"The {who} crashed; the last time was {when}."
        yield Finding("crashes", Level.NOTE, text, f"{crash} tells where; please send it to us.")
    for path in system_reports():
        kind = "ran out of memory" if path.name.startswith("Jetsam") else "crashed"
        yield Finding("system", Level.NOTE, f"The system noted that something {kind}: {path.name}.")


def system_reports() -> list[Path]:
    """Return macOS's own reports of the last 14 days that may concern us, newest first."""
    limit = time.time() - _LOG_AGE_S
    found: list[tuple[float, Path]] = []
    for folder in (Path("/Library/Logs/DiagnosticReports"), _own_reports()):
        for pattern in ("JetsamEvent-*", "*.panic", "MLX Model Manager*", "python3*"):
            found += [(p.stat().st_mtime, p) for p in folder.glob(pattern)]
    return [path for at, path in sorted(found, reverse=True) if at > limit][:10]


def _own_reports() -> Path:
    return Path("~/Library/Logs/DiagnosticReports").expanduser()


def check_libraries() -> Iterator[Finding]:
    """Whether the libraries that serve models are there."""
    for name in ("mlx", "mlx-lm", "huggingface_hub"):
        if find_spec(name.replace("-", "_")) is None:
            text = f"{name} is missing, so no model can be served."
            yield Finding(name, Level.TROUBLE, text, "Install the app again.")
        else:
            yield Finding(name, Level.FINE, f"Version {_version(name)}.")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def check_system() -> Iterator[Finding]:
    """Whether this computer can run models on its GPU."""
    if sys.platform != "darwin":
        text = "No Metal here: models run on the processor, which is enough for tests only."
        yield Finding("computer", Level.NOTE, text)
        return
    if platform.machine() != "arm64":
        text = "This Python is made for Intel and runs under Rosetta: MLX cannot work."
        yield Finding("computer", Level.TROUBLE, text, "Use a Python for Apple silicon.")
    release = platform.mac_ver()[0]
    if int(release.split(".")[0] or 0) < _OLDEST_MACOS:
        text = f"macOS {release} is too old for MLX."
        yield Finding("computer", Level.TROUBLE, text, f"Update to macOS {_OLDEST_MACOS} or later.")
    else:
        yield Finding("computer", Level.FINE, f"macOS {release} on {platform.machine()}.")


def check_environment() -> Iterator[Finding]:
    """Variables that change what the app does, and are easily forgotten."""
    for name, meaning in (
        ("HF_HUB_OFFLINE", "the hub is turned off"),
        ("HF_ENDPOINT", "models come from another hub"),
        ("HTTPS_PROXY", "downloads go through a proxy"),
        ("MLX_MANAGER_HOME", "profiles and settings are in a folder of their own"),
    ):
        if os.environ.get(name):
            yield Finding("environment", Level.NOTE, f"{name} is set: {meaning}.")
