"""What the app says while its window is not in use: finished downloads and failed servers."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from app.gui import format as fmt
from app.gui.mirror import LinkState, Mirror
from app.wire.nouns import Download, DownloadState, Model, Server, ServerState


class Notifications(QObject):
    """Watches the mirror and hands title and text to `show`, which puts them on the screen."""

    def __init__(
        self, mirror: Mirror, window: QWidget, show: Callable[[str, str], None], *, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._window = window
        self._show = show
        self.is_on = True
        self._states: dict[str, ServerState] = {}
        self._downloads: dict[str, Download] = {}
        self._left: dict[str, Model | None] = {}
        """Downloads that are gone, each with its model at that time."""
        mirror.server_changed.connect(self._on_server)
        mirror.server_removed.connect(self._on_server_removed)
        mirror.download_done.connect(self._on_download_done)
        mirror.downloads_changed.connect(self._on_downloads)
        mirror.models_changed.connect(self._on_models)
        mirror.place_changed.connect(self._forget_downloads)

    def _on_server(self, server: Server) -> None:
        before = self._states.get(server.id)
        self._states[server.id] = server.state
        # What had failed before this window came is no news.
        if before is None or before is server.state or server.state is not ServerState.FAILED:
            return
        text = server.failure.message if server.failure is not None else server.model
        self._say(self.tr("{0} failed").format(server.name), text)

    def _forget_downloads(self, _place: str) -> None:
        # What another engine has is no news of this one.
        self._downloads = {}
        self._left.clear()

    def _on_server_removed(self, server_id: str) -> None:
        self._states.pop(server_id, None)

    def _on_downloads(self) -> None:
        now = self._mirror.downloads
        for download_id in self._downloads.keys() - now.keys():
            self._left[download_id] = self._mirror.models.get(download_id)
        for download in now.values():
            self._left.pop(download.id, None)
            before = self._downloads.get(download.id)
            if before is not None and before.state is not download.state:
                self._on_download_state(download)
        self._downloads = dict(now)

    def _on_download_done(self, download_id: str) -> None:
        # Whatever the model was before: one that is the same has arrived too.
        self._downloads.pop(download_id, None)
        self._left[download_id] = None

    def _on_download_state(self, download: Download) -> None:
        if download.state in (DownloadState.FAILED, DownloadState.BLOCKED):
            text = download.failure.message if download.failure is not None else ""
            self._say(self.tr("Download stopped"), text or download.id)

    def _on_models(self) -> None:
        for download_id, before in list(self._left.items()):
            model = self._mirror.models.get(download_id)
            # A cancelled download leaves its model as it was.
            if model is not None and model != before:
                del self._left[download_id]
                size = fmt.file_size(model.size_bytes)
                self._say(
                    self.tr("Download finished"), self.tr("{0}, {1}").format(model.name, size)
                )

    def _say(self, title: str, text: str) -> None:
        is_in_use = (
            QGuiApplication.applicationState() is Qt.ApplicationState.ApplicationActive
            and self._window.isVisible()
            and not self._window.isMinimized()
        )
        if self.is_on and not is_in_use and self._mirror.link is LinkState.LIVE:
            self._show(title, text)
