"""All servers by profile id: requests come in here, and the engine's end waits for them."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from app.engine.bus import Bus
from app.engine.memory import Memory
from app.engine.readers.machine import read_used_memory
from app.engine.runtimes.base import Runtime
from app.engine.sampler import Sampler, Target
from app.engine.supervisor import budget, demand, logfiles
from app.engine.supervisor.clock import SleepClock
from app.engine.supervisor.planner import Planner
from app.engine.supervisor.preflight import Launch
from app.engine.supervisor.room import Room
from app.engine.supervisor.task import ServerTask
from app.engine.supervisor.watchdog import PATIENCE_S
from app.gateway.directory import Served, Upstream
from app.wire.child import RunnerStats
from app.wire.errors import AppError, ErrorCode
from app.wire.events import MachineSample, SampleValues
from app.wire.nouns import Failure, Profile, Server, ServerState
from app.wire.plan import StartPlan
from app.wire.policy import idle_stop_s, policy_flag

_log = logging.getLogger("server")
_SLACK_S = 2.0
"""What the end of a server may take beyond its patience."""
_LOGS_S = 10.0
"""How often the logs of running servers are looked at for their size."""


class Supervisor:
    """Keeps one task for each server. All methods belong to the engine's loop."""

    def __init__(
        self,
        bus: Bus,
        runtimes: dict[str, Runtime],
        sampler: Sampler,
        cache: Path,
        *,
        patience_s: float = PATIENCE_S,
        planner: Planner | None = None,
    ) -> None:
        self.bus = bus
        self.runtimes = runtimes
        self.cache = cache
        self.patience_s = patience_s
        """The shortest silence of a working server that means a stall."""
        self.open_requests: Callable[[str], int] = lambda _: 0
        """How many requests the gateway holds for a server."""
        self._sampler = sampler
        self._planner = planner or Planner(bus, Memory(bus), cache)
        self._room = Room(self._planner, self)
        self._on_request: set[str] = set()
        self._tasks: dict[str, ServerTask] = {}
        self._budgets: dict[str, budget.Budget] = {}
        self._is_closing = False
        self._clock = SleepClock()
        self._cutting: asyncio.Task[None] | None = None
        self._logs_at = 0.0

    def start(self, profile_id: str) -> Server:
        """Make sure that the profile's server runs. Raises AppError for an unusable profile."""
        task = self._task_for(profile_id)
        self._on_request.discard(profile_id)
        task.request_start()
        return task.server

    def stop(self, server_id: str, *, force: bool = False) -> Server:
        """Make sure that the server does not run; `force` kills it now. Raises AppError."""
        task = self._known(server_id)
        task.request_stop(force=force)
        return task.server

    def restart(self, server_id: str) -> Server:
        """End the server's process, if any, and start a new one. Raises AppError."""
        task = self._task_for(server_id)
        self._on_request.discard(server_id)
        task.request_restart()
        return task.server

    async def remove(self, server_id: str) -> None:
        """Forget a server that has no process. Raises AppError while it has one."""
        task = self._known(server_id)
        if task.server.state.is_active:
            raise AppError(
                f"“{task.server.name}” is {task.server.state.value}.",
                hint="Stop it first.",
                code=ErrorCode.PROFILE_IN_USE,
            )
        # Before the wait: a start meanwhile makes another task, whose server must stay.
        del self._tasks[server_id]
        self.bus.remove(task.server)
        self._budgets.pop(server_id, None)
        await task.close()
        await asyncio.to_thread(logfiles.drop_crash, task.log)

    async def settled(self, server_id: str, timeout_s: float) -> Server:
        """Return the server once it is ready, stopped or failed, or after the time-out."""
        return await self._known(server_id).settled(timeout_s)

    def log_file(self, server_id: str) -> Path:
        """Return the log of a profile's server, which may not exist yet."""
        if server_id not in self._tasks and server_id not in self.bus.profiles:
            raise _unknown_server(server_id)
        return logfiles.log_file(server_id)

    def ready(self) -> list[Upstream]:
        """Return where the gateway may send requests, the most recently started first."""
        ready = [t for t in self._tasks.values() if t.server.state.serves]
        ready.sort(key=lambda t: t.server.started_at or 0.0, reverse=True)
        return [
            Upstream(
                t.server.id, t.server.name, t.server.model, "127.0.0.1", t.server.port, t.token
            )
            for t in ready
            if t.server.port is not None
        ]

    def known(self) -> list[Served]:
        """Return every usable profile, for the gateway's list of models."""
        ready = {upstream.profile_id: upstream for upstream in self.ready()}
        return [
            Served(
                p.name, p.model, p.id in ready, self._created(p.id), p.id,
                policy_flag(p.policy, "start_on_request"),
            )
            for p in self.bus.profiles.values()
            if p.fault is None
        ]  # fmt: skip

    async def ensure(self, profile_id: str) -> Upstream:
        """Start the profile's server unless it runs, and wait until it is ready.

        Raises AppError when the start fails. A caller that stops waiting does not stop the start.
        """
        task = self._task_for(profile_id)

        def is_wanted() -> bool:
            return demand.needs_start(task.server)

        if is_wanted():
            if task.server.state is ServerState.STOPPING:
                # Its memory must be free before it can be told whether there is room again.
                await task.settled(demand.LONGEST_START_S)
            # The profile may have been deleted during that wait.
            await self._room.wait(self._usable(profile_id), is_wanted)
            if is_wanted():
                self._on_request.add(profile_id)
                task.request_start()
        server = await task.settled(demand.LONGEST_START_S)
        for upstream in self.ready():
            if upstream.profile_id == profile_id:
                return upstream
        raise demand.not_started(server)

    async def shortage(self, profile_id: str) -> str:
        """Return why a profile's server does not fit the memory now, empty when it does."""
        return await self._room.shortage(self._usable(profile_id))

    def refuse(self, profile_id: str, failure: Failure) -> None:
        """Show on the profile's tile why it is not started. Raises AppError."""
        self._task_for(profile_id).refuse(failure)

    async def plan(self, profile_id: str, context: int | None) -> StartPlan:
        """Return what a start would take of the memory now; context in tokens. Raises AppError."""
        return await self._planner.plan(self._usable(profile_id), context, self._idle)

    def evictable(self) -> tuple[str, ...]:
        """Return who may be stopped to free memory, the least recently used first.

        That is nobody whom the user started himself, unless the profile has an idle stop.
        """
        profiles = self.bus.profiles
        return tuple(
            name
            for name in self._idle()
            if name in self._on_request
            or (name in profiles and idle_stop_s(profiles[name].policy) is not None)
        )

    def ending(self) -> tuple[str, ...]:
        """Return the servers whose memory is about to come free."""
        ending = ServerState.STOPPING
        return tuple(name for name, task in self._tasks.items() if task.server.state is ending)

    def evict(self, server_id: str, reason: str) -> None:
        """Stop a server to free its memory; the reason is shown on its tile."""
        self._tasks[server_id].request_stop(reason=reason)

    def stop_idle(self) -> None:
        """Stop the servers whose profiles want that after so long without a request."""
        now = time.monotonic()
        for server_id, task in self._tasks.items():
            idle_s = task.idle_s(now)
            is_due = demand.is_idle_too_long(self.bus.profiles.get(server_id), idle_s)
            if is_due and not self.open_requests(server_id):
                _log.info("server %s was idle for %.0f min", server_id, idle_s / 60)
                task.request_stop(reason=f"Stopped after {idle_s / 60:.0f} min without a request.")

    async def close(self) -> None:
        """Stop all servers at the same time and wait until their processes are gone."""
        self._is_closing = True
        for task in self._tasks.values():
            task.request_stop()
        waits = [task.settled(task.patience_s + _SLACK_S) for task in self._tasks.values()]
        await asyncio.gather(*waits)
        await asyncio.gather(*(task.close() for task in self._tasks.values()))
        self._tasks.clear()
        if self._cutting is not None:
            await self._cutting

    def tick(self, now: float, machine: MachineSample, values: dict[str, SampleValues]) -> None:
        """Look after all servers with the figures of this second; `now` is monotonic."""
        self._room.look()
        woke = self._clock.has_jumped(now, time.time())
        if woke:
            _log.info("the clocks jumped, probably after sleep; silence does not count for a while")
        for task in tuple(self._tasks.values()):
            memory = values.get(task.server.id, {}).get("memory_bytes")
            task.tick(now, memory=memory, used=machine.memory_used_bytes, woke=woke)
        if now - self._logs_at >= _LOGS_S and (self._cutting is None or self._cutting.done()):
            self._logs_at = now
            logs = [t.log for t in self._tasks.values() if t.server.state.has_process]
            cut = asyncio.to_thread(logfiles.shorten_all, logs)
            self._cutting = asyncio.create_task(cut, name="cut-logs")

    def used_memory(self) -> int:
        """Return the machine's used memory in bytes; may block a few milliseconds."""
        return read_used_memory()

    def on_stats(self, server_id: str, stats: RunnerStats) -> None:
        """Take the figures that a runner reports."""
        self._sampler.put_stats(server_id, stats, time.monotonic())

    def on_process(self) -> None:
        """Measure the processes that there are now."""
        self._sampler.set_targets(self._targets())
        self._room.look()

    def on_gpu_limit(self, limit_bytes: int) -> None:
        """Take what Metal lets the GPU use, which only a process with MLX can tell."""
        info = self.bus.info
        if not 0 < limit_bytes <= info.machine.memory_bytes:
            # A wrong one would let starts through that freeze the machine, or refuse all.
            _log.warning("a server says that the GPU may use %d bytes; ignored", limit_bytes)
            return
        machine = msgspec.structs.replace(info.machine, gpu_limit_bytes=limit_bytes, has_gpu=True)
        self.bus.put_info(msgspec.structs.replace(info, machine=machine))

    async def admit(self, profile: Profile, launch: Launch) -> Launch:
        """Make what room there is to make for a start, and return the launch with limits."""
        task = self._tasks.get(profile.id)

        def is_wanted() -> bool:
            return task is not None and task.server.state is ServerState.STARTING

        await self._room.make(profile, launch.weights_bytes, is_wanted)
        return self.within_budget(profile, launch)

    def within_budget(self, profile: Profile, launch: Launch) -> Launch:
        """Return the launch with limits, so that all servers together fit what the GPU may wire."""
        planned = self._budgets[profile.id] = self._plan(profile, launch.weights_bytes)
        has_gpu = self.bus.info.machine.has_gpu
        level = logging.WARNING if planned.is_short and has_gpu else logging.INFO
        _log.log(level, "server %s %s", profile.id, planned)
        more = budget.arguments(profile, self.runtimes[profile.runtime].info, planned)
        return msgspec.structs.replace(
            launch, argv=[*launch.argv, *more], env=launch.env | budget.environment(planned)
        )

    def bounds(self, profile_id: str) -> Callable[[Profile, int], Profile]:
        """Return what gives a profile with so many bytes of weights the bounds of a start now.

        It may be called in any thread.
        """
        limit, held = self._shares(profile_id)

        def bound(profile: Profile, weights_bytes: int) -> Profile:
            own = budget.prompts_of(profile)
            planned = budget.plan(weights=weights_bytes, limit=limit, held=held, prompts=own)
            return budget.bounded(profile, planned)

        return bound

    def _plan(self, profile: Profile, weights_bytes: int) -> budget.Budget:
        limit, held = self._shares(profile.id)
        own = budget.prompts_of(profile)
        return budget.plan(weights=weights_bytes, limit=limit, held=held, prompts=own)

    def _shares(self, profile_id: str) -> tuple[int, int]:
        """Return what all servers share, and what others than this one hold of it, in bytes."""
        others = [
            self._budgets[name].wired
            for name, task in self._tasks.items()
            if name != profile_id and name in self._budgets and task.server.state.has_process
        ]
        foreign = [server.memory_bytes or 0 for server in self.bus.foreign.values()]
        return budget.shared_limit(self.bus.info.machine), sum(others) + sum(foreign)

    def _targets(self) -> dict[str, Target]:
        return {
            task.server.id: Target(task.server.pid, task.server.started_at)
            for task in self._tasks.values()
            if task.server.pid is not None and task.server.started_at is not None
        }

    def _idle(self) -> tuple[str, ...]:
        """Return the unpinned ready servers without a request, the least recently used first."""
        now, profiles = time.monotonic(), self.bus.profiles
        idle = [
            (-task.idle_s(now), name)
            for name, task in self._tasks.items()
            if task.server.state is ServerState.READY and not self.open_requests(name)
        ]
        return tuple(
            name
            for _, name in sorted(idle)
            if not (name in profiles and policy_flag(profiles[name].policy, "pinned"))
        )

    def _task_for(self, profile_id: str) -> ServerTask:
        if self._is_closing:
            raise AppError("The engine is about to end.", code=ErrorCode.ENGINE_GONE)
        profile = self._usable(profile_id)
        task = self._tasks.get(profile_id)
        if task is None:
            log = logfiles.log_file(profile_id)
            task = self._tasks[profile_id] = ServerTask(profile, self, log)
        return task

    def _usable(self, profile_id: str) -> Profile:
        profile = self.bus.profiles.get(profile_id)
        if profile is None:
            raise AppError(
                f"There is no profile “{profile_id}”.",
                hint="It may have been deleted or renamed.",
                code=ErrorCode.NOT_FOUND,
            )
        if profile.fault is not None:
            where = f" (line {profile.fault.line})" if profile.fault.line else ""
            raise AppError(
                f"“{profile.name}” cannot be started: {profile.fault.message}{where}",
                hint="Repair the profile's file first.",
                code=ErrorCode.PROFILE_BROKEN,
            )
        return profile

    def _known(self, server_id: str) -> ServerTask:
        task = self._tasks.get(server_id)
        if task is None:
            raise _unknown_server(server_id)
        return task

    def _created(self, profile_id: str) -> float:
        task = self._tasks.get(profile_id)
        return (task.server.started_at or 0.0) if task is not None else 0.0


def _unknown_server(server_id: str) -> AppError:
    return AppError(
        f"There is no server “{server_id}”.",
        hint="mlxm status shows all servers.",
        code=ErrorCode.NOT_FOUND,
    )
