"""Asks a server for one token, to see that it still generates."""

import asyncio
import json
import logging

from app.engine.supervisor.clock import AwakeTimer
from app.engine.supervisor.watchdog import Watchdog

_log = logging.getLogger("server")
PROBE_HEADER = "X-Upstream-Probe"
TOKEN_HEADER = "X-Upstream-Token"  # noqa: S105 - the header's name
EVERY_S = 600.0
_PATIENCE_S = 60.0


class IdleProbe:
    """Asks one server when it has been idle for long, and tells its watchdog of a silence."""

    def __init__(self, server_id: str) -> None:
        self._server_id = server_id
        self._asked_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def ask_if_due(self, now: float, watchdog: Watchdog, port: int, token: str) -> None:
        """Ask, unless it is too early or a question is open; `now` is monotonic seconds."""
        since = max(self._asked_at, watchdog.active_at)
        is_open = self._task is not None and not self._task.done()
        if is_open or now - since < EVERY_S:
            return
        self._asked_at = now
        question = self._ask(watchdog, port, token)
        self._task = asyncio.create_task(question, name=f"probe-{self._server_id}")

    def close(self) -> None:
        """Give up the question that is open."""
        if self._task is not None:
            self._task.cancel()

    async def _ask(self, watchdog: Watchdog, port: int, token: str) -> None:
        pulses = watchdog.pulses
        if not await answers(port, token):
            watchdog.probe_failed(pulses)


async def answers(port: int, token: str) -> bool:
    """Return False when the server generates no token within a minute; sleep does not count."""
    body = json.dumps(
        {"prompt": "a", "max_tokens": 1, "model": "default_model", "stream": False}
    ).encode()
    head = (
        f"POST /v1/completions HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{TOKEN_HEADER}: {token}\r\n{PROBE_HEADER}: 1\r\n\r\n"
    )
    writer: asyncio.StreamWriter | None = None
    limit, loop = asyncio.timeout(None), asyncio.get_running_loop()
    timer = AwakeTimer(_PATIENCE_S, lambda: limit.reschedule(loop.time()))
    try:
        async with limit:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + body)
            status = await reader.readline()
            await reader.read()
    except (OSError, TimeoutError) as error:
        _log.info("a probe got no answer: %s", type(error).__name__)
        return False
    finally:
        timer.cancel()
        if writer is not None:
            writer.close()
    # Any answer but a dead generation thread's comes from a server that works.
    return b" 200 " in status or b" 40" in status
