"""`mlxm desktop`: the app in the menu of a Linux desktop, so that links open in it."""

import argparse
import sys

from app import desktop


def set_up(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    options = parser.add_mutually_exclusive_group(required=True)
    options.add_argument(
        "--install", action="store_true", help="add the app to the menu, and let it open links"
    )
    options.add_argument("--uninstall", action="store_true", help="take all of that back")


def run(options: argparse.Namespace) -> int:
    """Install or remove the entry. Returns 0, or 1 with the reason on stderr."""
    try:
        if options.install:
            print(f"The app is in the menu and opens mlxmanager: links: {desktop.install()}")
        else:
            print(f"The app is no longer in the menu: {desktop.remove()} is gone.")
    except desktop.DesktopFailed as error:
        print(f"mlxm: {error}", file=sys.stderr)
        return 1
    return 0
