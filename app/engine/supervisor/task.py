"""One server: its state, its process, and the task that takes it from start to end."""

import asyncio
import logging
import secrets
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec

from app import files
from app.engine.bus import Bus
from app.engine.process import Child
from app.engine.runtimes.base import Runtime
from app.engine.supervisor import preflight, reasons
from app.wire.child import (
    ChildEvent,
    Exited,
    Importing,
    Listening,
    Loaded,
    Loading,
    RunnerFailed,
    RunnerStats,
    Spawned,
    SpawnFailed,
    decode_child_event,
)
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Failure, Phase, Profile, Server, ServerState

_log = logging.getLogger("server")
GRACE_S = 10.0
"""How long a server may take to end by itself; clean stops were seen to take up to 3 s."""
_END_S = 5.0
"""How long a guard may take to end beyond the grace of its server; it takes milliseconds."""
_KEPT_LOGS = 3


class Context(Protocol):
    """What a server task needs of the engine."""

    bus: Bus
    runtimes: dict[str, Runtime]
    cache: Path

    def on_stats(self, server_id: str, stats: RunnerStats) -> None:
        """Take the figures that the runner reports."""
        ...

    def on_process(self) -> None:
        """Learn that a server has a process now, or has none any more."""
        ...

    def on_gpu_limit(self, limit_bytes: int) -> None:
        """Take what Metal lets the GPU use."""
        ...


class ServerTask:
    """The only writer of one server's state. All methods belong to the engine's loop."""

    def __init__(self, profile: Profile, context: Context, log: Path) -> None:
        self._context = context
        self.log = log
        self.token = ""
        self.server = Server(
            profile.id, profile.name, profile.model, ServerState.STOPPED, time.time()
        )
        self._child: Child | None = None
        self._wanted = False
        self._ending = False
        self._exit: Exited | None = None
        self._problem: Failure | None = None
        self._loaded = False
        self._wake = asyncio.Event()
        self._transition = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"server-{profile.id}")

    def request_start(self) -> None:
        """Make sure that it runs: starts it unless it does, or after a stop that is under way."""
        self._wanted = True
        if not self.server.state.has_process:
            self._become(ServerState.STARTING, phase=Phase.SPAWNING, failure=None)
            self._wake.set()

    def request_stop(self) -> None:
        """Make sure that it does not run; a start that is under way is given up."""
        self._wanted = False
        self._end_life()

    def request_restart(self) -> None:
        """End the process if there is one, then start a new one."""
        if self.server.state.has_process:
            self._wanted = True
            self._end_life()
        else:
            self.request_start()

    async def settled(self, timeout_s: float) -> Server:
        """Return the server once it is ready, stopped or failed, or after the time-out."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self.server.state.is_settled:
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._transition.wait(), left)
            except TimeoutError:
                break
        return self.server

    async def close(self) -> None:
        """End the task. A process that still lives is ended by its guard."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._wanted:
                    await self._live()
            except Exception:  # noqa: BLE001 - server task
                _log.exception("server %s: the supervisor failed", self.server.id)
                self._fail(Failure(ErrorCode.INTERNAL, "An error in the app ended this server."))
            if self.server.state is not ServerState.FAILED:
                self._become(ServerState.STOPPED, phase=None)

    async def _live(self) -> None:
        """Run one process from start to end."""
        self._ending = self._loaded = False
        self._exit = self._problem = None
        try:
            profile, launch, deadline_s = await asyncio.to_thread(self._prepare)
            if not self._wanted:
                return
            child = await Child.spawn("guard", stderr=self.log)
        except AppError as error:
            self._fail(reasons.from_error(error))
            return
        except OSError as error:
            self._fail(reasons.from_os_error(error))
            return
        self._child = child
        if self._wanted:
            self._ending = False
            self._become(
                ServerState.STARTING, phase=Phase.SPAWNING, failure=None, name=profile.name,
                model=profile.model, started_at=time.time(), ready_at=None, pid=None, port=None,
            )  # fmt: skip
            child.send(launch)
        timer = asyncio.get_running_loop().call_later(deadline_s, self._give_up_start)
        try:
            if self._wanted:
                await self._listen(child, profile)
        finally:
            timer.cancel()
            self._child = None
            await child.close(deadline_s=GRACE_S + _END_S if self._exit is None else _END_S)
        self._conclude()

    def _prepare(self) -> tuple[Profile, preflight.Launch, float]:
        context = self._context
        profile = context.bus.profiles.get(self.server.id)
        if profile is None or profile.fault is not None:
            raise AppError(
                f"The profile of “{self.server.name}” cannot be used any more.",
                code=ErrorCode.PROFILE_BROKEN,
            )
        folder = preflight.resolve_model(profile.model, context.bus.models, context.cache)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        files.rotate(self.log, keep=_KEPT_LOGS)
        self.token = secrets.token_urlsafe(24)
        launch = preflight.make_launch(
            profile, context.runtimes[profile.runtime], folder,
            token=self.token, log=self.log, grace_s=GRACE_S,
        )  # fmt: skip
        return profile, launch, preflight.start_deadline_s(folder)

    async def _listen(self, child: Child, profile: Profile) -> None:
        async for line in child.lines():
            try:
                event = decode_child_event(line)
            except msgspec.DecodeError:
                _log.warning("server %s: a line that is no event was ignored", self.server.id)
                continue
            self._take(event, profile)
            if self._exit is not None:
                # Not the end of the pipe: a process that left the group may hold it open.
                return

    def _take(self, event: ChildEvent, profile: Profile) -> None:
        match event:
            case Spawned() | Importing() | Loading() | Listening() | Loaded():
                self._advance(event)
            case RunnerStats():
                self._context.on_stats(self.server.id, event)
            case RunnerFailed(stage=stage, error=error):
                runtime = self._context.runtimes[profile.runtime]
                self._problem = runtime.explain(stage, error, profile)
            case SpawnFailed(error=error):
                self._problem = Failure(
                    ErrorCode.SERVER_CRASHED, f"The server could not be started: {error}."
                )
            case Exited():
                self._exit = event

    def _advance(self, event: Spawned | Importing | Loading | Listening | Loaded) -> None:
        match event:
            case Spawned(pid=pid):
                self._update(pid=pid)
            case Importing():
                self._update(phase=Phase.IMPORTING)
            case Loading():
                self._update(phase=Phase.LOADING)
            case Listening(port=port):
                self._update(port=port)
            case Loaded(gpu_limit_bytes=limit):
                self._loaded = True
                if limit is not None:
                    self._context.on_gpu_limit(limit)
        self._check_ready()

    def _check_ready(self) -> None:
        server = self.server
        is_complete = self._loaded and server.port is not None and self._problem is None
        if is_complete and server.state is ServerState.STARTING:
            self._become(ServerState.READY, phase=None, ready_at=time.time())
            seconds = time.time() - (server.started_at or time.time())
            _log.info("server %s ready in %.1f s on port %s", server.id, seconds, server.port)

    def _end_life(self) -> None:
        if not self.server.state.has_process:
            return
        self._ending = True
        if self.server.state is not ServerState.STOPPING:
            self._become(ServerState.STOPPING, phase=None)
        if self._child is not None:
            self._child.send({"stop": GRACE_S})

    def _give_up_start(self) -> None:
        if self.server.state is ServerState.STARTING and self._child is not None:
            self._problem = Failure(
                ErrorCode.START_TIMEOUT,
                f"“{self.server.name}” did not become ready in time.",
                "The log may tell what it waits for. Start it again, or choose a smaller model.",
            )
            self._child.send({"stop": GRACE_S})

    def _conclude(self) -> None:
        if self._ending:
            self._update(pid=None, port=None)
            if self._wanted:
                self._become(
                    ServerState.STARTING, phase=Phase.SPAWNING, restarts=self.server.restarts + 1
                )
        elif self._problem is not None:
            self._fail(reasons.with_log(self._problem, self.log))
        else:
            self._fail(reasons.from_exit(self._exit, self.log))

    def _fail(self, failure: Failure) -> None:
        self._wanted = False
        _log.warning("server %s failed: %s", self.server.id, failure.message)
        self._become(ServerState.FAILED, phase=None, failure=failure, pid=None, port=None)

    def _become(self, state: ServerState, **fields: Any) -> None:
        self._update(state=state, state_since=time.time(), **fields)
        _log.info("server %s is %s", self.server.id, state.value)
        self._transition.set()
        self._transition = asyncio.Event()

    def _update(self, **fields: Any) -> None:
        self.server = msgspec.structs.replace(self.server, **fields)
        if "pid" in fields:
            self._context.on_process()
        self._context.bus.put(self.server)
