"""The parent of one model server: ends the server's whole process group when its own owner is gone.

Only the standard library, so that the process stays at a few megabytes. Orders come as JSON lines
on standard input; its end means that the owner is gone, however it died. Events go as JSON lines to
standard output, which the server inherits for its own events.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

EVENTS_FD = "MLX_MANAGER_EVENTS_FD"
"""Names the descriptor on which a runner writes its events."""
_KILL_PATIENCE_S = 5.0
"""How long members of a killed group may take to disappear from the process table."""


class Guard:
    """One server process group and the pipe that owns it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._server: subprocess.Popen[bytes] | None = None
        self._kill_at: float | None = None
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _wake_only)

    def run(self) -> int:
        """Start the server, obey orders until it is gone, and report how it ended."""
        try:
            self._server = self._spawn()
        except (OSError, ValueError) as error:
            # ValueError: a null character in an argument.
            _send({"event": "spawn_failed", "error": str(error)})
            return 1
        _send({"event": "spawned", "pid": self._server.pid})
        try:
            self._obey(self._server)
        finally:
            self._end_group(self._server)
        code = self._server.returncode
        if code < 0:
            _send({"event": "exited", "signal": -code})
        else:
            _send({"event": "exited", "code": code})
        return 0

    def _spawn(self) -> subprocess.Popen[bytes]:
        events = os.dup(1)
        environment = {**self._order["env"], EVENTS_FD: str(events)}
        log = os.open(self._order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                self._order["argv"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._order.get("cwd"),
                pass_fds=(events,),
                start_new_session=True,
            )
        finally:
            os.close(events)
            os.close(log)

    def _obey(self, server: subprocess.Popen[bytes]) -> None:
        buffer = b""
        owned = True
        while server.poll() is None:
            waiting = [self._wake_read, 0] if owned else [self._wake_read]
            timeout = None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())
            readable, _, _ = select.select(waiting, [], [], timeout)
            if self._wake_read in readable:
                numbers = os.read(self._wake_read, 64)
                if set(numbers) & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
                    self._stop(server, float(self._order["grace_s"]))
            if 0 in readable:
                data = os.read(0, 65536)
                owned = bool(data)
                if not owned:
                    self._stop(server, float(self._order["grace_s"]))
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._stop(server, float(json.loads(line)["stop"]))
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                _signal_group(server.pid, signal.SIGKILL)
                self._kill_at = time.monotonic() + _KILL_PATIENCE_S

    def _stop(self, server: subprocess.Popen[bytes], grace_s: float) -> None:
        deadline = time.monotonic() + grace_s
        if self._kill_at is None:
            _signal_group(server.pid, signal.SIGTERM)
            self._kill_at = deadline
        else:
            self._kill_at = min(self._kill_at, deadline)

    def _end_group(self, server: subprocess.Popen[bytes]) -> None:
        # The leader is gone; whoever is left would keep the port and the memory.
        deadline = time.monotonic() + _KILL_PATIENCE_S
        while _signal_group(server.pid, signal.SIGKILL) and time.monotonic() < deadline:
            time.sleep(0.01)
            # After an order that made no sense, the leader is here too, and a member until reaped.
            server.poll()


def _wake_only(_number: int, _frame: FrameType | None) -> None:
    """Leave it to the wake-up descriptor."""


def _signal_group(group: int, number: int) -> bool:
    """Signal every member; return False when there is none left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS answers so for a group that holds nothing but zombies.
        return False
    return True


def _send(event: dict[str, Any]) -> None:
    # A dead owner reads no events; ending the server matters more than telling about it.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(event).encode() + b"\n")


def main() -> int:
    """Read the first order from standard input and guard what it starts."""
    line = b""
    while not line.endswith(b"\n"):
        # Byte by byte: a buffered reader would swallow orders that `select` then never sees.
        byte = os.read(0, 1)
        if not byte:
            return 0
        line += byte
    return Guard(json.loads(line)).run()


if __name__ == "__main__":
    sys.exit(main())
