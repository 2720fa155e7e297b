"""What the app does outside its window: menu-bar extra, notifications, Dock, links, login."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from app.gui.dock import Dock
from app.gui.main_window.link_actions import LinkActions
from app.gui.main_window.menu_bar import MenuBarExtra
from app.gui.main_window.notifications import Notifications
from app.wire.errors import AppError

if TYPE_CHECKING:
    from app.gui.main_window.parts import Parts
    from app.gui.main_window.window import MainWindow

IS_MAC: Final = sys.platform == "darwin"
_NOTICE_MS: Final = 8000


class System(QObject):
    """Connects the window's parts with the desktop around it."""

    def __init__(self, window: "MainWindow", parts: "Parts") -> None:
        super().__init__(parts)
        self._window = window
        self._parts = parts
        self._preferences = parts.preferences
        self.dock = Dock()
        self.extra = MenuBarExtra(parts.mirror, self._recent_profiles, self)
        self.notifications = Notifications(parts.mirror, window, self._show_message, parent=self)
        self.links = LinkActions(parts.mirror, window)
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
        """Bring extra and notifications in line with the settings."""
        self.extra.set_shown(shown=bool(self._preferences.value("menu_bar")))
        self.notifications.is_on = bool(self._preferences.value("notifications"))

    def end(self) -> None:
        """Take the icon away at once; without that it stays until the process is gone."""
        self.extra.set_shown(shown=False)
        self.dock.show(())

    def _connect(self) -> None:
        parts, extra = self._parts, self.extra
        extra.open_requested.connect(self._window.come_to_front)
        extra.quit_requested.connect(self._window.request_quit)
        extra.settings_requested.connect(self._in_front(parts.settings.open))
        extra.start_requested.connect(parts.session.start)
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
        self.dock.show(self._parts.mirror.downloads.values())

    def _show_message(self, title: str, text: str) -> None:
        """Put a notification on the screen; without the extra only ask for attention."""
        if self.extra.tray is not None and self.extra.is_shown:
            self.extra.tray.showMessage(title, text, self._window.windowIcon(), _NOTICE_MS)
        else:
            QApplication.alert(self._window)

    def _recent_profiles(self) -> tuple[str, ...]:
        return self._parts.servers_panel.header.picker.profiles.recent
