"""How the stand-in misbehaves on request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.blobs import MiB


@dataclass
class Fault:
    """Misbehaviour applied to matching requests.

    kinds
      status       answer `status` with `headers` and `body` instead of serving
      refuse       close the connection without any answer
      delay        wait `seconds` before answering
      drop         send the true headers, `after` bytes of the body, then close cleanly (FIN)
      reset        the same, but close with a TCP reset
      stall        send `after` bytes of the body, then go silent for `seconds`
      throttle     send the body at `rate` bytes per second
      short        declare and send only `after` bytes, as if the file were that long
      corrupt      flip the byte at body offset `after` (length stays right)
      no_range     ignore the Range header and answer 200 with the whole file
      no_length    send the body chunked, without Content-Length
    """

    kind: str
    path: str = ""  # regular expression searched in the decoded path; "" matches everything
    method: str | None = None
    side: str | None = None  # "hub", "cdn" or None for both
    times: int | None = None  # how many requests it hits; None = every one
    skip: int = 0  # how many matching requests pass untouched first
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: int = 0
    seconds: float = 3600.0
    rate: float = MiB
    hits: int = 0

    def takes(self, side: str, method: str, path: str) -> bool:
        if self.method not in (None, method) or self.side not in (None, side):
            return False
        if self.kind in BODY_FAULTS and method != "GET":
            return False
        if not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


BODY_FAULTS = {"drop", "reset", "stall", "throttle", "short", "corrupt", "no_range", "no_length"}


def rate_limited(
    remaining_seconds: int = 2, kind: str = "resolvers", times: int | None = 1, **kw: Any
) -> Fault:
    """The hub's 429 with its IETF-draft headers."""
    headers = {
        "RateLimit": f'"{kind}";r=0;t={remaining_seconds}',
        "RateLimit-Policy": f'"fixed window";"{kind}";q=3000;w=300',
    }
    body = b'{"error":"We had to rate limit you. To get higher limits, log in or upgrade."}'
    return Fault("status", status=429, headers=headers, body=body, times=times, **kw)
