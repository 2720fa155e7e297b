"""Speed and remaining time of a download, calm enough to read."""

_HALF_LIFE_S = 5.0
_ETA_HALF_LIFE_S = 15.0
_SETTLE_S = 3.0
"""Before that, the first burst from the servers' buffers says nothing."""
_MIN_BYTES_PER_S = 10_000.0
_MAX_GAP_S = 5.0
"""After a longer silence the old speed means nothing any more."""


class _Mean:
    """A mean in which old values fade; fair from the first value on."""

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._sum = 0.0
        self._weight = 0.0

    def add(self, value: float, seconds: float) -> None:
        kept = 0.5 ** (seconds / self._half_life_s)
        self._sum = self._sum * kept + value * (1 - kept)
        self._weight = self._weight * kept + (1 - kept)

    def get(self) -> float:
        return self._sum / self._weight if self._weight else 0.0


class Speed:
    """Smooths the speed of one run of a download. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._last: tuple[float, int] = (0.0, 0)
        self._fast = _Mean(_HALF_LIFE_S)
        self._slow = _Mean(_ETA_HALF_LIFE_S)

    def add(self, now: float, done_bytes: int) -> None:
        """Take how many bytes are there now."""
        then, before = self._last
        gap_s = now - then
        if self._began is None or gap_s > _MAX_GAP_S or done_bytes < before:
            self._began = now
            self._fast, self._slow = _Mean(_HALF_LIFE_S), _Mean(_ETA_HALF_LIFE_S)
        elif gap_s > 0:
            speed = (done_bytes - before) / gap_s
            self._fast.add(speed, gap_s)
            self._slow.add(speed, gap_s)
        self._last = (now, done_bytes)

    def bytes_per_s(self) -> float | None:
        """Return the speed, None before there is one."""
        speed = self._fast.get()
        return round(speed, -3) if speed >= 1000 else None

    def eta_s(self, left_bytes: int) -> float | None:
        """Return the seconds to go, in steps that grow with them; None while it is a guess."""
        if self._began is None or self._last[0] - self._began < _SETTLE_S:
            return None
        speed = self._slow.get()
        if speed < _MIN_BYTES_PER_S:
            return None
        seconds = left_bytes / speed
        step = 5 if seconds < 120 else 60 if seconds < 3600 else 300
        return float(max(1, round(seconds / step)) * step)
