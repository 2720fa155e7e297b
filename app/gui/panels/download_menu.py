"""The context menu of a download, and the keys that do the same."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from app.gui.delegates.download_tile import (
    DownloadAction,
    is_refused,
    main_action,
    remedy,
)
from app.wire.nouns import Download, DownloadState

_A = DownloadAction


def _tr(text: str) -> str:
    return QCoreApplication.translate("DownloadMenu", text)


class Places(NamedTuple):
    """Where a download can go in the queue."""

    up: bool
    down: bool


# Text, and the keys in portable form: Ctrl is the command key on macOS, Meta the control key.
_MAIN: Final = {
    _A.PAUSE: ("Pause", "Space"),
    _A.RESUME: ("Resume", "Space"),
    _A.RETRY: ("Try again now", "Space"),
}
_MOVES: Final = {
    _A.MOVE_TOP: ("Move to top", "Alt+Shift+Up"),
    _A.MOVE_UP: ("Move up", "Alt+Up"),
    _A.MOVE_DOWN: ("Move down", "Alt+Down"),
    _A.MOVE_BOTTOM: ("Move to bottom", "Alt+Shift+Down"),
}
_ALL: Final = {_A.PAUSE_ALL: "Pause all", _A.RESUME_ALL: "Resume all"}
_CANCEL_KEYS: Final = (Qt.Key.Key_Backspace, Qt.Key.Key_Delete)


def can_do(action: DownloadAction, downloads: Iterable[Download]) -> bool:
    """Return whether there is something to pause or to go on with, for the two that mean all."""
    if action is _A.PAUSE_ALL:
        return any(download.state.is_active for download in downloads)
    return any(download.state is DownloadState.PAUSED for download in downloads)


def make_menu(
    download: Download,
    places: Places,
    all_downloads: Iterable[Download],
    wish: Callable[[DownloadAction, str], object],
    parent: QWidget,
) -> QMenu:
    """Return the menu of a download; it holds the id, so that it outlives any change of rows."""
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    known = tuple(all_downloads)

    def add(action: DownloadAction, text: str, keys: str = "") -> QAction:
        entry = menu.addAction(_tr(text))
        if keys:
            entry.setShortcut(QKeySequence.fromString(keys))
        entry.triggered.connect(lambda: wish(action, download.id))
        return entry

    add(main_action(download), *_MAIN[main_action(download)])
    if download.state is DownloadState.WAITING:
        add(_A.PAUSE, "Pause")
    if download.failure is not None:
        way, text = remedy(download.failure)
        if way is not _A.RETRY:
            add(way, text)
        if is_refused(download) and way is not _A.OPEN_PAGE:
            add(_A.OPEN_PAGE, "Ask for access")
    menu.addSeparator()
    for action, (text, keys) in _MOVES.items():
        is_up = action in (_A.MOVE_TOP, _A.MOVE_UP)
        add(action, text, keys).setEnabled(places.up if is_up else places.down)
    menu.addSeparator()
    for action, text in _ALL.items():
        add(action, text).setEnabled(can_do(action, known))
    menu.addSeparator()
    add(_A.INSPECT, "Inspect", "Return")
    add(_A.COPY_ID, "Copy id")
    if not is_refused(download):
        add(_A.OPEN_PAGE, "Open on Hugging Face")
    menu.addSeparator()
    add(_A.CANCEL, "Cancel download", "Backspace")
    return menu


def action_of(event: QKeyEvent, download: Download) -> DownloadAction | None:
    """Return what a key asks for on a download, None for keys that mean something else."""
    pressed = event.keyCombination()
    modifiers = pressed.keyboardModifiers() & ~Qt.KeyboardModifier.KeypadModifier
    if not modifiers and pressed.key() == Qt.Key.Key_Space:
        return main_action(download)
    if not modifiers and pressed.key() in _CANCEL_KEYS:
        return _A.CANCEL
    is_far = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
    if modifiers & ~Qt.KeyboardModifier.ShiftModifier != Qt.KeyboardModifier.AltModifier:
        return None
    if pressed.key() == Qt.Key.Key_Up:
        return _A.MOVE_TOP if is_far else _A.MOVE_UP
    if pressed.key() == Qt.Key.Key_Down:
        return _A.MOVE_BOTTOM if is_far else _A.MOVE_DOWN
    return None
