"""What fills the main window: models on the left, servers on the right, and what connects them."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QSettings, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMainWindow, QVBoxLayout, QWidget

from app import paths
from app.gui.dialogs.about import AboutDialog
from app.gui.dialogs.log_view import LogView
from app.gui.dialogs.quit_progress import QuitProgress
from app.gui.inspector.frame import Inspector
from app.gui.main_window.columns import Columns
from app.gui.main_window.commands import build_menus
from app.gui.main_window.connect_actions import ConnectActions
from app.gui.main_window.download_actions import DownloadActions
from app.gui.main_window.inspecting import Inspecting
from app.gui.main_window.profile_actions import ProfileActions
from app.gui.main_window.questions import may_leave, may_quit
from app.gui.main_window.session import Session
from app.gui.main_window.settings_actions import SettingsActions
from app.gui.main_window.status_line import StatusLine
from app.gui.mirror import LinkState, Mirror
from app.gui.panels.models_panel import ModelsPanel
from app.gui.panels.servers_panel import ServersPanel
from app.gui.preferences import Preferences
from app.gui.theme import theme
from app.gui.widgets.notice_bar import NoticeBar
from app.gui.widgets.sparkline import load_pyqtgraph
from app.gui.workers.connection import Connection
from app.gui.workers.server_launcher import Launched
from app.wire.errors import AppError
from app.wire.nouns import ForeignServer, Profile

_LOG_BYTES = 512 * 1024
_PATIENCE_MS = 700


class Parts(QObject):
    """The panels, the session behind them and the commands; `ended` comes when all has ended."""

    ended = Signal()

    def __init__(self, window: QMainWindow, memory: QSettings, url: str | None) -> None:
        super().__init__(window)
        self._window = window
        self._memory = memory
        self._logs: dict[str, LogView] = {}
        self._is_ending = False
        self._progress: QuitProgress | None = None
        self.preferences = Preferences()
        theme().set_mode(str(self.preferences.value("appearance")))
        self.mirror = Mirror(self)
        self.session = Session(self.mirror, url, self)
        self.profiles = ProfileActions(self.session, window)
        self.connecting = ConnectActions(self.session, window)
        self.downloads = DownloadActions(self.session, window)
        self.settings = SettingsActions(self.session, self.preferences, window)
        self.models_panel = ModelsPanel(self.mirror)
        self.servers_panel = ServersPanel(self.mirror)
        self.inspector = Inspector()
        self.inspecting = Inspecting(self.session, self.inspector)
        self.notice = NoticeBar()
        self.status = StatusLine(self.mirror)
        self._lay_out()
        self.actions_by_id = build_menus(window, self.run_command, self.settings.set_appearance)
        self._connect()
        self._restore()

    def begin(self) -> None:
        """Connect to the engine, and load what the first frame could do without."""
        self.session.begin()
        self.session.crew.run("load-plots", load_pyqtgraph, self._on_plots_loaded)

    def end(self) -> None:
        """Remember how things are and end everything in order; then `ended` is emitted."""
        self._is_ending = True
        self.columns.remember(self._memory)
        self._memory.setValue("profile", self.servers_panel.last_profile_id or "")
        if self.session.owns_engine and self.session.running_servers():
            # A stop that takes a moment needs no window of its own.
            QTimer.singleShot(_PATIENCE_MS, self, self._show_progress)
        self.session.ended.connect(self._hide_progress)
        self.session.end()

    def _show_progress(self) -> None:
        if self.session.has_ended:
            return
        self._progress = QuitProgress(self.mirror)
        self._progress.show()

    def _hide_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress.deleteLater()
            self._progress = None

    def may_quit(self) -> bool:
        """Return True when nothing speaks against it or the user agrees."""
        running = self._servers_at_stake()
        if not running or not self.preferences.value("confirm_quit"):
            return True
        agreed, asks_again = may_quit(self._window, running)
        if agreed and not asks_again:
            self.preferences.change("confirm_quit", value=False)
        return agreed

    def _lay_out(self) -> None:
        self.models_panel.setObjectName("modelsPanel")
        self.columns = Columns(self.models_panel, self.servers_panel, self.inspector)
        central = QWidget()
        column = QVBoxLayout(central)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget in (self.notice, self.columns, self.status):
            column.addWidget(widget, 1 if widget is self.columns else 0)
        self._window.setCentralWidget(central)

    def _connect(self) -> None:
        servers, models = self.servers_panel, self.models_panel
        servers.start_requested.connect(self.session.start)
        servers.stop_requested.connect(self.session.stop)
        servers.kill_requested.connect(self.session.kill)
        servers.restart_requested.connect(self.session.restart)
        servers.remove_requested.connect(self._remove_server)
        servers.log_requested.connect(self.show_log)
        servers.copy_url_requested.connect(self._copy_address)
        servers.edit_requested.connect(self.profiles.edit)
        servers.new_requested.connect(self._on_new_profile)
        servers.show_file_requested.connect(self._open_path)
        servers.foreign_stop_requested.connect(self._stop_foreign)
        models.run_requested.connect(servers.expect_model)
        models.run_requested.connect(self.profiles.run_model)
        models.new_profile_requested.connect(self.profiles.create)
        models.reveal_requested.connect(self._reveal_model)
        models.copy_id_requested.connect(self._copy)
        models.download_requested.connect(self.downloads.begin)
        models.download_action_requested.connect(self.downloads.act)
        models.delete_requested.connect(self.downloads.delete_model)
        self.downloads.told.connect(self._tell)
        self.status.address_clicked.connect(self._copy_address)
        self.session.failed.connect(self._on_failed)
        self.session.connected.connect(self._on_connected)
        self.session.launched.connect(self._on_launched)
        self.session.ended.connect(self.ended)
        for actions in (self.profiles, self.settings, self.connecting):
            actions.failed.connect(self._on_failed)
        self.settings.told.connect(self._tell)
        self.connecting.told.connect(self._tell)
        self.connecting.given_up.connect(self._offer_key)
        self.profiles.saved.connect(self._on_profile_saved)
        self.settings.appearance_changed.connect(self._show_appearance)
        self.mirror.link_changed.connect(self._on_link_changed)
        self.mirror.profiles_changed.connect(self._refresh_commands)
        servers.selection_changed.connect(self._refresh_commands)
        servers.header.picker.chosen.connect(self._refresh_commands)
        self.mirror.server_changed.connect(self._refresh_commands)
        self._show_appearance()
        self._refresh_commands()

    def run_command(self, command_id: str) -> None:
        """Do what a menu entry or its key stands for."""
        selected = self.servers_panel.selected_id()
        profile_id = self.servers_panel.last_profile_id
        on_server = {
            "restart": self.session.restart,
            "stop": self.session.stop,
            "log": self.show_log,
            "remove": self._remove_server,
        }
        on_profile = {
            "edit_profile": self.profiles.edit,
            "delete_profile": self.profiles.delete,
        }
        if command_id in on_server:
            if selected is not None:
                on_server[command_id](selected)
        elif command_id in on_profile:
            if profile_id is not None:
                on_profile[command_id](profile_id)
        else:
            self._plain_commands()[command_id]()

    def _plain_commands(self) -> dict[str, Callable[[], object]]:
        return {
            "new_profile": self._on_new_profile,
            "connect": self._ask_for_engine,
            "own_engine": self._use_own_engine,
            "settings": self.settings.open,
            "hide": self._window.showMinimized,
            "quit": self._window.close,
            "find": self.models_panel.focus_search,
            "rescan": self._rescan,
            "copy_address": self._copy_address,
            "start": self.servers_panel.start_chosen,
            "picker": self.servers_panel.focus_picker,
            "models_half": self.models_panel.focus_list,
            "servers_half": self.servers_panel.focus_picker,
            "open_logs": lambda: self._open_path(str(paths.logs())),
            "about": self._show_about,
        }

    def show_log(self, server_id: str) -> None:
        """Open the log of a server, which follows it while it is open."""
        view = self._logs.get(server_id)
        if view is None:
            server = self.mirror.servers.get(server_id)
            view = LogView(server_id, server.name if server else server_id, self._window)
            view.refresh_wanted.connect(self._refresh_log)
            view.finished.connect(lambda: self._forget_log(server_id))
            self._logs[server_id] = view
        view.show()
        view.raise_()

    def _on_plots_loaded(self, _result: object) -> None:
        self.servers_panel.enable_plots()

    def _on_connected(self, connection: Connection) -> None:
        self.notice.hide()
        note = connection.info.gateway_note
        if note:
            self._tell(note, is_bad=connection.info.open_bind)

    def _on_launched(self, launched: Launched) -> None:
        # A failed start is told by its tile; a notice would say the same twice.
        if launched.server.failure is None:
            self.notice.hide()

    def _on_failed(self, error: AppError) -> None:
        if not self.connecting.show_error(error):
            self._tell(f"{error.message} {error.hint}".strip(), is_bad=True)

    def _on_link_changed(self, state: LinkState) -> None:
        if state is LinkState.STALE and not self._is_ending:
            text = self.mirror.link_text
            if self.mirror.engine is not None:
                text = self.tr("{} The last figures stay in sight.").format(text)
            is_own = self.session.url is None
            again = self.tr("Start the engine again") if is_own else self.tr("Connect again")
            self.notice.show_notice(text, action_text=again, action=self.session.reconnect)
        elif state is LinkState.LIVE and self.notice.offers_action:
            self.notice.hide()
        self._refresh_commands()

    def _ask_for_engine(self) -> None:
        running = self._servers_at_stake()
        if running and not may_leave(self._window, running):
            return
        self.connecting.ask()

    def _use_own_engine(self) -> None:
        if self.mirror.link is not LinkState.LIVE and self.session.url is None:
            self.session.reconnect()
        elif not self.session.owns_engine:
            self.session.switch(None)

    def _offer_key(self) -> None:
        self.notice.show_notice(
            self.mirror.link_text,
            action_text=self.tr("Type the key"),
            action=self.session.reconnect,
        )

    def _on_profile_saved(self, profile: Profile) -> None:
        self.servers_panel.last_profile_id = profile.id

    def _on_new_profile(self, _nothing: object = None) -> None:
        self.profiles.create()

    def _remove_server(self, server_id: str) -> None:
        self.session.call("remove", lambda api: api.remove_server(server_id))

    def _stop_foreign(self, server: ForeignServer) -> None:
        self.session.call("stop-foreign", lambda api: api.stop_foreign(server.id))

    def _rescan(self) -> None:
        self.session.call("rescan", lambda api: api.scan_models())

    def _refresh_log(self, server_id: str) -> None:
        def show(text: str) -> None:
            if (view := self._logs.get(server_id)) is not None:
                view.set_text(text)

        self.session.call(
            "log", lambda api: api.server_log(server_id, max_bytes=_LOG_BYTES), show, show_nothing
        )

    def _forget_log(self, server_id: str) -> None:
        view = self._logs.pop(server_id, None)
        if view is not None:
            view.deleteLater()

    def _copy_address(self, _server_id: object = None) -> None:
        if self.mirror.engine is not None:
            self._copy(f"{self.mirror.engine.gateway_url}/v1")

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self._tell(self.tr("Copied {}").format(text))

    def _reveal_model(self, model_id: str) -> None:
        model = self.mirror.models.get(model_id)
        if model is not None:
            self._open_path(model.path)

    def _open_path(self, path: str) -> None:
        target = Path(path)
        folder = target if target.is_dir() else target.parent
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self._tell(self.tr("{} could not be opened here.").format(folder), is_bad=True)

    def _tell(self, text: str, *, is_bad: bool = False) -> None:
        self.notice.show_notice(text, is_bad=is_bad)

    def _show_about(self) -> None:
        dialog = AboutDialog(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _show_appearance(self) -> None:
        self.actions_by_id[f"appearance_{theme().mode}"].setChecked(True)

    def _refresh_commands(self, _changed: object = None) -> None:
        selected = self.servers_panel.selected_id()
        server = self.mirror.servers.get(selected) if selected else None
        # What the engine cannot hear cannot be asked for.
        is_heard = server is not None and not self.mirror.is_stale
        is_active = server is not None and server.state.is_active
        actions = self.actions_by_id
        for name in ("start", "edit_profile", "delete_profile"):
            actions[name].setEnabled(self.servers_panel.last_profile_id in self.mirror.profiles)
        actions["restart"].setEnabled(is_heard)
        actions["stop"].setEnabled(is_heard and is_active)
        actions["log"].setEnabled(is_heard)
        actions["remove"].setEnabled(is_heard and not is_active)
        actions["copy_address"].setEnabled(self.mirror.engine is not None)

    def _servers_at_stake(self) -> list[str]:
        """Return the names of the servers that end with this connection."""
        is_live = self.mirror.link is LinkState.LIVE
        return self.session.running_servers() if is_live and self.session.owns_engine else []

    def _restore(self) -> None:
        self.columns.restore(self._memory)
        profile = self._memory.value("profile")
        if isinstance(profile, str) and profile:
            self.servers_panel.last_profile_id = profile


def show_nothing(_error: AppError) -> None:
    """Leave the log view as it is: it asks again in a second."""
