"""One engine: its parts, put together, opened and closed in order."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
import time
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import uvicorn

from app import __version__, files, paths
from app.engine.awake import KeepAwake
from app.engine.bus import Bus
from app.engine.downloads import Downloads
from app.engine.foreign import ForeignServers
from app.engine.http.app import make_app
from app.engine.http.state import State
from app.engine.hub import Hub
from app.engine.library import Library
from app.engine.profiles import DEMO_ID, Profiles, ProfileStore
from app.engine.readers.machine import read_machine
from app.engine.runtimes import all_runtimes
from app.engine.sampler import Sampler
from app.engine.settings import EngineSettings
from app.engine.supervisor import Supervisor, logfiles, runfile
from app.gate import Policy
from app.gateway import Gateway
from app.throttle import Throttle
from app.wire import API_VERSION
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import EngineInfo

_log = logging.getLogger("engine")
_TICK_S = 1.0
_LOOK_S = 10.0
"""How often the model folder is looked at for a change; a look is one stat call."""
_BACKLOG = 128
_LOG_BYTES = 200_000_000
_LOG_AGE_S = 14 * 86_400.0


class EngineOptions(msgspec.Struct, frozen=True):
    """How an engine was asked to run."""

    owned: bool
    port: int
    gateway_port: int
    key: str | None


class Engine:
    """The engine's parts. `open` binds and starts them, `close` ends them."""

    def __init__(self, options: EngineOptions, settings: EngineSettings) -> None:
        self._options = options
        self._settings = settings
        self._policy = Policy.from_key_text(options.key)
        self._throttle = Throttle(time.monotonic)
        runtimes = all_runtimes()
        machine = read_machine()
        # Not Path.expanduser, which raises for a user that does not exist.
        cache = os.path.expanduser(settings.text("hub_cache"))  # noqa: PTH111
        self._cache = Path(cache) if cache else paths.hub_cache()
        self._sampler = Sampler(machine.memory_bytes)
        self._bus = Bus(
            EngineInfo(
                version=__version__, api_version=API_VERSION, pid=os.getpid(), url="",
                gateway_url="", gateway_note="", started_at=time.time(), home=str(paths.home()),
                log=str(paths.logs() / "engine.log"), key_required=bool(self._policy.keys),
                open_bind=False, machine=machine,
                runtimes=tuple(r.info for r in runtimes.values()), capabilities=("local_disk",),
            )
        )  # fmt: skip
        self._profiles = Profiles(
            ProfileStore(runtimes), self._bus, lambda: settings.flag("show_demo")
        )
        self._supervisor = Supervisor(self._bus, runtimes, self._sampler, self._cache)
        self._foreign = ForeignServers(self._bus)
        self._hub = Hub(self._bus)
        self._awake = KeepAwake(self._bus, lambda: settings.flag("keep_awake"))
        self._library = Library(self._cache, demo=paths.demo_model())
        self._downloads = Downloads(
            self._bus,
            self._cache,
            at_once=lambda: settings.number("downloads_at_once"),
            bytes_per_s=lambda: settings.number("download_limit") * 1000.0,
        )
        self._gateway = Gateway(
            self._supervisor,
            self._policy,
            throttle=self._throttle,
            requests_per_server=lambda: settings.number("requests_per_server"),
        )
        self._http: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def info(self) -> EngineInfo:
        """The engine's facts."""
        return self._bus.info

    async def open(self) -> None:
        """Load what is on disk, bind both ports and start to measure. Raises AppError."""
        await asyncio.to_thread(runfile.reap_leftovers)
        files.sweep_logs(paths.logs() / "servers", max_bytes=_LOG_BYTES, max_age_s=_LOG_AGE_S)
        await self._profiles.load()
        await asyncio.to_thread(logfiles.sweep, set(self._bus.profiles))
        host, note = self._listen_host()
        control = _bind("127.0.0.1" if self._options.owned else host, self._options.port)
        try:
            gateway_url, gateway_note = await self._open_gateway(host)
        except BaseException:
            control.close()
            raise
        for problem in (*self._settings.problems, note, gateway_note):
            if problem:
                _log.warning("%s", problem)
        self._bus.put_info(
            msgspec.structs.replace(
                self._bus.info,
                url=_url(control.getsockname()),
                gateway_url=gateway_url,
                gateway_note=" ".join(filter(None, (note, gateway_note))),
                open_bind=not _is_loopback(host) and not self._policy.keys,
            )
        )
        await self._downloads.open()
        await self._serve(control)
        self._spawn(self._measure(), "measure")
        self._spawn(self._follow_models(), "models")
        self._spawn(self._profiles.follow(), "profiles")
        self._spawn(self._foreign.follow(), "foreign")

    async def close(self) -> None:
        """Stop the servers, then everything else."""
        work = self._tasks - {self._serving}
        for task in work:
            task.cancel()
        await self._gateway.close()
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

    async def _apply_settings(self) -> None:
        await self._profiles.load()
        self._downloads.apply_settings()
        self._rescan()

    def _listen_host(self) -> tuple[str, str]:
        """Return the address to listen on, and why it is not the one that was asked for."""
        host = self._settings.text("host") or "127.0.0.1"
        if _is_loopback(host) or self._policy.keys:
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
            return _url(await self._gateway.start(host, port)), ""
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port:
                note = f"Port {port} is taken by {_holder(port)}, so the gateway uses another port."
            elif self._options.owned and not _is_loopback(host):
                # The app must come up, or nobody could correct the setting.
                note = f"{host} is no address of this computer. Only this computer is served."
                host = "127.0.0.1"
            else:
                raise _cannot_listen(host, port, error) from error
        try:
            return _url(await self._gateway.start(host, 0)), note
        except OSError as error:
            raise _cannot_listen(host, 0, error) from error

    async def _serve(self, control: socket.socket) -> None:
        state = State(
            self._bus, self._profiles, self._settings, self._supervisor,
            self._downloads, self._foreign, self._hub, self._policy, self._gateway.ledger,
            self._throttle, self._rescan, self._apply_settings,
        )  # fmt: skip
        config = uvicorn.Config(
            make_app(state), log_config=None, access_log=False, lifespan="off", http="h11",
            ws="none", loop="asyncio", server_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._http = _Server(config)
        self._serving = self._spawn(self._http.serve([control]), "http")
        await self._http.starts.wait()
        if not self._http.started:
            raise AppError("The control API could not be served.", hint="The log has the details.")

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            machine, values = await asyncio.to_thread(self._sampler.tick, time.monotonic())
            for server_id, figures in values.items():
                figures.update(self._gateway.ledger.figures(server_id))
            self._supervisor.tick(time.monotonic(), machine, values)
            self._supervisor.stop_idle(self._gateway.ledger.open_requests)
            self._bus.sample(machine, values)
            self._hub.put_samples(values)
            await self._awake.tick(time.monotonic(), values)
            due = max(due + _TICK_S, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _follow_models(self) -> None:
        seen = -1.0
        while True:
            changed = await asyncio.to_thread(_changed_at, self._cache)
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
            return
        for warning in result.warnings:
            _log.warning("%s", warning)
        show_demo = self._settings.flag("show_demo")
        found = self._downloads.merge(result.models, since=self._library.began)
        self._bus.replace_models(m for m in found if show_demo or m.id != DEMO_ID)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the task %s failed", task.get_name(), exc_info=error)


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the engine and says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.starts = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve the sockets."""
        try:
            await super().startup(sockets)
        finally:
            self.starts.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0, asyncio does not set TCP_NODELAY and each call takes 44 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Now, because two sockets can be bound to one port as long as neither listens.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> AppError:
    holder = f" It is held by {_holder(port)}." if port else ""
    return AppError(
        f"{host}:{port} cannot be listened on: {error.strerror or error}.{holder}",
        hint="Choose another port, or 0 for any free one.",
        code=ErrorCode.PORT_BUSY,
    )


def _holder(port: int) -> str:
    """Return who listens on a port, as far as the system tells."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            address: Any = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port:
                if connection.pid is None:
                    break
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        # macOS shows other users' connections only to root.
        return "another program"
    return "another program"


def _url(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = address[0], address[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _changed_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
