"""The app's tile in the Dock of macOS: how far the downloads are. Does nothing elsewhere."""

import logging
import sys
from collections.abc import Callable, Iterable

from PySide6.QtGui import QGuiApplication

from app.gui.objc import runtime
from app.wire.nouns import Download

_log = logging.getLogger("gui")


def badge(downloads: Iterable[Download]) -> str:
    """Return what the tile says: the share of all that is being downloaded, else nothing."""
    active = [d for d in downloads if d.state.is_active and d.total_bytes]
    total = sum(d.total_bytes or 0 for d in active)
    if not total:
        return ""
    done = sum(min(d.done_bytes, d.total_bytes or 0) for d in active)
    # Only what is complete may say so.
    return f"{min(99, int(100 * done / total))}%"


class Dock:
    """Writes the badge when it changes; call it in the GUI thread."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write if write is not None else _writer()
        self._shown = ""

    def show(self, downloads: Iterable[Download]) -> None:
        """Tell how far the downloads are."""
        text = badge(downloads)
        if text != self._shown:
            self._shown = text
            self._write(text)


def _writer() -> Callable[[str], None]:
    if sys.platform == "darwin" and QGuiApplication.platformName() == "cocoa":
        try:
            return _cocoa_writer()
        except (OSError, AttributeError) as error:
            _log.warning("the Dock cannot show progress: %s", error)
    return _write_nothing


def _write_nothing(_text: str) -> None:
    """Leave out what this system does not have."""


def _cocoa_writer() -> Callable[[str], None]:
    """Return a function that does [NSApp.dockTile setBadgeLabel: text].

    Qt has a badge for a number only. Raises OSError or AttributeError without Objective-C.
    """
    language = runtime()
    application = language.kind("NSApplication")

    def write(text: str) -> None:
        app = language.send(application, "sharedApplication")
        tile = language.send(app, "dockTile")
        language.send(tile, "setBadgeLabel:", language.text(text))

    return write
