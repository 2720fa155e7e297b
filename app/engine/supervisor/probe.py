"""Asks a server for one token, to see that it still generates."""

import asyncio
import json
import logging

_log = logging.getLogger("server")
PROBE_HEADER = "X-Upstream-Probe"
TOKEN_HEADER = "X-Upstream-Token"  # noqa: S105 - the header's name
_PATIENCE_S = 60.0


async def answers(port: int, token: str) -> bool:
    """Return True when the server generates a token within a minute."""
    body = json.dumps(
        {"prompt": "a", "max_tokens": 1, "model": "default_model", "stream": False}
    ).encode()
    head = (
        f"POST /v1/completions HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{TOKEN_HEADER}: {token}\r\n{PROBE_HEADER}: 1\r\n\r\n"
    )
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + body)
            status = await reader.readline()
            await reader.read()
    except (OSError, TimeoutError) as error:
        _log.info("a probe got no answer: %s", type(error).__name__)
        return False
    finally:
        if writer is not None:
            writer.close()
    # Any answer but a dead generation thread's comes from a server that works.
    return b" 200 " in status or b" 40" in status
