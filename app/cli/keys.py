"""`mlxm keys`: named API keys of an engine."""

import argparse
import sys
import time

from app.client.api import Api
from app.wire.errors import AppError, ErrorCode


def set_up(parser: argparse.ArgumentParser) -> None:
    """Give the command its actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(run=show)
    make = actions.add_parser("add", help="make a key and print it; it cannot be shown again")
    make.set_defaults(run=add)
    revoke = actions.add_parser("revoke", help="make a key worthless")
    revoke.set_defaults(run=remove)
    for action in (make, revoke):
        action.add_argument("name", metavar="NAME", help="what the key is for, such as Editor")


def show(api: Api, _options: argparse.Namespace) -> int:
    """Print all keys without their secrets."""
    keys = api.named_keys()
    for key in keys:
        used = _day(key.last_used_at) if key.last_used_at else "never used"
        print(f"{key.name:<28} made {_day(key.created_at)}, {used}")
    if not keys:
        print("No named keys. mlxm keys add NAME makes one.", file=sys.stderr)
    return 0


def add(api: Api, options: argparse.Namespace) -> int:
    """Make a key; standard output gets the key alone, so that scripts can take it."""
    made = api.create_key(options.name)
    print(made.secret)
    sys.stdout.flush()
    if not api.engine().key_required:
        sentence = "Keys are not required yet: switch on “Require a key” in the settings."
        print(f"mlxm: {sentence}", file=sys.stderr)
    return 0


def remove(api: Api, options: argparse.Namespace) -> int:
    """Make a key worthless."""
    for key in api.named_keys():
        if key.name == options.name:
            api.revoke_key(key.id)
            print(f"{key.name} is revoked")
            return 0
    raise AppError(
        f"There is no key “{options.name}”.",
        hint="mlxm keys shows all.",
        code=ErrorCode.NOT_FOUND,
    )


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
