"""The engine program: binds, says where it listens, and ends without leaving anything behind."""

import argparse
import asyncio
import contextlib
import faulthandler
import fcntl
import json
import logging
import os
import resource
import signal
import stat
import sys
from collections.abc import Generator
from typing import TextIO

import msgspec
import uvloop

from app import environment, files, logs, paths
from app.ending import Cause, Ending
from app.engine import takeover
from app.engine.engine import Engine, EngineOptions
from app.engine.settings import EngineSettings
from app.wire.errors import EXIT_ENGINE_RUNS, AppError, ErrorCode

_log = logging.getLogger("engine")
DAEMON_PORT = 8798
# A relayed stream takes two files. What macOS gives a program at its start is 256.
_OPEN_FILES = 4096
_INTERRUPTED = 130
KEY_VARIABLE = "MLX_MANAGER_API_KEY"


def main(argv: list[str]) -> int:
    """Run one engine until a signal, or for an owned one the end of standard input, stops it.

    Prints one JSON line when it listens. Returns 0 after an orderly end, 6 when another engine
    runs, and 1 for other trouble; trouble is told in one line on standard error.
    """
    options = _parse(argv)
    if options.end:
        return _end_running()
    try:
        logs.set_up(paths.logs() / "engine.log", to_stderr=not options.owned)
        paths.run().mkdir(parents=True, exist_ok=True)
        files.hold_home(paths.home())
    except OSError as error:
        sys.stderr.write(f"mlxm engine: {_unusable(error)}\n")
        return 1
    logs.hook_exceptions("engine")
    _raise_file_limit()
    _keep_files_from_children()
    try:
        with _one_engine_for_each_home(waits=options.wait):
            environment.adopt_file()
            if not options.owned:
                # What starts at login has no more of a shell's variables than a start from Finder.
                environment.adopt_shell()
            settings = EngineSettings(_flags(options))
            settings.export()
            logging.getLogger().setLevel(settings.text("log_level").upper())
            with _noted() as last_end, _stack_of_a_crash():
                return uvloop.run(_run(options, settings, last_end))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except AppError as error:
        _log.error("%s", error.message)
        sys.stderr.write(f"mlxm engine: {error.message} {error.hint}\n")
        if error.code is ErrorCode.ENGINE_RUNNING:
            return EXIT_ENGINE_RUNS
    except Exception as error:  # noqa: BLE001 - process entry
        _log.critical("the engine ended by an error in the program", exc_info=error)
        sys.stderr.write(f"mlxm engine: An error in the program: {error!r}.\n")
    return 1


def _end_running() -> int:
    try:
        takeover.end_running()
    except AppError as error:
        sys.stderr.write(f"mlxm engine: {error.message} {error.hint}\n")
        return 1
    return 0


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    # On Linux, -1 says that there is no limit.
    if 0 <= soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            _log.warning("no more than %d files can be open: %s", soft, error)


def _keep_files_from_children() -> None:
    # uvloop leaves to a child what its starter left to us: a lock or a pipe would outlive us.
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - open files
    except OSError as error:
        _log.warning("children get every file that this engine was given: %s", error)
        return
    for number in numbers:
        # The folder itself is closed by now.
        with contextlib.suppress(OSError):
            os.set_inheritable(number, number <= 2)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mlxm engine",
        description="Run an engine without a window until it is interrupted.",
        epilog="mlxm engine --install starts one at every login, --uninstall ends that.",
    )
    parser.add_argument(
        "--wait", action="store_true", help="if an engine runs already, wait until it has ended"
    )
    parser.add_argument(
        "--port", type=_port, help="port of the control API, 0 for any free one (default: 8798)"
    )
    parser.add_argument(
        "--gateway-port", type=_port, help="port of the gateway, 0 for any free one (default: 8799)"
    )
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--allow-open-network",
        action="store_true",
        help="allow an address beyond this computer without an API key",
    )
    parser.add_argument(
        "--end", action="store_true", help="end the engine of this home, even one that hangs"
    )
    parser.add_argument("--owned", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _port(text: str) -> int:
    number = int(text)
    if not (number == 0 or 1024 <= number <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is not 0 or a port from 1024 to 65535")
    return number


def _flags(options: argparse.Namespace) -> dict[str, bool | int | str]:
    flags: dict[str, bool | int | str] = {}
    if options.host is not None:
        flags["host"] = options.host
    if options.allow_open_network:
        flags["allow_open_network"] = True
    return flags


@contextlib.contextmanager
def _one_engine_for_each_home(*, waits: bool) -> Generator[None, None, None]:
    try:
        lock = paths.engine_lock().open("a")
    except OSError as error:
        raise AppError(_unusable(error)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waits:
                raise _already_running() from None
            sys.stderr.write(f"mlxm engine: {_already_running().message} This one waits for it.\n")
            # No handler is in place yet: a signal ends the process here as ever.
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            files.discard(paths.engine_file())


def _unusable(error: OSError) -> str:
    return f"{paths.home()} cannot be used: {error.strerror or error}."


def _already_running() -> AppError:
    where = ""
    with contextlib.suppress(OSError, ValueError, KeyError):
        facts = json.loads(paths.engine_file().read_text(encoding="utf-8"))
        where = f" at {facts['url']} (process {facts['pid']})"
    return AppError(
        f"An engine already runs for {paths.home()}{where}.",
        hint="Use it, stop it, or set MLX_MANAGER_HOME to another folder.",
        code=ErrorCode.ENGINE_RUNNING,
    )


@contextlib.contextmanager
def _noted() -> Generator[str, None, None]:
    """Note that this engine lives, and yield how the last one ended if that was bad."""
    note = Ending("engine")
    last_end = ""
    try:
        if (bad := note.begin(os.getpid())) is not None:
            how = "the computer was switched off" if bad.cause is Cause.COMPUTER else "it crashed"
            last_end = f"The engine did not end properly last time: {how} or it was killed."
            if files.is_newer(paths.engine_crash(), bad.started_at):
                last_end += f" {paths.engine_crash().name} beside its log tells where."
            _log.warning("%s That was process %d.", last_end, bad.pid)
    except OSError as error:
        _log.warning("it cannot be noted that this engine runs: %s", error)
    try:
        yield last_end
    except AppError:
        _forget(note)
        raise
    _forget(note)


@contextlib.contextmanager
def _stack_of_a_crash() -> Generator[None, None, None]:
    """Have what no handler of Python sees, such as a segmentation fault, leave its stack."""
    try:
        files.trim(paths.engine_crash())
        file = paths.engine_crash().open("a", encoding="utf-8")
    except OSError as error:
        _log.warning("the stack of a crash cannot be kept: %s", error)
        yield
        return
    with file:
        faulthandler.enable(file)
        try:
            yield
        finally:
            faulthandler.disable()


def _forget(note: Ending) -> None:
    try:
        note.end()
    except OSError as error:
        _log.warning("the note that this engine ran cannot be removed: %s", error)


async def _run(options: argparse.Namespace, settings: EngineSettings, last_end: str) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    # Taken out, so that no child can inherit it.
    key = os.environ.pop(KEY_VARIABLE, None)
    owner_key = None
    if options.owned:
        key, owner_key = await _follow_owner(stop)
    engine = Engine(
        EngineOptions(
            owned=options.owned,
            port=_first(options.port, 0 if options.owned else DAEMON_PORT),
            gateway_port=_first(options.gateway_port, settings.number("gateway_port")),
            key=key,
            owner_key=owner_key,
            last_end=last_end,
        ),
        settings,
    )
    try:
        await engine.open()
        _announce(engine, sys.stdout, is_owned=options.owned)
        await stop.wait()
    finally:
        _log.info("the engine stops")
        await engine.close()
    return 0


def _first(given: int | None, default: int) -> int:
    return default if given is None else given


async def _follow_owner(stop: asyncio.Event) -> tuple[str | None, str | None]:
    """Read the owner's first line, with the keys, and stop when standard input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        mode = 0
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        # Of anything else, libuv aborts the process.
        raise AppError("An owned engine needs a pipe as its standard input.")
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    first = await reader.readline()

    async def wait_for_the_end() -> None:
        while await reader.readline():
            pass
        transport.close()
        stop.set()

    watch = asyncio.create_task(wait_for_the_end(), name="owner")
    stop_callbacks.add(watch)
    watch.add_done_callback(stop_callbacks.discard)
    try:
        line = json.loads(first or b"{}")
        found = [line.get(name) for name in ("api_key", "owner_key")]
    except (ValueError, AttributeError):
        raise AppError("The owner's first line is not a JSON object.") from None
    key, owner_key = (text if isinstance(text, str) else None for text in found)
    return key, owner_key


stop_callbacks: set[asyncio.Task[None]] = set()
"""Keeps the watch on the owner alive; the loop itself holds tasks only weakly."""


def _announce(engine: Engine, out: TextIO, *, is_owned: bool) -> None:
    info = engine.info
    facts = {
        "url": engine.own_url,
        "gateway_url": info.gateway_url,
        "pid": info.pid,
        "api_version": info.api_version,
        "log": info.log,
        "key_required": info.key_required,
        "owned": is_owned,
    }
    text = msgspec.json.encode(facts).decode()
    try:
        files.write_atomically(paths.engine_file(), text + "\n", mode=0o600)
    except OSError as error:
        # On a full disk more than ever: who cannot open the app cannot delete a model with it.
        engine.tell(
            f"Other programs cannot find this engine, since its folder takes no file: "
            f"{error.strerror or error}."
        )
    out.write(text + "\n")
    out.flush()
