"""One engine: its parts, put together, opened and closed in order."""

import asyncio
import errno
import gc
import logging
import math
import os
import socket
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import msgspec

from app import __version__, files, paths
from app.engine import listen
from app.engine.access import Access
from app.engine.announce import Announcement
from app.engine.awake import KeepAwake
from app.engine.bus import TICK_SLACK_S, Bus
from app.engine.downloads import Downloads
from app.engine.endless import keep_going
from app.engine.foreign import ForeignServers
from app.engine.history import History
from app.engine.http.app import make_app
from app.engine.http.server import ControlServer
from app.engine.http.state import State
from app.engine.hub import Hub
from app.engine.keys import NamedKeys
from app.engine.library import Library, split_folders
from app.engine.memory import Memory
from app.engine.ports import Ports
from app.engine.profiles import DEMO_ID, Profiles, ProfileStore, predecessor
from app.engine.readers.machine import read_machine
from app.engine.runtimes import all_runtimes
from app.engine.sampler import Sampler
from app.engine.settings import EngineSettings
from app.engine.supervisor import Supervisor, logfiles, runfile
from app.engine.supervisor.autostart import start_marked
from app.engine.supervisor.planner import Planner
from app.engine.troubles import Troubles
from app.gateway import Gateway
from app.throttle import Throttle
from app.wire import API_VERSION
from app.wire.errors import AppError, ErrorCode
from app.wire.events import MachineSample, SampleValues
from app.wire.nouns import EngineInfo, Model, ServerState

_log = logging.getLogger("engine")
_TICK_S = 1.0
_LOOK_S = 5.0
"""How often the folders of models are looked at for a change; a look takes milliseconds."""
_HOME_LOOK_S = 2.0
_LOG_BYTES = 200_000_000
_LOG_AGE_S = 14 * 86_400.0


class EngineOptions(msgspec.Struct, frozen=True):
    """How an engine was asked to run."""

    owned: bool
    port: int
    gateway_port: int
    key: str | None
    """Keys of the environment, separated by commas."""
    owner_key: str | None = None
    """The key of the app that started this engine."""
    last_end: str = ""
    """That the last engine did not end in order, in words; the log has it already."""


class Engine:
    """The engine's parts. `open` binds and starts them, `close` ends them."""

    def __init__(self, options: EngineOptions, settings: EngineSettings) -> None:
        self._options = options
        self._settings = settings
        self._access = Access(
            NamedKeys(paths.home() / "api-keys.json"),
            settings,
            key_text=options.key,
            owner_key=options.owner_key,
        )
        self._throttle = Throttle(time.monotonic)
        runtimes = self._runtimes = all_runtimes(lambda: settings.text("python"))
        machine = read_machine()
        # Not Path.expanduser, which raises for a user that does not exist.
        cache = os.path.expanduser(settings.text("hub_cache"))  # noqa: PTH111
        self._cache = Path(cache) if cache else paths.hub_cache()
        self._sampler = Sampler(machine.memory_bytes)
        self._bus = Bus(
            EngineInfo(
                version=__version__, api_version=API_VERSION, pid=os.getpid(), url="",
                gateway_url="", gateway_note="", started_at=time.time(), home=str(paths.home()),
                log=str(paths.logs() / "engine.log"), key_required=self._access.needs_key,
                open_bind=False, machine=machine,
                runtimes=tuple(r.info for r in runtimes.values()), capabilities=_capabilities(),
                last_end=options.last_end,
            )
        )  # fmt: skip
        self._troubles = Troubles(self._bus)
        self._profiles = Profiles(
            ProfileStore(runtimes), self._bus, lambda: settings.flag("show_demo")
        )
        self._memory = Memory(self._bus)
        self._publish_settings()
        self._hub = Hub(self._bus, self._memory)
        planner = Planner(self._bus, self._memory, self._cache, self._hub)
        self._supervisor = Supervisor(
            self._bus, runtimes, self._sampler, self._cache, planner=planner
        )
        self._foreign = ForeignServers(self._bus)
        self._awake = KeepAwake(self._bus, lambda: settings.flag("keep_awake"))
        self._library = Library(
            self._cache,
            folders=lambda: split_folders(settings.text("model_folders")),
            looks_elsewhere=lambda: settings.flag("other_libraries"),
            demo=paths.demo_model(),
        )
        self._downloads = Downloads(
            self._bus,
            self._cache,
            at_once=lambda: settings.number("downloads_at_once"),
            bytes_per_s=lambda: settings.number("download_limit") * 1000.0,
            hours=lambda: settings.text("download_hours"),
        )
        self._gateway = Gateway(
            self._supervisor,
            self._access.public,
            throttle=self._throttle,
            requests_per_server=lambda: settings.number("requests_per_server"),
            keep_texts=lambda: self._history.put_texts if settings.flag("record_texts") else None,
        )
        self._ports = Ports(self._bus, self._gateway)
        self._supervisor.open_requests = self._gateway.ledger.open_requests
        self._history = History(
            paths.history_file(), days=lambda: settings.number("request_log_days")
        )
        self._models_known = asyncio.Event()
        self._announcement = Announcement()
        self._host = "127.0.0.1"
        self.own_url = ""
        """Where programs of this computer reach it; known once it is open."""
        self._http: ControlServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def info(self) -> EngineInfo:
        """The engine's facts."""
        return self._bus.info

    def tell(self, sentence: str) -> None:
        """Publish what is wrong around the engine."""
        self._troubles.tell(sentence)

    async def open(self) -> None:
        """Load what is on disk, bind both ports and start to measure. Raises AppError."""
        await asyncio.to_thread(runfile.reap_leftovers)
        for folder in (paths.home(), paths.run(), *paths.backups().glob("*/")):
            files.sweep_temporaries(folder)
        files.sweep_logs(paths.logs() / "servers", max_bytes=_LOG_BYTES, max_age_s=_LOG_AGE_S)
        await self._refresh_runtimes()
        await self._profiles.load()
        await asyncio.to_thread(logfiles.sweep, set(self._bus.profiles))
        self._gateway.ledger.follow_on(await self._history.open(), self._history.put_request)
        host, note = self._listen_host()
        self._host = host
        control = listen.bind("127.0.0.1" if self._options.owned else host, self._options.port)
        try:
            gateway_url, gateway_note = await self._open_gateway(host)
        except BaseException:
            control.close()
            raise
        self.own_url = listen.url_of(control.getsockname(), is_here=True)
        for problem in filter(None, (note, gateway_note)):
            _log.warning("%s", problem)
        self._bus.put_info(
            msgspec.structs.replace(
                self._bus.info,
                url=listen.url_of(control.getsockname()),
                gateway_url=gateway_url,
                gateway_note=" ".join(filter(None, (note, gateway_note))),
                open_bind=not listen.is_loopback(host) and not self._access.needs_key,
            )
        )
        await self._ports.follow(time.monotonic())
        self._access.on_change = self._apply_access
        last = await asyncio.to_thread(self._library.last)
        self._show_models(await self._downloads.disk.open(last))
        await self._downloads.open()
        self._troubles.tell(*self._settings.problems, self._access.problem, self._downloads.problem)
        self._troubles.tell(self._history.problem, is_logged=True)
        await self._serve(control)
        is_reached = not (self._options.owned or listen.is_loopback(host))
        if is_reached and self._settings.flag("announce"):
            port = control.getsockname()[1]
            self._spawn(self._announcement.open(self._bus.info, host, port), "announce")
        for work, name in (
            (self._measure, "measure"),
            (self._watch_home, "home"),
            (self._follow_models, "models"),
            (self._profiles.follow, "profiles"),
            (self._foreign.follow, "foreign"),
            (self._history.follow, "history"),
        ):
            self._spawn(keep_going(work, name), name)
        self._spawn(start_marked(self._supervisor), "autostart")
        # Else every full collection walks through all that was imported: 12 ms, for which no event
        # of a stream goes on.
        gc.collect()
        gc.freeze()

    async def close(self) -> None:
        """Stop the servers, then everything else."""
        work = self._tasks - {self._serving}
        for task in work:
            task.cancel()
        await self._announcement.close()
        await self._gateway.close()
        await self._history.close()
        await self._downloads.close()
        await self._supervisor.close()
        await self._awake.close()
        await self._library.close()
        await self._hub.close()
        # The last to go, so that front ends see the servers end.
        self._bus.close()
        if self._http is not None:
            self._http.should_exit = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _apply_access(self) -> None:
        info, policy = self._bus.info, self._access.public
        is_stricter = self._access.needs_key and policy.keys != self._gateway.policy.keys
        self._gateway.policy = policy
        is_open = not listen.is_loopback(self._host) and not self._access.needs_key
        now = msgspec.structs.replace(info, key_required=self._access.needs_key, open_bind=is_open)
        if now != info:
            self._bus.put_info(now)
        if is_stricter:
            # Whoever reads the event stream must come back with a key that is still good.
            self._bus.close()

    async def _apply_settings(self) -> None:
        self._access.refresh()
        await self._refresh_runtimes()
        await self._profiles.load()
        self._downloads.apply_settings()
        self._publish_settings()
        self._rescan()

    def _publish_settings(self) -> None:
        self._memory.budget = self._settings.text("memory_budget")
        limit = self._memory.limit_bytes()
        self._bus.put_info(
            msgspec.structs.replace(
                self._bus.info,
                memory_limit_bytes=limit,
                records_texts=self._settings.flag("record_texts"),
            )
        )

    async def _refresh_runtimes(self) -> None:
        for runtime in self._runtimes.values():
            await asyncio.to_thread(runtime.refresh)
        infos = tuple(runtime.info for runtime in self._runtimes.values())
        self._settings.notes["python"] = " ".join(info.text for info in infos)
        self._bus.put_info(
            msgspec.structs.replace(
                self._bus.info, runtimes=infos, new_policy=self._settings.new_policy()
            )
        )

    def _listen_host(self) -> tuple[str, str]:
        """Return the address to listen on, and why it is not the one that was asked for."""
        host = self._settings.text("host") or "127.0.0.1"
        if listen.is_loopback(host) or self._access.needs_key:
            return host, ""
        if self._settings.flag("allow_open_network"):
            return host, f"Everybody who reaches {host} can use this engine: there is no API key."
        sentence = f"Listening on {host} needs an API key (MLX_MANAGER_API_KEY)."
        if self._options.owned:
            return "127.0.0.1", f"{sentence} Only this computer is served."
        raise AppError(
            sentence,
            hint="Set the key, or pass --allow-open-network to let everybody in.",
            code=ErrorCode.BAD_REQUEST,
        )

    async def _open_gateway(self, host: str) -> tuple[str, str]:
        port = self._options.gateway_port
        try:
            return listen.url_of(await self._gateway.start(host, port)), ""
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port:
                holder = listen.holder(port)
                note = f"Port {port} is taken by {holder}, so the gateway uses another port."
            elif self._options.owned and not listen.is_loopback(host):
                # The app must come up, or nobody could correct the setting.
                note = f"{host} is no address of this computer. Only this computer is served."
                host = "127.0.0.1"
            else:
                raise listen.cannot_listen(host, port, error) from error
        try:
            return listen.url_of(await self._gateway.start(host, 0)), note
        except OSError as error:
            raise listen.cannot_listen(host, 0, error) from error

    async def _serve(self, control: socket.socket) -> None:
        state = State(
            self._bus, self._profiles, self._settings, self._supervisor,
            self._downloads, self._foreign, self._hub, self._access, self._gateway.ledger,
            self._history, self._throttle, self._rescan, self._models_known, self._apply_settings,
        )  # fmt: skip
        app = make_app(state)
        await app.warm()
        self._http = ControlServer(app)
        self._serving = self._spawn(self._http.serve([control]), "http")
        await self._http.starts.wait()
        if not self._http.started:
            raise AppError("The control API could not be served.", hint="The log has the details.")

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        sampled_at = -math.inf
        machine, values = MachineSample(0, 0, None), dict[str, SampleValues]()
        while True:
            # What looks into processes costs most, and is not wanted each second by night.
            if time.monotonic() - sampled_at >= self._pace_s() - TICK_SLACK_S:
                sampled_at = time.monotonic()
                machine, values = await self._sample(sampled_at)
            self._supervisor.tick(time.monotonic(), machine, values)
            self._supervisor.stop_idle()
            await self._ports.follow(time.monotonic())
            self._troubles.tell(self._history.problem, is_logged=True)
            await self._awake.tick(time.monotonic(), values)
            due = max(due + _TICK_S, loop.time())
            await asyncio.sleep(due - loop.time())

    def _pace_s(self) -> float:
        states = {server.state for server in self._bus.servers.values()}
        is_moving = not states.isdisjoint((ServerState.STARTING, ServerState.STOPPING))
        return _TICK_S if is_moving else self._bus.pace_s()

    async def _sample(self, now: float) -> tuple[MachineSample, dict[str, SampleValues]]:
        machine, values = await asyncio.to_thread(self._sampler.tick, now)
        ledger = self._gateway.ledger
        values = {name: ledger.figures(name, sampled) for name, sampled in values.items()}
        self._bus.sample(machine, values)
        self._history.put_samples(time.time(), values)
        self._memory.put_samples(values)
        return machine, values

    async def _watch_home(self) -> None:
        while True:
            self._troubles.follow("home", await asyncio.to_thread(files.lost_home))
            await asyncio.sleep(_HOME_LOOK_S)

    async def _follow_models(self) -> None:
        seen: int | None = None
        while True:
            changed = await self._library.look()
            if changed != seen:
                seen = changed
                await self._scan()
            await asyncio.sleep(_LOOK_S)

    def _rescan(self) -> None:
        self._spawn(self._scan(), "scan")

    async def _scan(self) -> None:
        try:
            result = await self._library.scan()
        except AppError as error:
            _log.warning("%s", error.message)
        else:
            self._show_models(self._downloads.disk.merge(result, since=self._library.began))
        self._models_known.set()

    def _show_models(self, models: Iterable[Model]) -> None:
        show_demo = self._settings.flag("show_demo")
        self._bus.replace_models(m for m in models if show_demo or m.id != DEMO_ID)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the task %s failed", task.get_name(), exc_info=error)


def _capabilities() -> tuple[str, ...]:
    return ("local_disk", "predecessor") if predecessor.database() else ("local_disk",)
