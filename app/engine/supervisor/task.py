"""One server: its state, and the task that takes it from start to end."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import msgspec

from app.engine.supervisor import (
    backoff,
    logfiles,
    pending,
    preflight,
    probe,
    reasons,
    release,
    states,
)
from app.engine.supervisor.clock import AwakeTimer
from app.engine.supervisor.context import Context
from app.engine.supervisor.life import Life
from app.engine.supervisor.order import make_order
from app.engine.supervisor.watchdog import Verdict, Watchdog
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
)
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Failure, Phase, Profile, Server, ServerState
from app.wire.policy import policy_flag

_log = logging.getLogger("server")


class ServerTask:
    """The only writer of one server's state. All methods belong to the engine's loop."""

    def __init__(self, profile: Profile, context: Context, log: Path) -> None:
        self._context = context
        self._profile = profile
        self._python = ""
        self.log = log
        self.token = ""
        self.server = Server(
            profile.id, profile.name, profile.model, ServerState.STOPPED, time.time()
        )
        self._life: Life | None = None
        self._wanted = False
        self._ending = False
        self._problem: Failure | None = None
        self._loaded = False
        self._memory = 0
        self._used_before = 0
        self._free_before: float | None = None
        """Share of the machine's memory, at the last look while the process lived."""
        self._watchdog = Watchdog(time.monotonic(), patience_s=context.patience_s)
        self._ready_since: float | None = None
        self._retry_at = 0.0
        self._budget = backoff.RestartBudget()
        self._probe = probe.IdleProbe(profile.id)
        self._wake = asyncio.Event()
        self._transition = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"server-{profile.id}")

    def request_start(self) -> None:
        """Make sure that it runs: starts it unless it does, or after a stop that is under way."""
        self._wanted = True
        self._budget.clear()
        if not self.server.state.has_process:
            self._become(ServerState.STARTING, phase=Phase.SPAWNING, failure=None, stop_reason="")
            self._wake.set()

    def refuse(self, failure: Failure) -> None:
        """Say on its tile why it is not started, unless something goes on already."""
        if not self.server.state.is_active:
            self._fail(failure)

    def request_stop(self, *, force: bool = False, reason: str = "") -> None:
        """Make sure that it does not run; a start that is under way is given up.

        `force` kills the process now, whatever it holds. `reason` is for the tile.
        """
        self._wanted = False
        if self.server.state is ServerState.BACKING_OFF:
            self._become(ServerState.STOPPED, failure=None)
            self._wake.set()
        self._end_life(0.0 if force else None, reason)

    def request_restart(self) -> None:
        """End the process if there is one, then start a new one."""
        if self.server.state.has_process:
            self._wanted = True
            self._end_life(None)
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

    def idle_s(self, now: float) -> float:
        """Return for how long it has been ready without a request; `now` is monotonic."""
        is_idle = self.server.state is ServerState.READY
        return now - self._watchdog.active_at if is_idle else 0.0

    @property
    def patience_s(self) -> float:
        """How long its process may take to end by itself."""
        return preflight.grace_s(self._memory)

    async def close(self) -> None:
        """End the task. A process that still lives is ended by its guard."""
        self._task.cancel()
        self._probe.close()
        await asyncio.gather(self._task, return_exceptions=True)

    def tick(self, now: float, *, memory: float | None, used: int, woke: bool) -> None:
        """Look after the server once a second.

        `now` is monotonic, `memory` the process group's and `used` the machine's, in bytes;
        `woke` tells that the computer has just come back from sleep.
        """
        if woke:
            self._watchdog.forgive(now)
        held = self.server.held_bytes
        if self.server.state is ServerState.STOPPING and held and memory is not None:
            less_used = self._used_before - used
            self._tell_released(release.while_ending(held, held - int(memory), less_used))
        if self.server.state is ServerState.STARTING or self.server.state.serves:
            self._memory, self._used_before = int(memory or 0), used
            self._free_before = self._free_share(used)
        self._profile, fields = pending.follow(
            self._profile, self.server, self._context, self._python
        )
        self._update(**fields)
        if self.server.phase is Phase.LOADING and self._life is not None:
            self._update(progress=self._life.loaded_share(self._memory))
        if not self.server.state.serves:
            return
        verdict = self._watchdog.verdict(now)
        self._show(verdict, now)
        is_idle = verdict is Verdict.IDLE and self.server.state is ServerState.READY
        if is_idle and self.server.port and policy_flag(self._profile.policy, "idle_probe"):
            self._probe.ask_if_due(now, self._watchdog, self.server.port, self.token)

    def _free_share(self, used: int) -> float:
        """Return how much of the memory is free, without what a load is about to take."""
        if self.server.state is ServerState.STARTING and self._life is not None:
            used += self._life.unloaded_bytes(self._memory)
        return 1 - used / self._context.bus.info.machine.memory_bytes

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._wanted:
                    await self._live()
                    await self._back_off()
            except Exception:  # noqa: BLE001 - server task
                _log.exception("server %s: the supervisor failed", self.server.id)
                self._wanted = False
                if ServerState.FAILED in states.TRANSITIONS[self.server.state]:
                    self._fail(reasons.bug())
            if self.server.state.is_active:
                self._become(ServerState.STOPPED, phase=None)

    async def _live(self) -> None:
        """Run one process from start to end."""
        self._ending = self._loaded = False
        self._problem = self._ready_since = self._free_before = None
        try:
            order = await asyncio.to_thread(make_order, self.server, self.log, self._context)
            self._profile, self.token, self._python = order.profile, order.token, order.python
            launch = await self._context.admit(order.profile, order.launch)
            if not self._wanted:
                return
            life = await Life.begin(launch, self._take)
        except AppError as error:
            self._fail(reasons.from_error(error))
            return
        except OSError as error:
            self._fail(reasons.from_os_error(error))
            return
        if not self._wanted:
            await life.drop()
            return
        self._life = life
        self._ending = False
        self._become(
            ServerState.STARTING, phase=Phase.SPAWNING, failure=None, name=self._profile.name,
            model=self._profile.model, started_at=time.time(), ready_at=None, pid=None, port=None,
            progress=None, next_try_at=None, held_bytes=None, released_bytes=None, pending=(),
        )  # fmt: skip
        timer = AwakeTimer(order.deadline_s, self._give_up_start)
        try:
            await life.run()
        finally:
            timer.cancel()
            self._life = None
        await self._prove_release()
        if self._ending:
            await asyncio.to_thread(logfiles.end_clean, self.log)
            self._conclude_stop()
        else:
            self._conclude_crash(await asyncio.to_thread(self._why, life.exit))

    def _take(self, event: ChildEvent) -> None:
        match event:
            case Spawned() | Importing() | Loading() | Listening() | Loaded():
                self._advance(event)
            case RunnerStats():
                self._watchdog.report(event, time.monotonic())
                self._context.on_stats(self.server.id, event)
            case RunnerFailed(stage=stage, error=error):
                runtime = self._context.runtimes[self._profile.runtime]
                self._problem = runtime.explain(stage, error, self._profile)
            case SpawnFailed(error=error):
                self._problem = Failure(
                    ErrorCode.SERVER_CRASHED, f"The server could not be started: {error}."
                )
            case Exited():
                pass

    def _advance(self, event: Spawned | Importing | Loading | Listening | Loaded) -> None:
        if self.server.state not in (ServerState.STARTING, ServerState.STOPPING):
            # A server that is up has no more phases, whatever it writes.
            return
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
            now = self._ready_since = time.monotonic()
            self._watchdog = Watchdog(now, patience_s=self._context.patience_s)
            self._become(ServerState.READY, phase=None, ready_at=time.time())
            seconds = time.time() - (server.started_at or time.time())
            _log.info("server %s ready in %.1f s on port %s", server.id, seconds, server.port)

    def _show(self, verdict: Verdict, now: float) -> None:
        shown = {
            Verdict.IDLE: ServerState.READY,
            Verdict.BUSY: ServerState.BUSY,
            Verdict.STALLED: ServerState.STALLED,
        }[verdict]
        if shown is self.server.state:
            return
        if verdict is not Verdict.STALLED:
            self._become(shown, failure=None)
            return
        failure = reasons.stalled(self.server.name, self._watchdog.silent_s(now))
        _log.warning("server %s: %s", self.server.id, failure.message)
        self._become(shown, failure=failure)
        if policy_flag(self._profile.policy, "restart_stalled") and self._life is not None:
            self._problem = failure
            self._become(ServerState.STOPPING, held_bytes=self._memory or None)
            self._life.stop(self.patience_s)

    def _end_life(self, patience_s: float | None, reason: str = "") -> None:
        if not self.server.state.has_process:
            return
        self._ending = True
        if self.server.state is not ServerState.STOPPING:
            held = self._memory or None
            self._become(ServerState.STOPPING, phase=None, held_bytes=held, stop_reason=reason)
        if self._life is not None:
            self._life.stop(self.patience_s if patience_s is None else patience_s)

    def _give_up_start(self) -> None:
        if self.server.state is ServerState.STARTING and self._life is not None:
            self._problem = Failure(
                ErrorCode.START_TIMEOUT,
                f"“{self.server.name}” did not become ready in time.",
                "The log may tell what it waits for. Start it again, or choose a smaller model.",
            )
            self._life.stop(preflight.grace_s(0))

    async def _prove_release(self) -> None:
        """Let a stop count as done only when port and memory have come back."""
        port, held = self.server.port, self.server.held_bytes
        if port is not None and not await release.port_is_free(port):
            _log.warning("server %s is gone, but its port %d is still held", self.server.id, port)
        if held:
            released = await release.memory_released(
                held, self._used_before, self._context.used_memory, self._tell_released
            )
            _log.info("server %s released %d of %d bytes", self.server.id, released, held)
        self._memory = 0

    def _tell_released(self, released: int) -> None:
        # Other programs take memory meanwhile; what has come back once has come back.
        released = max(released, self.server.released_bytes or 0)
        if released != self.server.released_bytes:
            self._update(released_bytes=released)

    def _conclude_stop(self) -> None:
        self._update(pid=None, port=None)
        if self._wanted:
            self._become(
                ServerState.STARTING, phase=Phase.SPAWNING, restarts=self.server.restarts + 1
            )

    def _why(self, end: Exited | None) -> Failure:
        """Return why it ended, and keep its log. Blocks for some milliseconds."""
        logfiles.keep_crash(self.log)
        if self._problem is not None:
            return reasons.with_log(self._problem, self.log)
        return reasons.from_exit(end, self.log, self._free_before)

    def _conclude_crash(self, failure: Failure) -> None:
        if self._ending:
            # Stopped or restarted by the user while its log was read.
            self._conclude_stop()
            return
        if not self._may_restart(failure):
            self._fail(failure)
            return
        now = time.monotonic()
        ready_for_s = now - self._ready_since if self._ready_since is not None else 0.0
        delay_s = self._budget.next_delay_s(now, ready_for_s=ready_for_s)
        if delay_s is None:
            self._fail(reasons.gave_up(failure, self._budget.used))
            return
        _log.warning("server %s: %s Next try in %.0f s.", self.server.id, failure.message, delay_s)
        self._retry_at = asyncio.get_running_loop().time() + delay_s
        self._become(
            ServerState.BACKING_OFF, phase=None, failure=failure, pid=None, port=None,
            next_try_at=time.time() + delay_s,
        )  # fmt: skip

    def _may_restart(self, failure: Failure) -> bool:
        if not self._wanted or not backoff.is_wanted(self._profile.policy, failure):
            return False
        # Twice in a row not even ready: more of the same.
        return self._ready_since is not None or not self._budget.used

    async def _back_off(self) -> None:
        """Wait for the next try, a start or a stop by the user, whichever comes first."""
        if self.server.state is not ServerState.BACKING_OFF:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._retry_at):
                await self._wake.wait()
        self._wake.clear()
        # The user may have decided in the moment in which the time was over.
        if self.server.state is ServerState.BACKING_OFF:
            self._become(
                ServerState.STARTING, phase=Phase.SPAWNING, restarts=self.server.restarts + 1
            )

    def _fail(self, failure: Failure) -> None:
        self._wanted = False
        _log.warning("server %s failed: %s", self.server.id, failure.message)
        self._become(ServerState.FAILED, phase=None, failure=failure, pid=None, port=None)

    def _become(self, state: ServerState, **fields: Any) -> None:
        if state is not self.server.state:
            states.check(self.server.state, state)
        self._update(state=state, state_since=time.time(), **fields)
        _log.info("server %s is %s", self.server.id, state.value)
        self._transition.set()
        self._transition = asyncio.Event()

    def _update(self, **fields: Any) -> None:
        self.server = msgspec.structs.replace(self.server, **fields)
        if "pid" in fields:
            self._context.on_process()
        self._context.bus.put(self.server)
