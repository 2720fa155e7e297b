"""When a crashed server may be started again by itself, and when no more."""

import random
from collections import deque
from collections.abc import Callable, Mapping

from app.engine.supervisor.reasons import HEALING
from app.wire.errors import ErrorCode
from app.wire.nouns import Failure
from app.wire.options import OptionValue
from app.wire.policy import ON_CRASH, policy_flag, policy_text

FIRST_S = 1.0
LONGEST_S = 60.0
BUDGET = 5
WINDOW_S = 600.0
"""At most BUDGET restarts in this time; a server that was ready for as long starts afresh."""
_JITTER = 0.2


def is_wanted(policy: Mapping[str, OptionValue], failure: Failure) -> bool:
    """Return True when the profile wants a new start after this failure, and it could help."""
    if failure.code not in HEALING:
        return False
    if policy_text(policy, "auto_restart") == ON_CRASH:
        return True
    return failure.code is ErrorCode.SERVER_STALLED and policy_flag(policy, "restart_stalled")


class RestartBudget:
    """Counts the restarts of one server. Times are monotonic seconds."""

    def __init__(self, jitter: Callable[[float, float], float] = random.uniform) -> None:
        self._jitter = jitter
        self._restarts: deque[float] = deque()

    def next_delay_s(self, now: float, *, ready_for_s: float) -> float | None:
        """Return how long to wait before the next try, None when the budget is used up.

        `ready_for_s` is how long the server was ready before it ended.
        """
        if ready_for_s >= WINDOW_S:
            self._restarts.clear()
        while self._restarts and now - self._restarts[0] > WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) >= BUDGET:
            return None
        delay = min(LONGEST_S, FIRST_S * 2.0 ** len(self._restarts))
        self._restarts.append(now)
        # Several servers that one event took down must not all come back in the same moment.
        return delay * self._jitter(1 - _JITTER, 1 + _JITTER)

    @property
    def used(self) -> int:
        """How many restarts count against the budget now."""
        return len(self._restarts)

    def clear(self) -> None:
        """Forget all: the user has started the server himself."""
        self._restarts.clear()
