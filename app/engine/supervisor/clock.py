"""Notices that the computer slept, or that this process was held up for long."""

_JUMP_S = 15.0
"""A tick comes every second; a busy machine was seen to delay one by 3 s."""


class SleepClock:
    """Compares two readings of both clocks."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None

    def has_jumped(self, monotonic: float, wall: float) -> bool:
        """Return True when either clock moved on by far more than a tick since the last call."""
        last, self._last = self._last, (monotonic, wall)
        if last is None:
            return False
        # On macOS and Linux the monotonic clock stands still in sleep, the wall clock does not.
        return monotonic - last[0] > _JUMP_S or wall - last[1] > _JUMP_S
