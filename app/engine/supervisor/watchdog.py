"""Tells a server that works from one that hangs, by the pulse of its generation thread.

`/health` of mlx_lm.server answers while nothing is generated any more, so it is not asked. The
pulse is every token and every step of a prompt, tool calls and prefill included, which no stream
shows.
"""

from enum import Enum

from app.wire.child import RunnerStats

PATIENCE_S = 30.0
"""The shortest silence that can mean a stall; a step of a long prompt was seen to take 12 s."""
_SLOW_FACTOR = 3.0
_FORGIVEN_S = 30.0
"""After a wake of the computer, this long nothing counts as silence."""


class Verdict(Enum):
    """How a ready server does."""

    IDLE = "idle"
    BUSY = "busy"
    STALLED = "stalled"


class Watchdog:
    """Follows one process. All times are monotonic seconds; nothing here blocks."""

    def __init__(self, now: float, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._reported_at = now
        self._stats: RunnerStats | None = None
        self._forgiven_until = now
        self._probe_failed_at: int | None = None
        self._active_at = now

    @property
    def active_at(self) -> float:
        """When a request was seen last."""
        return self._active_at

    def report(self, stats: RunnerStats, now: float) -> None:
        """Take what the runner says of itself."""
        before = self._stats
        if stats.requests_open or (before and before.requests_total != stats.requests_total):
            self._active_at = now
        self._stats = stats
        self._reported_at = now

    def forgive(self, now: float) -> None:
        """Count no silence for a while: the computer slept, or this process did."""
        self._forgiven_until = now + _FORGIVEN_S
        self._reported_at = now
        self._active_at = now

    def probe_failed(self, pulses_before: int) -> None:
        """Take notice that a probe got no token; a pulse since it was sent clears it."""
        self._probe_failed_at = pulses_before

    def limit_s(self) -> float:
        """Return the silence that means a stall; slow servers get more than the patience."""
        slow = self._stats.slow_gap_s if self._stats is not None else 0.0
        return max(self._patience_s, _SLOW_FACTOR * slow)

    def silent_s(self, now: float) -> float:
        """Return for how long work has been open without a pulse; 0 when there is no work."""
        stats = self._stats
        unheard = now - self._reported_at
        if stats is None or stats.requests_open == 0:
            # An idle runner reports every second; one that does not is stopped or stuck.
            return unheard if unheard > self._patience_s else 0.0
        return stats.silent_s + unheard

    def verdict(self, now: float) -> Verdict:
        """Return how the server does now."""
        if self._probe_failed_at is not None:
            if self._probe_failed_at == self.pulses:
                return Verdict.STALLED
            self._probe_failed_at = None
        if now >= self._forgiven_until and self.silent_s(now) > self.limit_s():
            return Verdict.STALLED
        is_busy = self._stats is not None and self._stats.requests_open > 0
        return Verdict.BUSY if is_busy else Verdict.IDLE

    @property
    def pulses(self) -> int:
        """Signs of life that were reported so far."""
        return self._stats.pulses if self._stats is not None else 0
