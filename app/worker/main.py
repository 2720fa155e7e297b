"""The worker program: heavy or risky work outside the engine, one mode a run."""

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from app.worker import check


def main(argv: list[str]) -> int:
    """Run the mode that `argv` names and return the exit status; the answer goes to stdout."""
    arguments = _parser().parse_args(argv)
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
    scan.set_defaults(run=_scan)
    download = modes.add_parser("download", help="download models as standard input orders")
    download.add_argument("--cache", type=Path, required=True, help="the hub's cache")
    download.add_argument(
        "--stall-s", type=float, default=15.0, help="how long a connection may be silent"
    )
    download.set_defaults(run=_download)
    remove = modes.add_parser("remove", help="delete a model from the hub's cache")
    remove.add_argument("--cache", type=Path, required=True, help="the hub's cache")
    remove.add_argument("model", help="the id of the model")
    remove.set_defaults(run=_remove)
    hub = modes.add_parser("hub", help="look at the hub as standard input orders")
    hub.add_argument("--idle-s", type=float, default=120.0, help="end when idle for so long")
    hub.set_defaults(run=_hub)
    probe = modes.add_parser("probe", help="tell the cache's shape for configs on standard input")
    probe.set_defaults(run=_probe)
    modules = modes.add_parser("check-modules", help="import packages and all modules under them")
    modules.add_argument("package", nargs="+")
    modules.set_defaults(run=_check_modules)
    tokenizers = modes.add_parser("check-tokenizers", help="load every known tokenizer class")
    tokenizers.set_defaults(run=_check_tokenizers)
    return parser


def _scan(arguments: argparse.Namespace) -> bytes:
    # Late: it imports the hub library, which takes 0.2 s that a wrong argument should not wait for.
    from app.worker.scan import scan

    return msgspec.json.encode(scan(arguments.cache, arguments.folder, arguments.demo))


def _download(arguments: argparse.Namespace) -> bytes | None:
    from app.worker.download import mode

    mode.run(arguments.cache, stall_s=arguments.stall_s)
    return None


def _remove(arguments: argparse.Namespace) -> bytes:
    from app.worker.remove import remove

    return msgspec.json.encode(remove(arguments.cache, arguments.model))


def _hub(arguments: argparse.Namespace) -> bytes | None:
    from app.worker.hub import mode

    mode.run(idle_s=arguments.idle_s)
    return None


def _probe(_arguments: argparse.Namespace) -> bytes | None:
    from app.worker.hub import probe

    probe.serve()
    return None


def _check_modules(arguments: argparse.Namespace) -> bytes:
    return msgspec.json.encode(check.check_modules(arguments.package))


def _check_tokenizers(_arguments: argparse.Namespace) -> bytes:
    return msgspec.json.encode(check.check_tokenizers())
