"""Sockets that listen: bound at once, with an error that names who holds a port."""

import errno
import ipaddress
import os
import socket
from typing import Any

import psutil

from app.wire.errors import AppError, ErrorCode

_BACKLOG = 128


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one. Raises AppError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0, asyncio does not set TCP_NODELAY and each call takes 44 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Now, because two sockets can be bound to one port as long as neither listens.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise cannot_listen(host, port, error) from error
    return listener


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Like the server itself would: connections that are only fading do not hold a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def cannot_listen(host: str, port: int, error: OSError) -> AppError:
    """Return the error for an address that cannot be listened on, with who holds it."""
    who = f" It is held by {holder(port)}." if port else ""
    return AppError(
        f"{host}:{port} cannot be listened on: {error.strerror or error}.{who}",
        hint="Choose another port, or 0 for any free one.",
        code=ErrorCode.PORT_BUSY,
    )


def holder(port: int) -> str:
    """Return who listens on a port, as far as the system tells."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            address: Any = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port:
                if connection.pid is None:
                    break
                if connection.pid == os.getpid():
                    return "this app itself"
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        # macOS shows other users' connections only to root.
        return "another program"
    return "another program"


def url_of(address: tuple[str, int] | tuple[str, int, int, int], *, is_here: bool = False) -> str:
    """Return the address of a socket as people write it.

    A socket that listens everywhere is reached at this computer's address in its network, or with
    `is_here`, from this computer alone, at the one that stays whatever happens to the network.
    """
    host, port = address[0], address[1]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - a comparison
        host = _own_address(host, is_here=is_here)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _own_address(host: str, *, is_here: bool) -> str:
    family, far, near = (socket.AF_INET, "192.0.2.1", "127.0.0.1")
    if ":" in host:
        family, far, near = (socket.AF_INET6, "2001:db8::1", "::1")
    if is_here:
        return near
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing; the system only says by which of its addresses it would.
            probe.connect((far, 9))
        except OSError:
            return near
        return probe.getsockname()[0]


def is_loopback(host: str) -> bool:
    """Return True for an address that only this computer reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
