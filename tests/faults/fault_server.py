"""A model server that fails in every way that is known: does what its arguments say, in order.

Only the standard library. It binds a real port, answers completions with a stream, and reports a
pulse like the runner does.
"""

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

EVENTS = int(os.environ["MLX_MANAGER_EVENTS_FD"])
STUBBORN_CHILD = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print(1, flush=True); time.sleep(600)"
)
CHUNKS = 6
counts = {"open": 0, "total": 0, "tokens": 0, "pulses": 0}
modes: set[str] = set()
ballast: list[bytearray] = []
pulsed_at = time.monotonic()


def tell(event: str, **values: Any) -> None:
    os.write(EVENTS, json.dumps({"event": event, **values}).encode() + b"\n")


def pulse() -> None:
    global pulsed_at
    pulsed_at = time.monotonic()
    counts["pulses"] += 1


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "silent" in modes:
            # As after a GPU hang: the request is taken, nothing is ever generated.
            if not self.headers.get("X-Upstream-Probe"):
                counts["open"] += 1
                counts["total"] += 1
            time.sleep(600)
        is_probe = bool(self.headers.get("X-Upstream-Probe"))
        counts["open"] += not is_probe
        counts["total"] += not is_probe
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for number in range(CHUNKS):
            pulse()
            counts["tokens"] += not is_probe
            self.wfile.write(b'data: {"token": %d}\n\n' % number)
            if "half" in modes and number == CHUNKS // 2:
                os._exit(1)
        self.wfile.write(b"data: [DONE]\n\n")
        counts["open"] -= not is_probe

    def log_message(self, *_: object) -> None:
        pass


def listen(port: str) -> None:
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port or 0)), Handler)
    except OSError as error:
        tell("failed", stage="bind", error=f"OSError: {error}")
        os._exit(70)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tell("listening", port=server.server_address[1])


def beat(_: str) -> None:
    def report() -> None:
        # A pipe that is closed is one of the faults.
        with contextlib.suppress(OSError):
            while True:
                silent = time.monotonic() - pulsed_at if counts["open"] else 0.0
                tell(
                    "stats", prompt_tokens=0, completion_tokens=counts["tokens"],
                    requests_open=counts["open"], requests_total=counts["total"],
                    pulses=counts["pulses"], silent_s=silent, slow_gap_s=0.0,
                )  # fmt: skip
                time.sleep(0.1)

    threading.Thread(target=report, daemon=True).start()


def child(_: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", STUBBORN_CHILD], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()


def grow(megabytes: str) -> None:
    ballast.extend(bytearray(b"x") * (50 << 20) for _ in range(int(megabytes) // 50))


def release_slowly(pause_s: str) -> None:
    def on_sigterm(*_: object) -> None:
        while ballast:
            ballast.pop()
            time.sleep(float(pause_s))
        os._exit(0)

    signal.signal(signal.SIGTERM, on_sigterm)


def garbage(_: str) -> None:
    for data in (
        b"no json\n", b"\xff\xfe\x00\n", b"{}\n", b"[]\n", b'{"event": "unknown"}\n', b"\n",
        b'{"event": "spawned", "pid": 1}\n', b'{"event": "stats"}\n', b"x" * 3_000_000 + b"\n",
    ):  # fmt: skip
        with open(EVENTS, "wb", closefd=False) as pipe:
            pipe.write(data)


def late_garbage(_: str) -> None:
    tell("listening", port=1)
    tell("importing", pid=1)
    tell("loaded", seconds=0.1, gpu_limit_bytes=1)
    tell("spawned", pid=1)


def flood(megabytes: str) -> None:
    line = b"the same line again and again " * 30 + b"\n"
    for _ in range(int(megabytes)):
        os.write(2, line * (1_000_000 // len(line)))


def burn(_: str) -> None:
    def turn() -> None:
        while True:
            sum(range(10_000))

    for _ in range(2):
        threading.Thread(target=turn, daemon=True).start()


def unlink_log(_: str) -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/fd/1").readlink().unlink()


def close_pipes(_: str) -> None:
    for descriptor in (EVENTS, 1, 2):
        os.close(descriptor)


def escape_events(_: str) -> None:
    tell("exited", code=0)


def steal(path: str) -> None:
    """Wait until somebody else has taken the port in the file, as between a check and a bind."""
    listen(Path(path).read_text())


ACTIONS = {
    "listen": listen,
    "beat": beat,
    "child": child,
    "grow": grow,
    "release": release_slowly,
    "garbage": garbage,
    "late-garbage": late_garbage,
    "flood": flood,
    "burn": burn,
    "unlink-log": unlink_log,
    "close-pipes": close_pipes,
    "claim-exit": escape_events,
    "steal": steal,
    "claim-port": lambda port: tell("listening", port=int(port)),
    "importing": lambda _: tell("importing", pid=os.getpid()),
    "loading": lambda _: tell("loading", model="m"),
    "loaded": lambda _: tell("loaded", seconds=0.1),
    "failed": lambda text: tell("failed", stage="load", error=text),
    "stubborn": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "print": lambda text: os.write(1, text.encode() + b"\n"),
    "mode": modes.add,
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "exit": lambda code: os._exit(int(code)),
    "die": lambda number: os.kill(os.getpid(), int(number)),
}


def main() -> None:
    # The runner ends itself when its guard is gone; this server does not.
    socket.setdefaulttimeout(None)
    for argument in sys.argv[1:]:
        word, _, value = argument.partition(":")
        if word in ACTIONS:
            ACTIONS[word](value)
    while True:
        time.sleep(600)


if __name__ == "__main__":
    main()
