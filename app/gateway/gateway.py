"""The gateway's listening socket and the connections behind it."""

import asyncio
import logging
import time
from collections.abc import Callable

from app.gate import Policy
from app.gateway.connection import Connection
from app.gateway.directory import Directory
from app.gateway.ledger import Ledger
from app.gateway.shared import Limits, Shared
from app.gateway.warm import warm
from app.throttle import Throttle
from app.wire.requests import RequestTexts

log = logging.getLogger("gateway")

_BACKLOG = 1024
_REQUESTS_PER_SERVER = 64
# Time for the last event of cut answers to reach readers that read.
_CLOSE_GRACE_S = 0.5


class Gateway:
    """The one OpenAI-compatible door; lives in the engine's loop."""

    def __init__(
        self,
        directory: Directory,
        policy: Policy,
        *,
        limits: Limits | None = None,
        throttle: Throttle | None = None,
        requests_per_server: Callable[[], int] = lambda: _REQUESTS_PER_SERVER,
        keep_texts: Callable[[], Callable[[RequestTexts], None] | None] = lambda: None,
    ) -> None:
        self._shared = Shared(
            directory,
            policy,
            limits or Limits(),
            Throttle(time.monotonic) if throttle is None else throttle,
            requests_per_server,
            keep_texts,
        )
        self.host = ""
        """The address that it listens on, empty before `start`."""
        self._server: asyncio.Server | None = None
        self._ports: dict[str, asyncio.Server] = {}
        self._connections: set[Connection] = set()

    @property
    def ledger(self) -> Ledger:
        """Figures of all requests."""
        return self._shared.ledger

    @property
    def policy(self) -> Policy:
        """Who is let in; may be replaced while the gateway runs."""
        return self._shared.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._shared.policy = policy

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen and return the address in use; port 0 takes a free one. Raises OSError."""
        warm(self._shared)
        self._server = await self._listen(host, port, None)
        self.host = host
        return _address(self._server)

    async def open_port(self, profile_id: str, port: int) -> tuple[str, int]:
        """Listen on a port that leads to one profile, and return its address. Raises OSError."""
        self.close_port(profile_id)
        self._ports[profile_id] = await self._listen(self.host, port, profile_id)
        return _address(self._ports[profile_id])

    def close_port(self, profile_id: str) -> None:
        """Stop listening for one profile; answers that are under way go on to their end."""
        server = self._ports.pop(profile_id, None)
        if server is not None:
            server.close()
            for connection in tuple(self._connections):
                if connection.only == profile_id:
                    connection.retire()

    async def close(self) -> None:
        """Stop listening and cut every answer that is under way; takes up to one second."""
        for server in (self._server, *self._ports.values()):
            if server is not None:
                server.close()
        self._ports.clear()
        for connection in tuple(self._connections):
            connection.shut_down()
        await self._wait_for_connections()
        for connection in tuple(self._connections):
            connection.abort()
        await self._wait_for_connections()
        self._server = None

    async def _listen(self, host: str, port: int, only: str | None) -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._shared, self._connections, only=only),
            host=host, port=port, backlog=_BACKLOG,
        )  # fmt: skip
        log.info("gateway listens on %s port %d", *_address(server))
        return server

    async def _wait_for_connections(self) -> None:
        if self._connections:
            lost = [connection.lost for connection in self._connections]
            await asyncio.wait(lost, timeout=_CLOSE_GRACE_S)


def _address(server: asyncio.Server) -> tuple[str, int]:
    address = server.sockets[0].getsockname()
    return address[0], address[1]
