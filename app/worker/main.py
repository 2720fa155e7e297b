"""The worker program: heavy or risky work outside the engine, one mode a run."""

import argparse
import faulthandler
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from app.worker import check
from app.worker.owner import end_with_owner


def main(argv: list[str]) -> int:
    """Run the mode that `argv` names and return the exit status; the answer goes to stdout."""
    arguments = _parser().parse_args(argv)
    faulthandler.enable(2)
    try:
        run: Callable[[argparse.Namespace], bytes | None] = arguments.run
        answer = run(arguments)
    except Exception:  # noqa: BLE001 - process entry
        traceback.print_exc(file=sys.stderr)
        return 1
    if answer is not None:
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="worker")
    modes = parser.add_subparsers(dest="mode", required=True)
    scan = modes.add_parser("scan", help="list the models on this disk as JSON")
    scan.add_argument("--cache", type=Path, required=True, help="the hub's cache")
    scan.add_argument("--folder", type=Path, action="append", default=[], help="more models")
    scan.add_argument("--demo", type=Path, help="the folder of the demo model")
    scan.add_argument("--home", type=Path, help="whose LM Studio and oMLX to look for")
    scan.add_argument("--memory", type=Path, help="a file that makes the next scan quick")
    scan.add_argument("--owned", action="store_true", help="end when standard input does")
    scan.set_defaults(run=_scan)
    download = modes.add_parser("download", help="download models as standard input orders")
    download.add_argument("--cache", type=Path, required=True, help="the hub's cache")
    download.add_argument(
        "--stall-s", type=float, default=15.0, help="how long a connection may be silent"
    )
    download.set_defaults(run=_download)
    _add_disk_modes(modes)
    hub = modes.add_parser("hub", help="look at the hub as standard input orders")
    hub.add_argument("--idle-s", type=float, default=120.0, help="end when idle for so long")
    hub.set_defaults(run=_hub)
    probe = modes.add_parser("probe", help="tell the cache's shape for configs on standard input")
    probe.set_defaults(run=_probe)
    modules = modes.add_parser("check-modules", help="import packages and all modules under them")
    modules.add_argument("package", nargs="+")
    modules.set_defaults(run=_check_modules)
    releases = modes.add_parser("releases", help="tell the newest release of this program")
    releases.add_argument("url", help="the address that tells it")
    releases.set_defaults(run=_releases)
    device = modes.add_parser("check-device", help="compute something with MLX")
    device.set_defaults(run=_check_device)
    tokenizers = modes.add_parser("check-tokenizers", help="load every known tokenizer class")
    tokenizers.set_defaults(run=_check_tokenizers)
    return parser


def _add_disk_modes(modes: Any) -> None:
    """Add what is done with models on the disk. `modes`: what add_subparsers returns."""
    remove = modes.add_parser("remove", help="delete a model from the hub's cache")
    remove.add_argument("--cache", type=Path, required=True, help="the hub's cache")
    remove.add_argument("model", help="the id of the model")
    remove.set_defaults(run=_remove)
    trash = modes.add_parser("trash", help="move a folder to the trash")
    trash.add_argument("folder", type=Path)
    trash.set_defaults(run=_trash)
    left = modes.add_parser("leftovers", help="list unfinished files that no download owns")
    left.add_argument("--cache", type=Path, required=True, help="the hub's cache")
    left.add_argument("--keep", action="append", default=[], help="id of a model to leave alone")
    left.add_argument("--remove", action="store_true", help="remove them")
    left.set_defaults(run=_leftovers)
    verify = modes.add_parser("verify", help="compare a model's files with their checksums")
    verify.add_argument("folder", type=Path, nargs="+", help="folders with the same weights")
    verify.set_defaults(run=_verify)


def _scan(arguments: argparse.Namespace) -> bytes:
    from app.worker.scan import scan

    given = arguments
    if given.owned:
        end_with_owner()
    result = scan(given.cache, given.folder, given.demo, home=given.home, memory=given.memory)
    return msgspec.json.encode(result)


def _download(arguments: argparse.Namespace) -> bytes | None:
    from app.worker.download import mode

    mode.run(arguments.cache, stall_s=arguments.stall_s)
    return None


def _remove(arguments: argparse.Namespace) -> bytes | None:
    from app.worker.remove import remove

    remove(arguments.cache, arguments.model)
    return None


def _trash(arguments: argparse.Namespace) -> bytes | None:
    from app.worker.trash import move_to_trash

    move_to_trash(arguments.folder)
    return None


def _leftovers(arguments: argparse.Namespace) -> bytes:
    from app.worker.leftovers import find_leftovers, remove_leftovers

    look = remove_leftovers if arguments.remove else find_leftovers
    return msgspec.json.encode(look(arguments.cache, arguments.keep))


def _verify(arguments: argparse.Namespace) -> bytes | None:
    from app.worker import verify

    verify.run(arguments.folder)
    return None


def _hub(arguments: argparse.Namespace) -> bytes | None:
    from app.worker.hub import mode

    mode.run(idle_s=arguments.idle_s)
    return None


def _probe(_arguments: argparse.Namespace) -> bytes | None:
    from app.worker.hub import probe

    probe.serve()
    return None


def _releases(arguments: argparse.Namespace) -> bytes:
    from app.worker.releases import newest

    return msgspec.json.encode(newest(arguments.url))


def _check_modules(arguments: argparse.Namespace) -> bytes:
    return msgspec.json.encode(check.check_modules(arguments.package))


def _check_device(_arguments: argparse.Namespace) -> bytes:
    return msgspec.json.encode(check.check_device())


def _check_tokenizers(_arguments: argparse.Namespace) -> bytes:
    return msgspec.json.encode(check.check_tokenizers())
