"""One window for each home: a second start raises the first one's window and ends."""

import logging

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from app import paths

_log = logging.getLogger("gui")
_ANSWER_MS = 2000


class SingleInstance(QObject):
    """Holds the home's lock while it lives, and hears of later starts."""

    raise_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        paths.run().mkdir(parents=True, exist_ok=True)
        self._lock = QLockFile(str(paths.run() / "app.lock"))
        # A lock counts for as long as its process lives, however long that is.
        self._lock.setStaleLockTime(0)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)

    def claim(self) -> bool:
        """Become the one instance; False when another one lives, which is then raised."""
        if not self._lock.tryLock(0):
            self._raise_other()
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

    def _raise_other(self) -> None:
        socket = QLocalSocket()
        socket.connectToServer(_socket_name())
        if socket.waitForConnected(_ANSWER_MS):
            socket.disconnectFromServer()
        else:
            _log.warning("the window that is open does not answer: %s", socket.errorString())

    def _on_connection(self) -> None:
        while self._server.hasPendingConnections():
            connection = self._server.nextPendingConnection()
            connection.disconnected.connect(connection.deleteLater)
            connection.disconnectFromServer()
        self.raise_wanted.emit()


def _socket_name() -> str:
    # A path keeps instances of different homes apart; macOS allows 104 bytes.
    return str(paths.run() / "app.sock")
