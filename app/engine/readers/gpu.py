"""GPU figures from the I/O registry of macOS; other systems tell nothing without their own tools.

One call of `ioreg` yields device and processes: the accelerator's own properties hold the device's
load, the user clients below it hold the GPU time of each process. Field names are as seen on M1 to
M4; they are undocumented, so whatever is missing reads as unknown.
"""

import plistlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast
from xml.parsers.expat import ExpatError

import msgspec

from app.engine.readers.programs import output_of

# -l: archives may otherwise leave out the properties of the entries below a match. User clients are
# no registered services, so they are found below the accelerator and not by their own class. No
# depth limit: the driver decides how deep they hang.
_IOREG = ("/usr/sbin/ioreg", "-a", "-l", "-r", "-c", "IOAccelerator")
# A call starts a process and prints about 150 entries; a server's share over 2 s is steadier too.
_INTERVAL_S = 2.0
_CREATOR = re.compile(r"pid ([0-9]{1,10})\b")
_LARGEST = 2**63
# What plistlib raises for a list that is broken in one way or another.
_UNREADABLE = (
    plistlib.InvalidFileException, ExpatError, ValueError, LookupError, TypeError, AttributeError,
    OverflowError, RecursionError,
)  # fmt: skip

Table = Mapping[str, object]


class GpuFigures(msgspec.Struct, frozen=True):
    """What one look at the registry saw."""

    device_percent: float | None = None
    seconds_by_pid: dict[int, float] = {}
    """GPU time since each process opened the GPU; a process that is absent is unknown."""


def parse_ioreg(data: bytes) -> GpuFigures:
    """Return the figures in the property list that `ioreg -a` prints; what is missing is absent."""
    try:
        root: object = plistlib.loads(data, fmt=plistlib.FMT_XML)
    except _UNREADABLE:
        return GpuFigures()
    loads: list[float] = []
    nanoseconds: dict[int, int] = {}
    seen: set[int] = set()
    for entry in _entries(root):
        entry_id = entry.get("IORegistryEntryID")
        if isinstance(entry_id, int):
            # An accelerator below another one is printed twice: as a match and as a child.
            if entry_id in seen:
                continue
            seen.add(entry_id)
        load = _table(entry.get("PerformanceStatistics")).get("Device Utilization %")
        if isinstance(load, int | float) and -_LARGEST < load < _LARGEST:
            loads.append(min(100.0, max(0.0, float(load))))
        pid, spent = _client(entry)
        if pid is not None and spent is not None:
            nanoseconds[pid] = nanoseconds.get(pid, 0) + spent
    seconds = {pid: spent / 1e9 for pid, spent in nanoseconds.items()}
    return GpuFigures(max(loads, default=None), seconds)


def _entries(node: object) -> Iterator[Table]:
    """Yield every registry entry of a property list, parents first."""
    waiting: list[object] = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(cast("list[object]", item))
        elif isinstance(item, dict):
            entry = cast("Table", item)
            yield entry
            waiting.append(entry.get("IORegistryEntryChildren"))


def _client(entry: Table) -> tuple[int | None, int | None]:
    """Return pid and GPU nanoseconds of a user client; a process can have several clients."""
    creator, usage = entry.get("IOUserClientCreator"), entry.get("AppUsage")
    if not isinstance(creator, str) or not isinstance(usage, list):
        return None, None
    match = _CREATOR.match(creator)
    times = [_table(use).get("accumulatedGPUTime") for use in cast("list[object]", usage)]
    known = [time for time in times if isinstance(time, int) and 0 <= time < _LARGEST]
    return (int(match[1]) if match else None), (sum(known) if known else None)


def _table(value: object) -> Table:
    return cast("Table", value) if isinstance(value, dict) else {}


def _run_ioreg() -> bytes | None:
    return output_of(*_IOREG) if sys.platform == "darwin" else None


class GpuReader:
    """Turns GPU time into shares of the time between two looks. For one thread."""

    def __init__(self, source: Callable[[], bytes | None] = _run_ioreg) -> None:
        self._source = source
        self._read_at: float | None = None
        self._figures = GpuFigures()
        self._share_by_pid: dict[int, float] = {}

    @property
    def device_percent(self) -> float | None:
        """The load of the whole GPU at the last look, 0 to 100."""
        return self._figures.device_percent

    def percent_of(self, pids: Iterable[int]) -> float | None:
        """Return the share of GPU time that `pids` had together, 0 to 100; None if unknown."""
        shares = [self._share_by_pid[pid] for pid in pids if pid in self._share_by_pid]
        return min(100.0, sum(shares)) if shares else None

    def refresh(self, now: float) -> None:
        """Look again, at most every 2 s of the monotonic clock `now`. Blocks up to 2 s."""
        if self._read_at is not None and now - self._read_at < _INTERVAL_S:
            return
        span = None if self._read_at is None else now - self._read_at
        before, self._read_at = self._figures, now
        data = self._source()
        self._figures = GpuFigures() if data is None else parse_ioreg(data)
        self._share_by_pid = {}
        if span is None:
            return
        for pid, seconds in self._figures.seconds_by_pid.items():
            earlier = before.seconds_by_pid.get(pid)
            # A closed client takes its time with it: the sum falls, and the share is unknown.
            if earlier is not None and seconds >= earlier:
                self._share_by_pid[pid] = min(100.0, 100 * (seconds - earlier) / span)
