"""The first request must not be slower than the second: what a request runs has run before it."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

from app.gate import Policy
from app.gateway.connection import Connection
from app.gateway.ledger import Ledger
from app.gateway.shared import Shared

log = logging.getLogger("gateway")

_CHAT = b'{"model": "\\u0000", "messages": [{"role": "user", "content": ""}]}'
_TEXT = b'{"model": "\\u0000", "prompt": ""}'
_REQUESTS = (
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/models/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    *(
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
        % (path, len(body), body)
        for path, body in ((b"/v1/chat/completions", _CHAT), (b"/v1/completions", _TEXT))
    ),
)


class _Sink(asyncio.Transport):
    """Takes an answer to nobody."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Hold nothing back."""

    def write(self, data: Any) -> None:
        """Drop the answer."""


def warm(shared: Shared) -> None:
    """Answer each route once, without a connection; nothing counts or logs it.

    The name of the model is one that no profile has.
    """
    aside = replace(shared, policy=Policy(), ledger=Ledger(), keep_texts=lambda: None)
    connection = Connection(aside, set())
    connection.connection_made(_Sink())
    for request in _REQUESTS:
        connection.data_received(request)
    connection.connection_lost(None)
    log.debug("the gateway ran its routes once before it listens")
