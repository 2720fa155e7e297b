"""The window on an engine of another computer: what says so, and what happens when it is lost."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from patience import DEADLINE_MS
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot
from window_kit import TINY, Daemon, Desk, furnish, open_window

from app.gui.dialogs.delete_sheet import DeleteSheet
from app.gui.inspector.server.page import ServerPage
from app.gui.mirror import LinkState

"""Silence counts as lost after 6 s; a connection that cannot be made, after 5 s."""


@pytest.fixture
def far(home: Path) -> Iterator[Daemon]:
    """An engine of another computer, which wants no key."""
    furnish(home / "far")
    daemon = Daemon(home / "far", "")
    yield daemon
    daemon.stop()


class Cable:
    """A way to an engine that can be cut: what is sent then arrives when it is whole again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_whole = threading.Event()
        self._is_whole.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self._run(self._accept)

    def cut(self) -> None:
        self._is_whole.clear()

    def mend(self) -> None:
        self._is_whole.set()

    def close(self) -> None:
        self._is_whole.set()
        self._hang_up(self._door)
        for one in self._sockets:
            self._hang_up(one)
        for thread in self._threads:
            thread.join()
        for one in (self._door, *self._sockets):
            one.close()

    def _hang_up(self, one: socket.socket) -> None:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            self._sockets += [near, far]
            self._run(self._carry, near, far)
            self._run(self._carry, far, near)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._is_whole.wait()
                target.sendall(data)
        except OSError:
            pass
        self._hang_up(target)


def texts(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def is_back(desk: Desk) -> bool:
    is_live = desk.mirror.link is LinkState.LIVE and not desk.mirror.is_stale
    return is_live and not desk.window.parts.notice.offers_action


def test_everything_names_the_other_computer(home: Path, far: Daemon, qtbot: QtBot) -> None:
    with open_window(far.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until_live()
        desk.until(lambda: desk.mirror.machine)
        place = desk.mirror.place
        assert place
        assert place in window.windowTitle()
        assert f"emory of {place}" in desk.panel.memory_strip.accessibleName()
        assert f"on {place}" in texts(window.parts.models_panel)
        status = texts(window.parts.status)
        assert f"Remote engine on {place}" in status
        assert "This computer" not in status
        assert "No key" in status
        window.parts.model_actions.delete(TINY)
        desk.until(lambda: QApplication.activeModalWidget())
        sheet = QApplication.activeModalWidget()
        assert isinstance(sheet, DeleteSheet)
        assert f"from {place}?" in texts(sheet)
        sheet.reject()


def test_suspended_engine_is_told_and_comes_back_by_itself(
    home: Path, far: Daemon, qtbot: QtBot
) -> None:
    with open_window(far.url) as window:
        desk = Desk(window, home, qtbot)
        desk.until_live()
        desk.start("Demo", "demo")
        window.parts.inspecting.show_server("demo", "try")
        page = window.parts.inspector.page
        assert isinstance(page, ServerPage)
        process = psutil.Process(far.process.pid)
        process.suspend()
        try:
            desk.until(lambda: desk.mirror.link is LinkState.STALE)
            assert "The engine does not answer" in texts(page)
            assert "is not running" not in texts(page)
            notice = window.parts.notice
            assert notice.offers_action
            corner = notice.mapTo(window, notice.rect().topRight())
            assert corner.x() <= page.mapTo(window, page.rect().topLeft()).x()
        finally:
            process.resume()
        desk.until(lambda: is_back(desk))
        assert "The engine does not answer" not in texts(page)
        with qtbot.waitSignal(desk.mirror.sampled, timeout=DEADLINE_MS):
            pass


def test_engine_behind_a_cut_network_comes_back_by_itself(
    home: Path, far: Daemon, qtbot: QtBot
) -> None:
    cable = Cable(far.port)
    try:
        with open_window(cable.url) as window:
            desk = Desk(window, home, qtbot)
            desk.until_live()
            cable.cut()
            desk.until(lambda: desk.mirror.link is LinkState.STALE)
            assert "does not answer" in window.parts.notice.text
            cable.mend()
            desk.until(lambda: is_back(desk))
            with qtbot.waitSignal(desk.mirror.sampled, timeout=DEADLINE_MS):
                pass
    finally:
        cable.close()
