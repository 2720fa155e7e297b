"""Counts wrong keys by address, so that guessing gets slower answers and few lines in the log."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

FREE = 10
"""So many wrong keys a minute are answered as such: a wrong entry in a program's settings."""
WINDOW_S = 60.0
LONGEST_S = 60
ADDRESSES = 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one wrong key."""

    retry_after_s: int | None
    """How long the address should wait; None while its wrong keys are few."""
    is_news: bool
    """True once a minute for each address: worth a line in the log."""


@dataclass(slots=True)
class _Address:
    failures: deque[float] = field(default_factory=deque[float])
    wait_s: int = 0
    logged_at: float | None = None


class Throttle:
    """Knows the last addresses that sent wrong keys. `clock` is monotonic, in seconds.

    It is never asked about a right key, so nobody can lock out the owner of one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def __len__(self) -> int:
        return len(self._addresses)

    def add(self, address: str) -> Verdict:
        """Count one wrong key from this address."""
        now = self._clock()
        known = self._addresses.setdefault(address, _Address())
        self._addresses.move_to_end(address)
        if len(self._addresses) > ADDRESSES:
            self._addresses.popitem(last=False)
        while known.failures and now - known.failures[0] >= WINDOW_S:
            known.failures.popleft()
        known.failures.append(now)
        if len(known.failures) > FREE:
            known.wait_s = min(LONGEST_S, known.wait_s * 2 or 1)
            # Only their number counts; a flood must not fill the memory.
            known.failures.popleft()
        else:
            known.wait_s = 0
        is_news = known.logged_at is None or now - known.logged_at >= WINDOW_S
        if is_news:
            known.logged_at = now
        return Verdict(known.wait_s or None, is_news)
