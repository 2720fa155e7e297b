"""`mlxm engine --install` and `--uninstall`: an engine that starts at login."""

import sys

from app import login_item
from app.client import launch
from app.login_item import Kind, LoginItemFailed


def run(option: str) -> int:
    """Install or remove the engine's login item. Returns 0, or 1 with the reason on stderr."""
    try:
        if option == "--install":
            before = launch.find()
            item = login_item.install(Kind.ENGINE)
            after = launch.find()
            # The item's own engine is started afresh, so what goes on is another one.
            if before is not None and after is not None and before.pid == after.pid:
                now = f"One that was started otherwise runs at {after.url}; the new one waits for "
                print(f"An engine starts at every login. {now}its end. {item.path} says how.")
            else:
                print(f"An engine runs now and at every login. {item.path} says how.")
        else:
            item = login_item.remove(Kind.ENGINE)
            print(f"No engine starts at login; {item.path} is gone.")
    except LoginItemFailed as error:
        print(f"mlxm: {error}", file=sys.stderr)
        return 1
    return 0
