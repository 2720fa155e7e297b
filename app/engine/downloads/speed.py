"""Speed and remaining time of a download, calm enough to read."""

_HALF_LIFE_S = 5.0
_ETA_HALF_LIFE_S = 15.0
_SETTLE_S = 3.0
"""Before that, the first burst from the servers' buffers says nothing."""
_MIN_BYTES_PER_S = 10_000.0
_MAX_GAP_S = 5.0
"""After a longer silence the old speed means nothing any more."""


class Speed:
    """Smooths the speed of one run of a download. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._last: tuple[float, int] = (0.0, 0)
        self._fast = 0.0
        self._slow = 0.0

    def add(self, now: float, done_bytes: int) -> None:
        """Take how many bytes are there now."""
        then, before = self._last
        gap_s = now - then
        if self._began is None or gap_s > _MAX_GAP_S or done_bytes < before:
            self._began, self._fast, self._slow = now, 0.0, 0.0
            self._last = (now, done_bytes)
            return
        if gap_s <= 0:
            return
        speed = (done_bytes - before) / gap_s
        if not self._fast:
            self._fast = self._slow = speed
        self._fast += (speed - self._fast) * (1 - 0.5 ** (gap_s / _HALF_LIFE_S))
        self._slow += (speed - self._slow) * (1 - 0.5 ** (gap_s / _ETA_HALF_LIFE_S))
        self._last = (now, done_bytes)

    def bytes_per_s(self) -> float | None:
        """Return the speed, None before there is one."""
        return round(self._fast, -3) if self._fast >= 1000 else None

    def eta_s(self, left_bytes: int) -> float | None:
        """Return the seconds to go, in steps that grow with them; None while it is a guess."""
        if self._began is None or self._last[0] - self._began < _SETTLE_S:
            return None
        if self._slow < _MIN_BYTES_PER_S:
            return None
        seconds = left_bytes / self._slow
        step = 5 if seconds < 120 else 60 if seconds < 3600 else 300
        return float(max(1, round(seconds / step)) * step)
