"""`mlxm rm` and `mlxm clean`: models and unfinished files away from the engine's disk."""

import argparse
import sys
import time

from app.client.api import Api
from app.wire.amounts import file_size
from app.wire.storage import Leftover


def set_up_remove(parser: argparse.ArgumentParser) -> None:
    """Add the options of `mlxm rm`."""
    parser.add_argument("model", metavar="ID", help="its id on the hub, author/name, or its folder")
    parser.add_argument("--location", metavar="FOLDER", default="", help="the copy to delete")
    parser.add_argument("--force", action="store_true", help="also when a profile uses it")
    parser.add_argument("--preview", action="store_true", help="show it and change nothing")
    parser.set_defaults(run=remove)


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the options of `mlxm clean`."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=clean)


def remove(api: Api, options: argparse.Namespace) -> int:
    """Delete a model from the disk, or show what that would do."""
    if options.preview:
        return _preview(api, options.model)
    done = api.remove_model(options.model, location=options.location, force=options.force)
    size = file_size(done.freed_bytes)
    if done.to_trash:
        print(f"{options.model} is in the trash, {size}")
    else:
        print(f"{options.model} is deleted; {size} are free again")
    for place in done.left:
        print(f"The same weights are still in {place}")
    return 0


def clean(api: Api, options: argparse.Namespace) -> int:
    """Show unfinished files that no download owns, and remove them when that is wanted."""
    found = api.leftovers()
    if not found:
        print("There are no unfinished files.")
        return 0
    width = max(len(item.id) for item in found)
    print(f"{'MODEL':<{width}}  {'SIZE':>9}  FILES  LAST WRITTEN")
    for item in found:
        date = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.modified_at))
        print(f"{item.id:<{width}}  {file_size(item.size_bytes):>9}  {item.files:>5}  {date}")
    if not options.yes and not _agrees(found):
        return 0
    removed = api.remove_leftovers()
    print(f"{file_size(_total(removed))} are free again")
    return 0


def _preview(api: Api, model_id: str) -> int:
    removal = api.preview_removal(model_id)
    for part in removal.parts:
        kind = "to the trash" if part.to_trash else "deleted"
        print(f"{part.path}  {file_size(part.size_bytes)}, {kind}")
    if removal.obstacle:
        print(f"Not possible: {removal.obstacle}")
    for kind, names in (("server", removal.servers), ("profile", removal.profiles)):
        for name in names:
            print(f"Used by the {kind} “{name}”")
    return 0


def _agrees(found: list[Leftover]) -> bool:
    if not sys.stdin.isatty():
        print(f"mlxm clean --yes removes them, {file_size(_total(found))}.")
        return False
    print(f"Remove them, {file_size(_total(found))}? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _total(found: list[Leftover]) -> int:
    return sum(item.size_bytes for item in found)
