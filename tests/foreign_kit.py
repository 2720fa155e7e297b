"""A real process that looks like a model server which the engine did not start."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

LISTENER = """
import os, signal, socket, sys
if "stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
if "child" in sys.argv:
    pid = os.posix_spawn(os.environ["PYTHON"], ["ollama", "runner"], os.environ)
print(listener.getsockname()[1], flush=True)
signal.pause() if "stubborn" not in sys.argv else [signal.pause() for _ in iter(int, 1)]
"""
"""Listens on a free port, prints it and waits."""


@dataclass
class Fake:
    """A program that looks like a model server and listens."""

    process: "subprocess.Popen[str]"
    port: int

    @property
    def pid(self) -> int:
        return self.process.pid


@contextlib.contextmanager
def fake_server(folder: Path, *command: str) -> Iterator[Fake]:
    """Run the listener as this command; `-m mlx_lm` and `serve` find it in the folder."""
    package = folder / "mlx_lm"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    for script in (package / "__main__.py", folder / "serve", folder / "runner"):
        script.write_text(LISTENER)
    program, *_ = command
    process = subprocess.Popen(
        command,
        executable=sys.executable if program == "ollama" else None,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Fake(process, int(process.stdout.readline()))
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()
        process.stdout.close()


def mlx_command(*more: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "mlx_lm", "server", "--port", "0", *more)
