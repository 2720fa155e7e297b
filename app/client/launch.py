"""Finds the engine of this home, or starts one that ends with its owner."""

import contextlib
import json
import os
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app import files, paths
from app.client.api import Api
from app.client.errors import EngineGone, EngineRuns
from app.wire.errors import EXIT_ENGINE_RUNS, AppError, ErrorCode
from app.wire.reading import read_json

KEY_VARIABLE = "MLX_MANAGER_API_KEY"
_START_S = 120.0
"""A start takes 2 s; on a disk that takes 5 s for each flush it was seen to take 40."""
_EXIT_S = 5.0
_LOOK_S = 0.1
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
            return address if api.health() else None
    except AppError:
        return None


def find_soon() -> Address | None:
    """Return what `find` does, and give an engine that has just been started up to 2 minutes."""
    end = time.monotonic() + _START_S
    while (found := find()) is None and time.monotonic() < end:
        time.sleep(_LOOK_S)
    return found


def start_owned(key: str | None, *, gateway_port: int | None = None) -> OwnedEngine:
    """Start an engine that ends with this process, however it ends. Blocks up to 2 minutes.

    `gateway_port` overrides the setting; 0 takes any free one.

    Raises EngineGone with the engine's own words when it does not come up, EngineRuns when that
    is for another one.
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
        is_second = process.wait(_STOP_S) == EXIT_ENGINE_RUNS
        _close_pipes(process)
        raise (EngineRuns if is_second else EngineGone)(
            f"The engine did not start. {_last_line(errors)}",
            hint=f"Its log is {paths.logs() / 'engine.log'}.",
        ) from None


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
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("mlxm engine: ") if lines else ""
