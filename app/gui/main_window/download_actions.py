"""What the window does with downloads."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from app.gui import format as fmt
from app.gui.delegates.download_tile import DownloadAction
from app.gui.main_window.questions import may_cancel_download
from app.gui.main_window.session import Session
from app.gui.panels.download_menu import can_do
from app.gui.workers.door import Api
from app.wire.nouns import DownloadRequest
from app.wire.storage import MoveTo

_WORTH_ASKING = 100_000_000
"""A download that has brought less, in bytes, is cancelled without a question."""
_MOVES: Final = {
    DownloadAction.MOVE_TOP: MoveTo.TOP,
    DownloadAction.MOVE_UP: MoveTo.UP,
    DownloadAction.MOVE_DOWN: MoveTo.DOWN,
    DownloadAction.MOVE_BOTTOM: MoveTo.BOTTOM,
}
_ALL: Final = {
    "pause_downloads": DownloadAction.PAUSE_ALL,
    "resume_downloads": DownloadAction.RESUME_ALL,
}
"""The commands of the menu about all downloads."""


class DownloadActions(QObject):
    """Turns the user's wishes into calls of the engine."""

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._window = window

    def begin(self, wanted: str) -> None:
        """Download a model of the hub by its id, or by `id@revision`."""
        hub_id, _, revision = wanted.partition("@")
        request = DownloadRequest(hub_id, revision or "main")
        self._session.call("download", lambda api: api.add_download(request))

    def commands(self) -> dict[str, Callable[[], object]]:
        """Return what the menus offer, by the command's id."""
        return {name: partial(self.act, (action, "")) for name, action in _ALL.items()}

    def follow(self, actions: Mapping[str, QAction]) -> None:
        """Offer in the menus only what there is something to do for, from now on."""
        mirror = self._session.mirror

        def refresh(_changed: object = None) -> None:
            known = mirror.downloads.values()
            for name, action in _ALL.items():
                actions[name].setEnabled(not mirror.is_stale and can_do(action, known))

        mirror.downloads_changed.connect(refresh)
        mirror.link_changed.connect(refresh)
        refresh()

    def act(self, wish: tuple[DownloadAction, str]) -> None:
        """Do what a button, a key or the menu of a download stands for."""
        action, download_id = wish
        if action is DownloadAction.CANCEL:
            self._cancel(download_id)
            return
        if (place := _MOVES.get(action)) is not None:
            self._session.call("move", lambda api: api.move_download(download_id, place))
            return
        works: dict[DownloadAction, tuple[str, Callable[[Api], object]]] = {
            DownloadAction.PAUSE: ("pause", lambda api: api.pause_download(download_id)),
            DownloadAction.RESUME: ("resume", lambda api: api.resume_download(download_id)),
            DownloadAction.RETRY: ("retry", lambda api: api.retry_download(download_id)),
            DownloadAction.PAUSE_ALL: ("pause-all", lambda api: api.pause_downloads()),
            DownloadAction.RESUME_ALL: ("resume-all", lambda api: api.resume_downloads()),
        }
        if action in works:
            self._session.call(*works[action])

    def _cancel(self, download_id: str) -> None:
        download = self._session.mirror.downloads.get(download_id)
        if download is None:
            return
        is_much = download.done_bytes > _WORTH_ASKING
        if is_much and not may_cancel_download(
            self._window,
            download_id,
            fmt.file_size(download.done_bytes),
            self._session.mirror.place,
        ):
            return
        self._session.call("cancel-download", lambda api: api.remove_download(download_id))
