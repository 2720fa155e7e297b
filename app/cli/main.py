"""`mlxm`: a client of the engine's API for terminals and scripts."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

import msgspec

from app import __version__
from app.cli import clean, desktop, doctor, keys, pull, search, selftest, verify
from app.cli.profiles import find_profile, set_up_export, set_up_import
from app.client import credentials, launch
from app.client.api import Api
from app.client.errors import EngineGone, NeedsKey
from app.wire.errors import EXIT_ENGINE_RUNS, AppError
from app.wire.nouns import Server

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_NO_ENGINE = 3
EXIT_FAILED_START = 4
EXIT_KEY = 5
EXIT_INTERRUPTED = 130

EXIT_CODES = {
    EXIT_OK: "done",
    EXIT_ERROR: "it did not work; standard error says why",
    EXIT_USAGE: "the command line was not understood",
    EXIT_NO_ENGINE: "no engine runs",
    EXIT_FAILED_START: "the server did not become ready",
    EXIT_KEY: "the engine wants a key, or another one",
    EXIT_ENGINE_RUNS: "an engine already runs",
    EXIT_INTERRUPTED: "interrupted by Ctrl-C",
}
"""What `mlxm` returns, for scripts."""

_WITHOUT_ENGINE: dict[str, Callable[[argparse.Namespace], int]] = {
    "selftest": lambda _options: selftest.run(),
    "doctor": doctor.run,
    "desktop": desktop.run,
}


def main(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    if not _is_text(argv):
        parser.error("an argument is not UTF-8 text")
    options = parser.parse_args(argv)
    if options.command == "engine":
        parser.error("engine must be the first word, as in mlxm engine --port 0")
    try:
        code = _WITHOUT_ENGINE.get(options.command, _run)(options)
        # Here, where a closed pipe can still be told from an error.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of our output is gone, as in `mlxm logs x | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _is_text(argv: list[str]) -> bool:
    try:
        "".join(argv).encode()
    except UnicodeEncodeError:
        # Bytes that are none stand there as half characters, which can go nowhere.
        return False
    return True


def _run(options: argparse.Namespace) -> int:
    try:
        with _connect(options.engine) as api:
            # Also the check of the version, before anything is misread.
            api.engine()
            command: Callable[[Api, argparse.Namespace], int] = options.run
            return command(api, options)
    except EngineGone as error:
        return _complain(error, EXIT_NO_ENGINE)
    except NeedsKey as error:
        return _complain(error, EXIT_KEY, "Set MLX_MANAGER_API_KEY to the engine's key.")
    except AppError as error:
        return _complain(error, EXIT_ERROR)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mlxm",
        description="Serve local MLX language models.",
        epilog="Exit codes: " + "; ".join(f"{c} {text}" for c, text in EXIT_CODES.items()) + ".",
    )
    parser.add_argument("--version", action="version", version=f"mlxm {__version__}")
    parser.add_argument(
        "--engine", metavar="URL", help="address of the engine (default: the one of this computer)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # Run by the entry point when it is the first word; here it has a place in the help.
    engine = commands.add_parser("engine", help="run an engine without a window")
    engine.set_defaults(run=None)
    status = commands.add_parser("status", help="show the engine and its servers")
    status.set_defaults(run=_status)
    profiles = commands.add_parser("list", help="show all profiles")
    profiles.set_defaults(run=_list)
    for command in (status, profiles):
        command.add_argument("--json", action="store_true", help="print JSON for programs")
    start = commands.add_parser("start", help="start a profile and wait until it is ready")
    start.set_defaults(run=_start)
    stop = commands.add_parser("stop", help="stop a profile's server and wait until it is gone")
    stop.set_defaults(run=_stop)
    logs = commands.add_parser("logs", help="show the log of a profile's server")
    logs.set_defaults(run=_logs)
    for command in (start, stop, logs):
        command.add_argument("profile", metavar="PROFILE", help="its name or id")
    out = "write a profile to a file for other computers"
    set_up_export(commands.add_parser("export", help=out))
    set_up_import(commands.add_parser("import", help="make profiles from an exported file"))
    find = commands.add_parser("search", help="search the hub for models")
    words = "words of its name, its id, or a link to it"
    find.add_argument("text", metavar="TEXT", nargs="+", help=words)
    find.add_argument("--json", action="store_true", help="print JSON for programs")
    find.set_defaults(run=search.search)
    pull.set_up(commands.add_parser("pull", help="download a model, or go on with its download"))
    clean.set_up_remove(commands.add_parser("rm", help="delete a model from the disk"))
    verify.set_up(commands.add_parser("verify", help="check the files of a model on the disk"))
    unfinished = "remove unfinished files that no download owns"
    clean.set_up(commands.add_parser("clean", help=unfinished))
    keys.set_up(commands.add_parser("keys", help="list, make or revoke named API keys"))
    doctor.set_up(commands.add_parser("doctor", help="check this installation, and mend it"))
    menu = "put the app into the menu of a Linux desktop, so that links open in it"
    desktop.set_up(commands.add_parser("desktop", help=menu))
    commands.add_parser("selftest", help="run the main job once with the demo model")
    return parser


def _connect(url: str | None) -> Api:
    key = os.environ.get(launch.KEY_VARIABLE)
    if url is None:
        address = launch.find()
        if address is None:
            raise EngineGone("No engine is running; open the app or run mlxm engine.")
        url = address.url
    return Api(url, key or credentials.load_key(url))


def _status(api: Api, options: argparse.Namespace) -> int:
    info, servers = api.engine(), api.servers()
    if options.json:
        return _print_json({"engine": info, "servers": servers})
    print(f"Engine {info.version} at {info.url}, gateway {info.gateway_url}")
    if info.gateway_note:
        print(f"Note: {info.gateway_note}")
    if not servers:
        print("No servers. mlxm list shows the profiles, mlxm start PROFILE starts one.")
    for server in servers:
        print(f"{server.name:<28} {server.state.value:<10} {_details(server)}")
    return EXIT_OK


def _details(server: Server) -> str:
    if server.failure is not None:
        return server.failure.message
    if server.state.serves and server.ready_at is not None:
        return f"{server.model}, ready for {time.time() - server.ready_at:.0f} s"
    return server.model


def _list(api: Api, options: argparse.Namespace) -> int:
    profiles = api.profiles()
    if options.json:
        return _print_json(profiles)
    for profile in profiles:
        note = f"cannot be used: {profile.fault.message}" if profile.fault else profile.model
        print(f"{profile.name:<28} {profile.id:<20} {note}")
    return EXIT_OK


def _start(api: Api, options: argparse.Namespace) -> int:
    profile = find_profile(api, options.profile)
    server = api.start_server(profile.id)
    for server in api.wait_settled(profile.id):
        if not server.state.is_settled:
            print(f"{profile.name}: {server.phase or server.state}", file=sys.stderr)
    if not server.state.serves:
        failure = server.failure
        text = f"{failure.message} {failure.hint}" if failure else f"it is {server.state.value}"
        print(f"mlxm: {profile.name} did not start: {text}", file=sys.stderr)
        return EXIT_FAILED_START
    print(f"{profile.name} is ready at {api.engine().gateway_url}/v1, model “{profile.name}”")
    return EXIT_OK


def _stop(api: Api, options: argparse.Namespace) -> int:
    profile = find_profile(api, options.profile)
    if profile.id not in {server.id for server in api.servers()}:
        print(f"{profile.name} does not run")
        return EXIT_OK
    api.stop_server(profile.id)
    for _ in api.wait_settled(profile.id):
        pass
    print(f"{profile.name} is stopped")
    return EXIT_OK


def _logs(api: Api, options: argparse.Namespace) -> int:
    profile = find_profile(api, options.profile)
    sys.stdout.write(api.server_log(profile.id, max_bytes=1_000_000))
    return EXIT_OK


def _print_json(value: object) -> int:
    print(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False))
    return EXIT_OK


def _complain(error: AppError, code: int, hint: str = "") -> int:
    print(f"mlxm: {error.message} {hint or error.hint}".rstrip(), file=sys.stderr)
    return code
