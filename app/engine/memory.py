"""What the model servers hold of the memory, and how much of it they may have."""

from collections.abc import Mapping

from app.engine.bus import Bus
from app.wire.events import SampleValues
from app.wire.nouns import ServerState
from app.wire.plan import budget_bytes


class Memory:
    """One source of these figures for fits, plans and starts. Belongs to the engine's loop."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._measured: dict[str, int] = {}
        self._needs: dict[str, int] = {}
        self.budget = ""
        """The setting: a share such as `80%`, a size such as `24 GB`, or empty for all."""

    def put_samples(self, values: Mapping[str, SampleValues]) -> None:
        """Take what the running servers use, once a tick."""
        self._measured = {
            server_id: int(max(one.get("memory_bytes") or 0, one.get("mlx_active_bytes") or 0))
            for server_id, one in values.items()
        }

    def expect(self, server_id: str, needed_bytes: int) -> None:
        """Count a server that starts with what it will need: it holds little at first."""
        self._needs[server_id] = needed_bytes

    def held(self) -> dict[str, int]:
        """Return the bytes of every server that has a process, or is about to have one."""
        return {
            server.id: self._held(server.id, server.state)
            for server in self._bus.servers.values()
            if server.state.has_process
        }

    def foreign_bytes(self) -> int:
        """Return what model servers hold that this engine did not start."""
        return sum(server.memory_bytes or 0 for server in self._bus.foreign.values())

    def limit_bytes(self) -> int:
        """Return what all model servers may hold together."""
        machine = self._bus.info.machine
        return budget_bytes(self.budget, machine.gpu_limit_bytes or machine.memory_bytes)

    def _held(self, server_id: str, state: ServerState) -> int:
        measured = self._measured.get(server_id, 0)
        is_growing = state is ServerState.STARTING or not measured
        return max(measured, self._needs.get(server_id, 0)) if is_growing else measured
