"""What the window does with downloads."""

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from app.gui import format as fmt
from app.gui.delegates.download_tile import DownloadAction
from app.gui.main_window.questions import may_cancel_download
from app.gui.main_window.session import Session
from app.wire.nouns import DownloadRequest

_WORTH_ASKING = 100_000_000
"""A download that has brought less, in bytes, is cancelled without a question."""


class DownloadActions(QObject):
    """Turns the user's wishes into calls of the engine."""

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._window = window

    def begin(self, hub_id: str) -> None:
        """Download a model of the hub."""
        request = DownloadRequest(hub_id)
        self._session.call("download", lambda api: api.add_download(request))

    def act(self, wish: tuple[DownloadAction, str]) -> None:
        """Do what a button of a download stands for."""
        action, download_id = wish
        match action:
            case DownloadAction.PAUSE:
                self._session.call("pause", lambda api: api.pause_download(download_id))
            case DownloadAction.RESUME:
                self._session.call("resume", lambda api: api.resume_download(download_id))
            case DownloadAction.RETRY:
                self._session.call("retry", lambda api: api.retry_download(download_id))
            case DownloadAction.CANCEL:
                self._cancel(download_id)

    def _cancel(self, download_id: str) -> None:
        download = self._session.mirror.downloads.get(download_id)
        if download is None:
            return
        is_much = download.done_bytes > _WORTH_ASKING
        if is_much and not may_cancel_download(
            self._window, download_id, fmt.file_size(download.done_bytes)
        ):
            return
        self._session.call("cancel-download", lambda api: api.remove_download(download_id))
