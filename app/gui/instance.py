"""One window for each home: a second start hands over what it should open and ends."""

import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from enum import Enum
from typing import TextIO, cast

from PySide6.QtCore import QDeadlineTimer, QObject, QThread, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from app import paths

_log = logging.getLogger("gui")
_UNCONNECTED = QLocalSocket.LocalSocketState.UnconnectedState
_ANSWER_MS = 5000
"""A window that is being filled on a busy computer was silent for 1 s."""
_AGAIN_MS = 100
_GREETING = b"\n"
# LOCAL_PEERPID at SOL_LOCAL, as in <sys/un.h>; in Linux's credentials the process id comes first.
_PEER_PID = (0, 2) if sys.platform == "darwin" else (socket.SOL_SOCKET, socket.SO_PEERCRED)
_LONGEST = 64 * 1024
"""Bytes of one message; a hundred paths are a tenth of it."""


class Claim(Enum):
    """What a start found."""

    OURS = "ours"
    HANDED_OVER = "handed_over"
    """Another window is there and has come to the front."""
    SILENT = "silent"
    """Another window is there, and does not answer."""


class SingleInstance(QObject):
    """Holds the home's lock while it lives, and hears of later starts."""

    raise_wanted = Signal()
    open_wanted = Signal(object)  # list[str]: links and paths of files

    def __init__(self) -> None:
        super().__init__()
        self._lock: TextIO | None = None
        self._connections: list[QLocalSocket] = []
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)

    def claim(self, targets: Sequence[str] = (), *, patience_ms: int = _ANSWER_MS) -> Claim:
        """Become the one instance, or hand the targets over to the one that lives.

        Blocks for `patience_ms` at most, while the other one does not answer.
        """
        deadline = QDeadlineTimer(patience_ms)
        while not self._take_lock():
            if _tell_other(targets, deadline):
                return Claim.HANDED_OVER
            if deadline.hasExpired():
                _log.warning("the window that is open does not answer")
                return Claim.SILENT
            # It may be about to listen, or to end; nothing announces either.
            QThread.msleep(_AGAIN_MS)
        name = _socket_name()
        # Left over by an instance that was killed.
        QLocalServer.removeServer(name)
        if not self._server.listen(name):
            _log.warning("later starts cannot raise this window: %s", self._server.errorString())
        return Claim.OURS

    def release(self) -> None:
        """Let another instance begin."""
        self._server.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> bool:
        """Return False when another process holds the lock; the system lets go when it dies."""
        lock = None
        try:
            paths.run().mkdir(parents=True, exist_ok=True)
            lock = (paths.run() / "app.lock").open("a")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if lock is not None:
                lock.close()
            return False
        except OSError as error:
            # On a full disk more than ever: models are deleted with this app.
            _log.warning("a second window on this home will not be noticed: %s", error)
        self._lock = lock
        return True

    def _on_connection(self) -> None:
        while self._server.hasPendingConnections():
            connection = self._server.nextPendingConnection()
            connection.setReadBufferSize(_LONGEST)
            # The system takes connections for a process that hangs; only this says that we live.
            connection.write(_GREETING)
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


def silent_window() -> int | None:
    """Return the process that listens for later starts on this home, by the system's own word."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_AGAIN_MS / 1000)
        probe.connect(_socket_name())
        pid = int.from_bytes(probe.getsockopt(*_PEER_PID, 4), sys.byteorder)
        return pid if pid > 1 and pid != os.getpid() else None
    return None


def end_silent_window() -> None:
    """Kill the window that hangs; its engine and its servers end in order, as after a crash."""
    if (pid := silent_window()) is not None:
        _log.warning("the window of process %d hangs and is ended", pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tell_other(targets: Sequence[str], deadline: QDeadlineTimer) -> bool:
    """Hand over the targets; return False when nobody takes them before the deadline."""
    other = QLocalSocket()
    other.connectToServer(_socket_name())
    if not other.waitForConnected(int(deadline.remainingTime())):
        return False
    if not other.waitForReadyRead(int(deadline.remainingTime())):
        other.abort()
        return False
    other.write(json.dumps({"open": list(targets)}).encode())
    # The end of the stream is the end of the message.
    other.waitForBytesWritten(_ANSWER_MS)
    other.disconnectFromServer()
    return True


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
