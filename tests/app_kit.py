"""The whole app in a process of its own, which a test reads and presses as a person does."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import leaks
from engine_kit import DEADLINE_S, Lines, environment, until, wait_gone

from app import paths

_ROBOT = Path(__file__).parent / "gui" / "robot.py"


class App:
    """One start of the app. Its screen is read line by line, and pressed by what buttons say."""

    def __init__(self, home: Path, *arguments: str, **extra: str) -> None:
        root = paths.program_root() or "."
        self.process = subprocess.Popen(
            [sys.executable, str(_ROBOT), *arguments],
            env=environment(home, **{"PYTHONPATH": root, **extra}),
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self._lines = Lines(self.process.stdout.fileno())

    def ask(self, deed: str, *arguments: object) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([deed, *arguments]).encode() + b"\n")
        self.process.stdin.flush()
        line = self._lines.next()
        assert line is not None, "the app has ended"
        return json.loads(line)

    def says(self, text: str) -> bool:
        return any(text in found for found in self.ask("texts"))

    def until_says(self, text: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until this is on the screen."""
        end = time.monotonic() + deadline_s
        while not self.says(text):
            assert time.monotonic() < end, f"{text!r} is not in {self.ask('texts')}"
            time.sleep(0.05)

    def press(self, text: str) -> None:
        until(lambda: self.ask("press", text))

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def quit(self) -> int:
        """End the app as the system does, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def wait(self) -> int:
        return self.process.wait(DEADLINE_S)

    def end(self) -> None:
        """Whatever has become of it, leave nothing behind."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@contextlib.contextmanager
def beside(home: Path) -> Iterator[App]:
    """Start the app once more on a home that has one."""
    app = App(home)
    try:
        yield app
    finally:
        app.end()


@contextlib.contextmanager
def running_app(home: Path, *arguments: str, **extra: str) -> Iterator[App]:
    """Start the app; afterwards no process of it may be left."""
    app = App(home, *arguments, **extra)
    try:
        yield app
    finally:
        app.end()
        wait_gone(leaks.processes_with_home_under(home))
