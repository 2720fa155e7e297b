"""What the app does outside its window: menu-bar extra, notifications, Dock, links, login."""

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication

from app import paths
from app.gui.dock import Dock
from app.gui.main_window.link_actions import LinkActions
from app.gui.main_window.menu_bar import MenuBarExtra
from app.gui.main_window.notifications import Notifications
from app.gui.main_window.updates import Updates
from app.gui.memory import Memory
from app.gui.mirror import LinkState
from app.gui.notifier import Notifier
from app.wire.errors import AppError
from app.wire.release import Release

if TYPE_CHECKING:
    from app.gui.main_window.parts import Parts
    from app.gui.main_window.window import MainWindow

IS_MAC: Final = sys.platform == "darwin"
_NOTICE_MS: Final = 8000


class System(QObject):
    """Connects the window's parts with the desktop around it."""

    def __init__(self, window: "MainWindow", parts: "Parts", memory: Memory) -> None:
        super().__init__(parts)
        self._window = window
        self._parts = parts
        self._preferences = parts.preferences
        self.dock = Dock()
        self.extra = MenuBarExtra(parts.mirror, self._recent_profiles, self)
        self.notifier = Notifier(self._show_message)
        self.notifications = Notifications(parts.mirror, window, self.notifier.show, parent=self)
        self.links = LinkActions(parts.mirror, window)
        self.updates = Updates(memory, self._offer_update, url=paths.releases_url(), parent=self)
        self._connect()
        self._connect_links()
        self.apply_settings()

    @property
    def hides_window(self) -> bool:
        """True when the window's close button hides it and the app goes on."""
        choice = self._preferences.value("close_window")
        return choice == "hide" or (choice == "usual" and IS_MAC)

    @property
    def can_bring_back(self) -> bool:
        """True when there is a way back to a window that is hidden: the Dock or the extra."""
        return IS_MAC or self.extra.is_shown

    def apply_settings(self, _name: object = None) -> None:
        """Bring extra, notifications and updates in line with the settings."""
        self.extra.set_shown(shown=bool(self._preferences.value("menu_bar")))
        self.notifications.is_on = bool(self._preferences.value("notifications"))
        self.updates.set_on(is_on=bool(self._preferences.value("check_updates")))

    def end(self) -> None:
        """Take the icon away at once; without that it stays until the process is gone."""
        self.extra.set_shown(shown=False)
        self.dock.show(())
        self.updates.end()

    def _connect(self) -> None:
        parts, extra = self._parts, self.extra
        extra.open_requested.connect(self._window.come_to_front)
        extra.quit_requested.connect(self._window.request_quit)
        extra.settings_requested.connect(self._in_front(parts.settings.open))
        extra.start_requested.connect(parts.session.start)
        parts.dashboard.starting.asked.connect(self._window.come_to_front)
        extra.stop_requested.connect(parts.session.stop)
        extra.restart_requested.connect(parts.session.restart)
        extra.log_requested.connect(self._show_log)
        parts.settings.own_changed.connect(self.apply_settings)
        parts.hide_wanted.connect(self._window.put_away)
        parts.mirror.downloads_changed.connect(self._show_progress)

    def _connect_links(self) -> None:
        parts, links = self._parts, self.links
        links.arrived.connect(self._window.come_to_front)
        links.failed.connect(self._show_error)
        links.told.connect(self._tell)
        links.download_requested.connect(parts.downloads.begin)
        links.start_requested.connect(parts.session.start)
        links.profile_file_opened.connect(parts.profiles.import_file)

    def _in_front(self, work: Callable[[], object]) -> Callable[[], None]:
        def act() -> None:
            self._window.come_to_front()
            work()

        return act

    def _show_log(self, server_id: str) -> None:
        self._window.come_to_front()
        self._parts.inspecting.show_server(server_id, "log")

    def _tell(self, text: str) -> None:
        self._parts.notice.show_notice(text, is_bad=False)

    def _show_error(self, error: AppError) -> None:
        self._parts.notice.show_notice(f"{error.message} {error.hint}".strip(), is_bad=True)

    def _show_progress(self) -> None:
        downloads = self._parts.mirror.downloads
        self.dock.show(downloads.values())
        if downloads and self.notifications.is_on:
            # Now the user knows what it is good for; at its end nobody may be there to answer.
            self.notifier.ask()

    def _show_message(self, title: str, text: str) -> None:
        """Show a notification in Qt's way; without the extra only ask for attention."""
        if self.extra.tray is not None and self.extra.is_shown:
            self.extra.tray.showMessage(title, text, self._window.windowIcon(), _NOTICE_MS)
        else:
            QApplication.alert(self._window)

    def _offer_update(self, release: Release) -> bool:
        """Tell of a newer version, unless the user is told something else or does not look."""
        notice = self._parts.notice
        is_free = not notice.text and QApplication.activeModalWidget() is None
        if (
            not (is_free and self._window.isVisible())
            or self._parts.mirror.link is not LinkState.LIVE
        ):
            return False
        notice.show_notice(
            self.tr("Version {0} is available.").format(release.version),
            is_bad=False,
            action_text=self.tr("What is new"),
            action=partial(_show_page, release.page),
            also=(self.tr("Skip this version"), partial(self.updates.skip, release)),
        )
        return True

    def _recent_profiles(self) -> tuple[str, ...]:
        return self._parts.servers_panel.header.picker.profiles.recent


def _show_page(url: str) -> None:
    QDesktopServices.openUrl(QUrl(url))
