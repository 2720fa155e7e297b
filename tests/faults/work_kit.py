"""What goes on in a home while its processes are killed: saves, streams and questions."""

import contextlib
import http.client
import itertools
import json
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import leaks
import psutil
from engine_kit import ENDLESS, chat, environment, until
from patience import DEADLINE_S

from app import paths

KINDS: dict[str, tuple[str, ...]] = {
    "engine": ("engine",),
    "guard": ("guard",),
    "server": ("runner",),
    "download worker": ("worker", "download"),
    "scan worker": ("worker", "scan"),
    "hub worker": ("worker", "hub"),
    "verify worker": ("worker", "verify"),
    "probe worker": ("worker", "probe"),
    "remove worker": ("worker", "remove"),
    "trash worker": ("worker", "trash"),
    "leftovers worker": ("worker", "leftovers"),
}
"""The words behind the program in the arguments of each kind of process."""

SAVER = """
import itertools, sys
from app.gui.preferences import Preferences

preferences = Preferences()
for value in itertools.cycle(("light", "dark", "system")):
    preferences.save("appearance", value)
    print(value, flush=True)
"""
"""Does what the window does when somebody changes its settings, all the time."""


def kind_of(process: psutil.Process) -> str:
    """Return which of our processes this is; empty for any other, such as a window."""
    words = process.cmdline()
    for name, wanted in KINDS.items():
        if any(tuple(words[i : i + len(wanted)]) == wanted for i in range(1, 5)):
            return name
    return ""


def find(home: Path, kind: str) -> psutil.Process | None:
    """Return a process of a kind that runs in a home, None when there is none now."""
    for process in leaks.processes_with_home_under(home):
        with contextlib.suppress(psutil.Error):
            if kind_of(process) == kind and process.status() != psutil.STATUS_ZOMBIE:
                return process
    return None


def kill(process: psutil.Process, deadline_s: float) -> bool:
    """Kill a process, with which all below it must go; False when it was gone by itself."""
    try:
        family = [process, *process.children(recursive=True)]
        was_there = process.status() != psutil.STATUS_ZOMBIE
        process.kill()
    except psutil.NoSuchProcess:
        return False
    until(lambda: not any(map(_runs, family)), deadline_s)
    return was_there


def _runs(process: psutil.Process) -> bool:
    # A killed probe is dead until the next question to the hub's worker, which then reaps it.
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return False


class Document:
    """A file with one value that is saved again and again, and every version that it had."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self._pattern = re.compile(rb"(?m)^(" + key.encode() + rb" = )[^\s#]+")
        self.versions: list[bytes] = []
        self.saves = 0
        self._trying = b""

    def begin(self, value: object) -> None:
        """Note what is about to be saved, as TOML."""
        self._trying = json.dumps(value).encode()

    def saved(self) -> None:
        """Note that the save was confirmed."""
        self.versions.append(self.path.read_bytes())
        self.saves += 1

    def check(self, backups: Path) -> None:
        """Check that the file is as it was saved last, or as the interrupted save wanted it."""
        if not self.versions:
            return
        now, last = self.path.read_bytes(), self.versions[-1]
        wanted = self._pattern.sub(rb"\g<1>" + self._trying, last, count=1)
        assert now in (last, wanted), f"{self.path}:\n{now!r}\n{last!r}\n{wanted!r}"
        if now != last:
            self.versions.append(now)
        for copy in (backups / self.path.stem).glob("*"):
            assert copy.read_bytes() in self.versions, f"{copy} is no version that ever was"


class Saver:
    """Saves a document over HTTP from a thread until a save fails, or until it is told to end."""

    def __init__(
        self, document: Document, save: Callable[[int], bool], *, pause_s: float, most: int
    ) -> None:
        self._document = document
        self._save = save
        self._pause_s = pause_s
        self._numbers = itertools.cycle(range(1, most))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="saves", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Save no more, and wait for the save that is under way."""
        self._stop.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), f"a save of {self._document.path} never ended"

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            number = next(self._numbers)
            self._document.begin(number)
            try:
                if not self._save(number):
                    return
            except (OSError, http.client.HTTPException, ValueError):
                # The engine is gone.
                return
            self._document.saved()


class WindowSaves:
    """A process that saves the settings of the window again and again."""

    def __init__(self, home: Path, document: Document) -> None:
        self._document = document
        self.process = subprocess.Popen(
            [sys.executable, "-c", SAVER],
            env=environment(home),
            cwd=paths.program_root(),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def kill(self, after: int, pause: Callable[[], object]) -> None:
        """Kill it behind some saves and a moment; the document then knows what to expect."""
        assert self.process.stdout is not None
        lines = iter(self.process.stdout)
        order = itertools.cycle(("light", "dark", "system"))
        try:
            for _ in range(after):
                next(lines)
                next(order)
            pause()
        finally:
            self.process.kill()
            self.process.wait()
        for _ in lines:
            next(order)
        values = [next(order) for _ in range(3)]
        # The value before the one that was interrupted is the last of the round.
        self._expect(last=values[-1], trying=values[0])
        self.process.stdout.close()

    def _expect(self, *, last: str, trying: str) -> None:
        now = self._document.path.read_bytes()
        texts = [b'appearance = "%s"\n' % word.encode() for word in (last, trying)]
        assert now in texts, f"{now!r} is none of {texts}"
        backups = paths_of_backups(self._document.path)
        # What an interrupted copy left has a name that begins with a dot, and is swept at a start.
        for copy in backups.glob("[!.]*"):
            assert re.fullmatch(rb'appearance = "(light|dark|system)"\n', copy.read_bytes()), copy


def paths_of_backups(path: Path) -> Path:
    """Return where earlier versions of a file in a home are."""
    return path.parent / "backups" / path.stem


class Asker:
    """One request in a thread, which must end however the other side does."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self.result: Any = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="asks", daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """True when there is an answer, or will never be one."""
        return not self._thread.is_alive()

    def end(self, deadline_s: float) -> None:
        """Wait for the end of the request."""
        self._thread.join(deadline_s)
        assert not self._thread.is_alive(), "a request never ended"

    def _run(self) -> None:
        try:
            self.result = self._ask()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.error = error


class Stream:
    """A streamed answer that would go on for ever, read by a client at the gateway."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self.has_begun = threading.Event()
        self.data = b""
        self._asker = Asker(self._read)

    def check(self, deadline_s: float) -> None:
        """Check that it has ended, and that its reader cannot take it for complete."""
        self._asker.end(deadline_s)
        assert b"[DONE]" not in self.data, "a cut answer looks like a whole one"

    def _read(self) -> None:
        parts = urlsplit(self._gateway)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=DEADLINE_S
        )
        body = chat(max_tokens=1_000_000, stream=True, **ENDLESS)
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body).encode())
            response = connection.getresponse()
            while piece := response.read1(65_536):
                self.data += piece
                self.has_begun.set()
        finally:
            self.has_begun.set()
            connection.close()


def pause(chance: random.Random, most_s: float) -> Callable[[], object]:
    """Return what waits for a random moment."""
    nobody = threading.Event()
    return lambda: nobody.wait(chance.uniform(0.0, most_s))
