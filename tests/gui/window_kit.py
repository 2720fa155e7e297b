"""The real window on the real engine, and a desk from which tests use it as a person does."""

import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx
import psutil
import pytest
from model_kit import make_hub_repo, model_files
from patience import DEADLINE_S
from PySide6.QtCore import QElapsedTimer, QEventLoop, Qt, QTimer
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QMenu, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app import paths
from app.gui.main import make_application
from app.gui.main_window import MainWindow
from app.gui.mirror import LinkState
from app.gui.panels.server_tile import ServerTile
from app.wire.nouns import ServerState

_T = TypeVar("_T")
LEFT = Qt.MouseButton.LeftButton


TINY = "acme/Tiny-Chat-4bit"
"""A hub model in every home of these tests; it is the demo model under another name."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def furnish(home: Path, *, crowd: int = 0) -> None:
    """Give a home a gateway port of its own, one usable hub model and `crowd` more for looks."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "settings.toml").write_text(f"gateway_port = {free_port()}\n")
    cache = home / "hf" / "hub"
    demo = paths.demo_model()
    files = {f.name: f.read_bytes() for f in demo.iterdir() if f.suffix != ".md"}
    make_hub_repo(cache, TINY, files)
    for number in range(crowd):
        make_hub_repo(cache, f"acme/Model-{number:02}-{number % 8 + 1}B-4bit", model_files())


def write_profile(home: Path, profile_id: str, name: str, model: str) -> Path:
    file = home / "profiles" / f"{profile_id}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'schema = 1\nname = "{name}"\nmodel = "{model}"\n')
    return file


def program_environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment for `python -m app` with this home."""
    return {**os.environ, "MLX_MANAGER_HOME": str(home), "HF_HOME": str(home / "hf"), **more}


def family_of(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], object], timeout_s: float) -> bool:
    """Run the event loop until the condition holds; return whether it did in time."""
    loop, look, end = QEventLoop(), QTimer(), QTimer()
    look.timeout.connect(lambda: loop.quit() if condition() else None)
    end.timeout.connect(loop.quit)
    end.setSingleShot(True)
    look.start(10)
    end.start(int(timeout_s * 1000))
    if not condition():
        loop.exec()
    return bool(condition())


class Daemon:
    """An engine that belongs to nobody, as `mlxm engine` starts it on another computer."""

    def __init__(self, home: Path, key: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "engine", "--port", str(port), "--gateway-port", "0"],
            env=program_environment(home, MLX_MANAGER_API_KEY=key),
            cwd=paths.program_root(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        timer = threading.Timer(DEADLINE_S, self.process.kill)
        timer.start()
        facts = json.loads(self.process.stdout.readline())
        timer.cancel()
        timer.join()
        self.url: str = facts["url"]
        self.port = int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Heartbeat:
    """Measures the longest time for which the GUI thread did not come back to its event loop."""

    def __init__(self) -> None:
        self.longest_ms = 0
        self._clock = QElapsedTimer()
        self._timer = QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._on_beat)

    def __enter__(self) -> "Heartbeat":
        self._clock.start()
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._on_beat()
        self._timer.stop()

    def _on_beat(self) -> None:
        self.longest_ms = max(self.longest_ms, self._clock.restart())


class Desk:
    """A person in front of a window: presses, types and reads."""

    def __init__(self, window: MainWindow, home: Path, qtbot: QtBot) -> None:
        self.window = window
        self.home = home
        self.qtbot = qtbot
        self.mirror = window.parts.mirror
        self.panel = window.parts.servers_panel
        self.picker = window.parts.servers_panel.header.picker

    def until(self, condition: Callable[[], object], timeout_s: float = DEADLINE_S) -> None:
        """Let the window live until the condition holds; fails after the time-out."""
        try:
            self.qtbot.waitUntil(lambda: bool(condition()), timeout=int(timeout_s * 1000))
        except self.qtbot.TimeoutError:
            raise AssertionError(f"it did not happen in time: {self.describe()}") from None

    def describe(self) -> str:
        """Return what a person would see now."""
        states = {s.name: (s.state.value, s.pid) for s in self.mirror.servers.values()}
        dialogs = [type(w).__name__ for w in self.window.findChildren(QDialog) if w.isVisible()]
        focus = type(QApplication.focusWidget()).__name__
        chosen = self.picker.currentText()
        notice = self.window.parts.notice.text
        return f"{states=} {dialogs=} {focus=} {chosen=} {notice=} link={self.mirror.link_text!r}"

    def until_live(self) -> None:
        self.until(lambda: self.mirror.link is LinkState.LIVE)
        self.until(lambda: TINY in self.mirror.models)

    def until_state(self, server_id: str, state: ServerState) -> None:
        self.until(lambda: self.state(server_id) is state)

    def state(self, server_id: str) -> ServerState | None:
        server = self.mirror.servers.get(server_id)
        return None if server is None else server.state

    def pid(self, server_id: str) -> int:
        pid = self.mirror.servers[server_id].pid
        assert pid is not None
        return pid

    def engine_pid(self) -> int:
        assert self.mirror.engine is not None
        return self.mirror.engine.pid

    def tile(self, server_id: str) -> ServerTile:
        tile = self.panel.tile(server_id)
        assert tile is not None, f"there is no tile for {server_id}"
        return tile

    def button(self, parent: QWidget, text: str) -> QPushButton:
        """Return the one visible button that says `text`, in words or in its tool-tip."""
        found = [
            button
            for button in parent.findChildren(QPushButton)
            if button.isVisible() and text in (button.text(), button.toolTip())
        ]
        assert len(found) == 1, f"{len(found)} buttons say {text}"
        return found[0]

    def click(self, parent: QWidget, text: str) -> None:
        self.until(lambda: self.button(parent, text).isEnabled())
        self.qtbot.mouseClick(self.button(parent, text), LEFT)

    def keys(self, text: str) -> None:
        """Press a combination of keys where the keyboard is."""
        active = QApplication.activeWindow()
        if active is None or not active.isVisible():
            self.come_back()
        target = QApplication.activePopupWidget() or QApplication.focusWidget() or self.window
        QTest.keySequence(target, QKeySequence(text))

    def write(self, text: str) -> None:
        target = QApplication.focusWidget()
        assert target is not None
        self.qtbot.keyClicks(target, text)

    def choose(self, text: str) -> None:
        """Type a part of a profile's name or model into the picker and take the first match."""
        self.keys("Ctrl+L")
        self.write(text)
        self.until(lambda: self.picker.completer().popup().isVisible())
        popup = self.picker.completer().popup()
        self.qtbot.keyClick(popup, Qt.Key.Key_Down)
        self.qtbot.keyClick(popup, Qt.Key.Key_Return)

    def start(self, text: str, profile_id: str) -> ServerTile:
        """Start a profile as a person does, and wait until its server is ready."""
        self.choose(text)
        self.click(self.panel.header, "Start")
        self.until_state(profile_id, ServerState.READY)
        return self.tile(profile_id)

    def await_result(self, work: Callable[[], _T], timeout_s: float = DEADLINE_S) -> _T:
        """Do blocking work beside the window, which goes on meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            self.until(future.done, timeout_s)
            return future.result()

    def chat(self, model: str, *, tokens: int = 64) -> dict[str, Any]:
        """Have one question answered through the gateway."""
        assert self.mirror.engine is not None
        url = f"{self.mirror.engine.gateway_url}/v1/chat/completions"
        question = {"role": "user", "content": "Tell me a story"}
        body = {"model": model, "messages": [question], "max_tokens": tokens}
        return self.await_result(lambda: post_json(url, body))

    def dialog(self, kind: type[_T]) -> _T:
        """Return the visible dialog of a class."""
        found = [w for w in self.window.findChildren(QDialog) if w.isVisible()]
        match = [w for w in found if isinstance(w, kind)]
        assert len(match) == 1, f"{len(match)} dialogs of {kind.__name__}, {len(found)} in all"
        return match[0]

    def has_dialog(self, kind: type[QDialog]) -> bool:
        return any(w.isVisible() for w in self.window.findChildren(kind))

    def come_back(self) -> None:
        """Go on in the window after a dialog; without a window manager nobody does it for us."""
        self.window.activateWindow()
        self.until(self.window.isActiveWindow)

    def tidy(self) -> None:
        """Close what is open and remove every tile."""
        for menu in self.window.findChildren(QMenu):
            menu.close()
        for dialog in self.window.findChildren(QDialog):
            if dialog.isVisible():
                # Not reject: a form asks then whether its input may be lost.
                dialog.done(0)
        self.window.parts.models_panel.search.clear()
        self.window.parts.notice.clear()
        for server in list(self.mirror.servers.values()):
            if server.state.has_process:
                self.window.parts.session.stop(server.id)
        servers = self.mirror.servers
        self.until(lambda: not any(s.state.has_process for s in servers.values()))
        for server_id in list(servers):
            self.window.parts.session.call("remove", lambda api, i=server_id: api.remove_server(i))
        self.until(lambda: not servers)


def post_json(url: str, body: object) -> dict[str, Any]:
    # An engine on this computer must be reached whatever proxy the environment names.
    answer = httpx.post(url, json=body, timeout=DEADLINE_S, trust_env=False)
    return answer.raise_for_status().json()


@contextmanager
def open_window(url: str | None = None, **options: Any) -> Iterator[MainWindow]:
    """Show a window as the app does, and end it and its engine in order."""
    app = make_application()
    window = MainWindow(url, **options)
    ended: list[bool] = []
    window.closed.connect(lambda: ended.append(True))
    # As in the app: a collection in a worker would destroy widgets there.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        window.show()
        window.activateWindow()
        assert wait_until(lambda: window.parts is not None, DEADLINE_S), "the window stayed empty"
        yield window
    finally:
        window.quit()
        assert wait_until(lambda: ended, DEADLINE_S), "the window did not end"
        assert window.join()
        window.deleteLater()
        if was_enabled:
            gc.enable()
        app.processEvents()


@pytest.fixture(scope="module")
def shared_home(homes: Path) -> Path:
    """A home for all tests of a module."""
    folder = Path(tempfile.mkdtemp(prefix="", dir=homes))
    furnish(folder, crowd=24)
    return folder


@pytest.fixture(scope="module")
def shared_window(shared_home: Path, qapp: QApplication) -> Iterator[MainWindow]:
    """One window with one engine for all tests of a module, since a start takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_MANAGER_HOME", str(shared_home))
        patch.setenv("HF_HOME", str(shared_home / "hf"))
        with open_window() as window:
            assert wait_until(lambda: TINY in window.parts.mirror.models, DEADLINE_S), "no engine"
            yield window


@pytest.fixture
def desk(
    shared_window: MainWindow,
    shared_home: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> Iterator[Desk]:
    """The shared window, without servers before and after each test."""
    monkeypatch.setenv("MLX_MANAGER_HOME", str(shared_home))
    monkeypatch.setenv("HF_HOME", str(shared_home / "hf"))
    desk = Desk(shared_window, shared_home, qtbot)
    shared_window.resize(1400, 860)
    desk.come_back()
    yield desk
    desk.tidy()


@pytest.fixture
def own_home(home: Path) -> Path:
    """The test's own home, with models."""
    furnish(home)
    return home
