"""Notices that the computer slept, or that this process was held up for long."""

import asyncio
import time
from collections.abc import Callable

_JUMP_S = 15.0
"""A tick comes every second; a busy machine was seen to delay one by 3 s."""
_SLACK_S = 0.05
"""The clocks differ by less while the computer is awake."""


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


class AwakeTimer:
    """Calls `action` once after `delay_s` in which the computer was awake.

    On a Mac the loop's own clock goes on during sleep; `time.monotonic` stands still.
    """

    def __init__(self, delay_s: float, action: Callable[[], None]) -> None:
        self._due = time.monotonic() + delay_s
        self._action = action
        self._handle = asyncio.get_running_loop().call_later(delay_s, self._look)

    def cancel(self) -> None:
        """Let it not be called any more."""
        self._handle.cancel()

    def _look(self) -> None:
        left_s = self._due - time.monotonic()
        if left_s > _SLACK_S:
            self._handle = asyncio.get_running_loop().call_later(left_s, self._look)
        else:
            self._action()
