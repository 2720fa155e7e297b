"""A guard against other programs that use the machine while something is measured."""

import os
import statistics
import time

import psutil
import pytest

# Above this, in cores, figures of the same round differed by more than what they shall show. A
# machine that is never so quiet can be told to measure all the same, and its figures say so.
FOREIGN_CORES = float(os.environ.get("FOREIGN_CORES", "0.3"))
_LOOK_S = 0.3
# What a round may wait for a quiet moment; if none comes it is measured, and dropped.
_PATIENCE_S = 15.0


class Watch:
    """Tells what others used since it was made; our own are this process and all below it."""

    def __init__(self) -> None:
        self._begin = time.monotonic(), _busy_s(), _own_s()

    def foreign_cores(self) -> float:
        """Return what other programs used, in cores."""
        at, busy, own = self._begin
        took = time.monotonic() - at
        return max(0.0, (_busy_s() - busy) - (_own_s() - own)) / took


class Rounds:
    """Deals out rounds until enough of them were undisturbed, and counts the dropped ones."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._patience = 6 * wanted
        self.foreign: list[float] = []
        """What others used in each round that was kept, in cores."""
        self.dropped = 0
        self._watch = Watch()

    def more(self) -> bool:
        """Return True if another round is to be measured, and wait for a moment for it.

        Fails the test if the machine is not left alone for long enough.
        """
        if len(self.foreign) == self._wanted:
            return False
        if self.dropped > self._patience:
            pytest.fail(f"other programs disturbed {self.dropped} rounds of {self._patience}")
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            self._watch = Watch()
            time.sleep(_LOOK_S)
            if self._watch.foreign_cores() < FOREIGN_CORES:
                break
        self._watch = Watch()
        return True

    def keeps(self) -> bool:
        """Return True if the round that is over was undisturbed."""
        foreign = self._watch.foreign_cores()
        if foreign >= FOREIGN_CORES:
            self.dropped += 1
            return False
        self.foreign.append(foreign)
        return True


def told(foreign: list[float], dropped: int) -> str:
    """Say what became of the rounds."""
    return (
        f"{len(foreign)} rounds counted, in which other programs used "
        f"{statistics.median(foreign):.2f} cores (median); {dropped} more were dropped for more "
        f"than {FOREIGN_CORES:g}."
    )


def _busy_s() -> float:
    times = psutil.cpu_times()
    idle = ("idle", "iowait", "guest", "guest_nice")
    return sum(times) - sum(getattr(times, name, 0.0) for name in idle)


def _own_s() -> float:
    own = psutil.Process(os.getpid())
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        # With those of its children that have ended: they are in nobody else's figures.
        total += sum(times[:4])
    return total
