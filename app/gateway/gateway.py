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
from app.throttle import Throttle

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
    ) -> None:
        self._shared = Shared(
            directory,
            policy,
            limits or Limits(),
            Throttle(time.monotonic) if throttle is None else throttle,
            requests_per_server,
        )
        self._server: asyncio.Server | None = None
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
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connection, host=host, port=port, backlog=_BACKLOG
        )
        address = self._server.sockets[0].getsockname()
        log.info("gateway listens on %s port %d", address[0], address[1])
        return address[0], address[1]

    async def close(self) -> None:
        """Stop listening and cut every answer that is under way; takes up to one second."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.shut_down()
        await self._wait_for_connections()
        for connection in tuple(self._connections):
            connection.abort()
        await self._wait_for_connections()
        self._server = None

    def _connection(self) -> Connection:
        return Connection(self._shared, self._connections)

    async def _wait_for_connections(self) -> None:
        if self._connections:
            lost = [connection.lost for connection in self._connections]
            await asyncio.wait(lost, timeout=_CLOSE_GRACE_S)
