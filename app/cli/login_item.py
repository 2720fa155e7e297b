"""`mlxm engine --install` and `--uninstall`: an engine that starts at login."""

import sys

from app import login_item
from app.login_item import Kind, LoginItemFailed


def run(option: str) -> int:
    """Install or remove the engine's login item. Returns 0, or 1 with the reason on stderr."""
    try:
        if option == "--install":
            item = login_item.install(Kind.ENGINE)
            print(f"An engine runs now and at every login. {item.path} says how.")
        else:
            item = login_item.remove(Kind.ENGINE)
            print(f"No engine starts at login; {item.path} is gone.")
    except LoginItemFailed as error:
        print(f"mlxm: {error}", file=sys.stderr)
        return 1
    return 0
