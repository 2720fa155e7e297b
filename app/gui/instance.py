"""One window for each home: a second start hands over what it should open and ends."""

import json
import logging
from collections.abc import Sequence
from typing import cast

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from app import paths

_log = logging.getLogger("gui")
_UNCONNECTED = QLocalSocket.LocalSocketState.UnconnectedState
_ANSWER_MS = 2000
_LONGEST = 64 * 1024
"""Bytes of one message; a hundred paths are a tenth of it."""


class SingleInstance(QObject):
    """Holds the home's lock while it lives, and hears of later starts."""

    raise_wanted = Signal()
    open_wanted = Signal(object)  # list[str]: links and paths of files

    def __init__(self) -> None:
        super().__init__()
        paths.run().mkdir(parents=True, exist_ok=True)
        self._lock = QLockFile(str(paths.run() / "app.lock"))
        # A lock counts for as long as its process lives, however long that is.
        self._lock.setStaleLockTime(0)
        self._connections: list[QLocalSocket] = []
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)

    def claim(self, targets: Sequence[str] = ()) -> bool:
        """Become the one instance; False when another one lives, which then gets the targets."""
        if not self._lock.tryLock(0):
            self._tell_other(targets)
            return False
        name = _socket_name()
        # Left over by an instance that was killed.
        QLocalServer.removeServer(name)
        if not self._server.listen(name):
            _log.warning("later starts cannot raise this window: %s", self._server.errorString())
        return True

    def release(self) -> None:
        """Let another instance begin."""
        self._server.close()
        self._lock.unlock()

    def _tell_other(self, targets: Sequence[str]) -> None:
        socket = QLocalSocket()
        socket.connectToServer(_socket_name())
        if not socket.waitForConnected(_ANSWER_MS):
            _log.warning("the window that is open does not answer: %s", socket.errorString())
            return
        socket.write(json.dumps({"open": list(targets)}).encode())
        # The end of the stream is the end of the message.
        socket.waitForBytesWritten(_ANSWER_MS)
        socket.disconnectFromServer()

    def _on_connection(self) -> None:
        while self._server.hasPendingConnections():
            connection = self._server.nextPendingConnection()
            connection.setReadBufferSize(_LONGEST)
            self._connections.append(connection)
            # No partial: it would own this object, and go while the connection is destroyed.
            connection.disconnected.connect(self._take_messages)
        self.raise_wanted.emit()
        self._take_messages()

    def _take_messages(self) -> None:
        """Read what has come to its end; a message may come in pieces before that."""
        ended = [c for c in self._connections if c.state() is _UNCONNECTED]
        for connection in ended:
            self._connections.remove(connection)
            targets = _targets_in(bytes(connection.readAll().data()))
            connection.deleteLater()
            if targets:
                self.open_wanted.emit(targets)


def _targets_in(message: bytes) -> list[str]:
    """Return what a message asks to open; nothing for a message that is not ours."""
    try:
        wanted: object = json.loads(message or b"{}")
    except (ValueError, RecursionError):
        _log.warning("a message of another start cannot be read")
        return []
    listed: object = cast("dict[str, object]", wanted).get("open") if _is_table(wanted) else None
    if not isinstance(listed, list):
        return []
    return [item for item in cast("list[object]", listed) if isinstance(item, str)]


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _socket_name() -> str:
    # A path keeps instances of different homes apart; macOS allows 104 bytes.
    return str(paths.run() / "app.sock")
