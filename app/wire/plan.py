"""What a start of a profile would take of the memory, before anything is started."""

import math
import re

import msgspec

from app.wire.hub import Verdict

BUDGET = re.compile(r"(?:(\d{1,3}) ?%|(\d{1,5}(?:\.\d{1,2})?) ?(?:GB)?)?", re.IGNORECASE)
"""How a memory budget is written: `80%` of the limit, `24 GB` of 2^30 bytes each, or nothing."""


class StartPlan(msgspec.Struct, frozen=True):
    """Whether a profile's server fits beside what runs now, with the arithmetic."""

    profile: str
    """Its id."""
    verdict: Verdict
    sentence: str
    """The arithmetic or the reason, for people; GB are 2^30 bytes."""
    context: int
    """Tokens that the cache is counted for."""
    weights_bytes: int | None = None
    cache_bytes: int | None = None
    """None where the shape of the cache is not known; then it is not counted."""
    runtime_bytes: int = 0
    """Working memory beside weights and cache."""
    needed_bytes: int | None = None
    """Weights, cache and runtime together; None where the weights are not known."""
    others_bytes: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    """What each other server holds, or what a starting one will need, by its id."""
    foreign_bytes: int = 0
    """What model servers hold that this engine did not start."""
    limit_bytes: int = 0
    """The memory budget, or without one what Metal lets the GPU use, or all memory."""
    stop_first: tuple[str, ...] = ()
    """Servers whose stop would make room: the fewest, the least recently used first, busy and
    pinned ones only where nothing else helps. Empty when it fits, or when no stop helps."""


def budget_bytes(text: str, limit_bytes: int) -> int:
    """Return what a budget allows of a limit; text that is none, and 0, allow all of it."""
    found = BUDGET.fullmatch(text.strip())
    if found is None or not found[0]:
        return limit_bytes
    # Up, or 0.3 GB would be shown as 0.2 of them.
    size = math.ceil(float(found[2] or 0) * 2**30)
    wanted = limit_bytes * int(found[1]) // 100 if found[1] else size
    return min(wanted, limit_bytes) or limit_bytes
