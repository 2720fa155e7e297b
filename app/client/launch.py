"""Finds the engine of this home, or starts one that ends with its owner."""

import contextlib
import json
import os
import secrets
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app import files, paths
from app.client.api import Api
from app.client.errors import EngineGone, EngineRunning
from app.wire.errors import EXIT_ENGINE_RUNS, AppError, ErrorCode
from app.wire.reading import read_json, read_toml

KEY_VARIABLE = "MLX_MANAGER_API_KEY"
_START_S = 120.0
"""A start takes 2 s; on a disk that takes 5 s for each flush it was seen to take 40."""
_EXIT_S = 5.0
_HEALTH_S = 5.0
"""An engine that answers none of its own computer for so long hangs or is busy with its end."""
_END_S = 90.0
_STOP_S = 75.0
"""An engine ends its servers first; one that holds much memory gets a minute for that."""


class Address(msgspec.Struct, frozen=True):
    """What an engine says when it listens."""

    url: str
    gateway_url: str
    pid: int
    api_version: int
    log: str
    key_required: bool = False
    owned: bool = False
    """It ends with the app that started it."""


@dataclass
class OwnedEngine:
    """An engine process that lives as long as this object keeps its standard input open."""

    process: "subprocess.Popen[bytes]"
    address: Address
    owner_key: str = ""
    """Lets its owner in whatever keys come and go; never shown to anybody."""

    def is_alive(self) -> bool:
        """Return True while the process runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End an engine that hangs; the pipes end its servers in order."""
        self.process.kill()

    def wait(self) -> None:
        """Wait until the process is gone, for as long as `stop` takes at most."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2 * _STOP_S)

    def stop(self) -> None:
        """End the engine and its servers, and wait for it; kills it after 75 s."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_STOP_S)
        finally:
            _close_pipes(self.process)


def find() -> Address | None:
    """Return where the engine of this home listens; None when there is none that answers."""
    try:
        address = read_json(paths.engine_file().read_bytes(), Address)
    except (OSError, msgspec.DecodeError):
        return None
    try:
        with Api(address.url) as api:
            return address if api.health(timeout=_HEALTH_S) else None
    except AppError:
        return None


def start_owned(key: str | None, *, gateway_port: int | None = None) -> OwnedEngine:
    """Start an engine that ends with this process, however it ends. Blocks up to 2 minutes.

    `gateway_port` overrides the setting; 0 takes any free one.

    Raises EngineGone with the engine's own words when it does not come up, EngineRunning when
    another has this home.
    """
    environment = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    ports = [] if gateway_port is None else ["--gateway-port", str(gateway_port)]
    if lost := files.lost_home():
        # The engine would begin a second, empty home in its place.
        raise EngineGone(lost, code=ErrorCode.STORE_FAILED)
    try:
        files.make_folder(paths.logs())
    except OSError as error:
        reason = error.strerror or error
        raise EngineGone(f"{paths.logs()} cannot be used: {reason}.") from error
    errors = paths.logs() / "engine-start.log"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*paths.program("engine"), "--owned", *ports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            cwd=paths.program_root(),
            # A Ctrl-C in the terminal must reach the engine only through its owner.
            start_new_session=True,
        )
    owner_key = secrets.token_urlsafe(32)
    line = _first_exchange(process, {"api_key": key or "", "owner_key": owner_key})
    try:
        return OwnedEngine(process, read_json(line, Address), owner_key)
    except msgspec.DecodeError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_EXIT_S)
        process.kill()
        status = process.wait(_STOP_S)
        _close_pipes(process)
        if status == EXIT_ENGINE_RUNS:
            raise EngineRunning(_last_line(errors)) from None
        raise EngineGone("The engine did not start.", hint=_last_line(errors)) from None


def end_running() -> None:
    """End the engine of this home, whoever started it, and wait for it. Blocks up to 90 s.

    Raises AppError when nothing proves which process it is, or it does not end.
    """
    try:
        done = subprocess.run(
            [*paths.program("engine"), "--end"],
            capture_output=True,
            text=True,
            timeout=_END_S,
            cwd=paths.program_root(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineGone(f"The engine could not be ended: {error}.") from error
    if done.returncode != 0:
        raise EngineGone(_last_words(done.stderr))


def servers_running() -> list[str]:
    """Return the names of the servers that the engine of this home runs, whatever its version."""
    return [_profile_name(file.stem) for file in sorted((paths.run() / "servers").glob("*.json"))]


def _profile_name(profile_id: str) -> str:
    try:
        text = (paths.profiles() / f"{profile_id}.toml").read_text(encoding="utf-8")
        return str(read_toml(text).get("name", profile_id))
    except (OSError, ValueError):
        return profile_id


def _first_exchange(process: "subprocess.Popen[bytes]", keys: dict[str, str]) -> bytes:
    """Send the first line and the keys; return the engine's first line, empty after 2 minutes."""
    if process.stdin is None or process.stdout is None:
        return b""
    timer = threading.Timer(_START_S, process.kill)
    timer.start()
    try:
        process.stdin.write(json.dumps(keys).encode() + b"\n")
        process.stdin.flush()
        return process.stdout.readline()
    except BrokenPipeError:
        return b""
    finally:
        timer.cancel()
        timer.join()


def _close_pipes(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            # Closing writes what is left to write, to a process that is gone.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _last_line(file: Path) -> str:
    return _last_words(file.read_text(encoding="utf-8", errors="replace"))


def _last_words(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("mlxm engine: ").strip() if lines else ""
