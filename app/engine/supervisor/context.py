"""What a server's task needs of the engine around it."""

from pathlib import Path
from typing import Protocol

from app.engine.bus import Bus
from app.engine.runtimes.base import Runtime
from app.engine.supervisor.preflight import Launch
from app.wire.child import RunnerStats
from app.wire.nouns import Profile


class Context(Protocol):
    """What a server task needs of the engine."""

    bus: Bus
    runtimes: dict[str, Runtime]
    cache: Path
    patience_s: float

    def on_stats(self, server_id: str, stats: RunnerStats) -> None:
        """Take the figures that the runner reports."""
        ...

    def on_process(self) -> None:
        """Learn that a server has a process now, or has none any more."""
        ...

    def on_gpu_limit(self, limit_bytes: int) -> None:
        """Take what Metal lets the GPU use."""
        ...

    async def admit(self, profile: Profile, launch: Launch) -> Launch:
        """Make room for a start and give it its share of the memory."""
        ...

    def used_memory(self) -> int:
        """Return the machine's used memory in bytes; may block a few milliseconds."""
        ...
