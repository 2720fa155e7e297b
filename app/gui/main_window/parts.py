"""What fills the main window: models on the left, servers on the right, and what connects them."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMainWindow, QVBoxLayout, QWidget

from app import paths
from app.gui.dialogs.about import AboutDialog
from app.gui.dialogs.quit_progress import QuitProgress
from app.gui.inspector.frame import Inspector
from app.gui.main_window.columns import Columns
from app.gui.main_window.commands import build_menus
from app.gui.main_window.connect_actions import ConnectActions
from app.gui.main_window.dashboard import Dashboard
from app.gui.main_window.download_actions import DownloadActions
from app.gui.main_window.hub_calls import HUB_PAGE, hub_calls
from app.gui.main_window.inspecting import Inspecting
from app.gui.main_window.model_actions import ModelActions
from app.gui.main_window.offer import Offer
from app.gui.main_window.profile_actions import ProfileActions
from app.gui.main_window.questions import may_quit
from app.gui.main_window.quick_ways import QuickWays
from app.gui.main_window.recovery import Recovery
from app.gui.main_window.report_actions import ReportActions
from app.gui.main_window.session import Session
from app.gui.main_window.settings_actions import SettingsActions
from app.gui.main_window.status_line import StatusLine
from app.gui.memory import Memory
from app.gui.mirror import Mirror
from app.gui.panels.models_panel import ModelsPanel
from app.gui.panels.servers_panel import ServersPanel
from app.gui.preferences import Preferences
from app.gui.theme import theme
from app.gui.widgets.notice_bar import NoticeBar
from app.gui.widgets.sparkline import load_pyqtgraph
from app.gui.workers.connection import Connection
from app.gui.workers.server_launcher import Launched
from app.wire.errors import AppError
from app.wire.nouns import ForeignServer, Profile, Server

_PATIENCE_MS = 700


class Parts(QObject):
    """The panels, the session behind them and the commands; `ended` comes when all has ended."""

    ended = Signal()
    hide_wanted = Signal()

    def __init__(self, window: QMainWindow, memory: Memory, url: str | None) -> None:
        super().__init__(window)
        self._window = window
        self._memory = memory
        self._progress: QuitProgress | None = None
        self.preferences = Preferences(memory.saver)
        theme().set_mode(str(self.preferences.value("appearance")))
        self.mirror = Mirror(self)
        self.session = Session(self.mirror, url, self)
        self.profiles = ProfileActions(self.session, window)
        self.reports = ReportActions(self.session, self.preferences, window)
        self.connecting = ConnectActions(self.session, memory, window)
        self.downloads = DownloadActions(self.session, window)
        self.model_actions = ModelActions(
            self.session, self.profiles, self.downloads, memory, window
        )
        self.settings = SettingsActions(self.session, self.preferences, self.connecting, window)
        self.models_panel = ModelsPanel(self.mirror, hub_calls(self.session))
        self.servers_panel = ServersPanel(self.mirror)
        self.dashboard = Dashboard(self.session, self.servers_panel, self.profiles, window)
        self.dashboard.follow(self.preferences, self.models_panel)
        self.inspector = Inspector()
        self.inspecting = Inspecting(self.session, self.inspector)
        self.notice = NoticeBar()
        self.status = StatusLine(self.mirror)
        empty = self.servers_panel.empty
        self.recovery = Recovery(self.session, self.notice, empty, window)
        self.recovery.log_wanted.connect(self._open_file)
        self._lay_out()
        self.actions_by_id = build_menus(window, self.run_command, self.settings.set_appearance)
        self.quick = QuickWays(
            self.session, self.model_actions, self.actions_by_id, self._deeds(), memory, window
        )
        self._connect()
        self._restore()

    def begin(self) -> None:
        """Connect to the engine, and load what the first frame could do without."""
        self.session.begin()
        plots = self.servers_panel.enable_plots
        self.session.crew.run("load-plots", load_pyqtgraph, lambda _result: plots())

    def end(self) -> None:
        """Remember how things are and end everything in order; then `ended` is emitted."""
        self.columns.remember(self._memory)
        self.dashboard.remember(self._memory)
        self._memory.set_value("profile", self.servers_panel.last_profile_id or "")
        recent = self.servers_panel.header.picker.profiles.recent
        self._memory.set_value("recent_profiles", "\n".join(recent))
        if self.session.servers_at_stake():
            # A stop that takes a moment needs no window of its own.
            QTimer.singleShot(_PATIENCE_MS, self, self._show_progress)
        self.session.ended.connect(self._hide_progress)
        self.session.end()

    def _show_progress(self) -> None:
        if self.session.has_ended:
            return
        self._progress = QuitProgress(self.session.own_mirror)
        self._progress.show()

    def _hide_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress.deleteLater()
            self._progress = None

    def may_quit(self) -> bool:
        """Return True when nothing speaks against it or the user agrees."""
        if self.profiles.form is not None and not self.profiles.form.may_close():
            return False
        running = self.session.servers_at_stake()
        if not running or not self.preferences.value("confirm_quit"):
            return True
        agreed, asks_again = may_quit(self._window, running, self.mirror.place)
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
        column.addWidget(self.columns, 1)
        column.addWidget(self.status)
        self.notice.float_over(
            central, above=self.status, spares=self.models_panel, beside=self.inspector
        )
        self._window.setCentralWidget(central)

    def _connect(self) -> None:
        servers, models = self.servers_panel, self.models_panel
        servers.stop_requested.connect(self.session.stop)
        servers.kill_requested.connect(self.session.kill)
        servers.restart_requested.connect(self.session.restart)
        servers.remove_requested.connect(self.session.remove)
        servers.inspect_requested.connect(self.inspecting.show_server)
        servers.model_requested.connect(self.inspecting.show_model)
        servers.board.density_changed.connect(self._refresh_commands)
        servers.edit_requested.connect(self.profiles.edit)
        servers.new_requested.connect(self._on_new_profile)
        servers.header.command_requested.connect(self.run_command)
        servers.import_requested.connect(self.profiles.transfer.import_predecessor)
        servers.show_file_requested.connect(self._open_path)
        servers.foreign_stop_requested.connect(self._stop_foreign)
        models.run_requested.connect(servers.expect_model)
        models.run_requested.connect(self.profiles.run_model)
        models.new_profile_requested.connect(self.profiles.create)
        models.reveal_requested.connect(self._reveal_model)
        models.copy_id_requested.connect(self._copy)
        models.open_page_requested.connect(self._open_page)
        models.download_requested.connect(self.downloads.begin)
        models.download_action_requested.connect(self.downloads.act)
        self._connect_models()
        self.status.address_clicked.connect(self._copy_address)
        self.session.failed.connect(self._on_failed)
        self.session.connected.connect(self._on_connected)
        self.session.launches.launched.connect(self._on_launched)
        self.session.ended.connect(self.ended)
        for actions in (self.profiles, self.settings, self.connecting, self.reports):
            actions.failed.connect(self._on_failed)
        self.downloads.follow(self.actions_by_id)
        servers.header.engine_switch.menu_wanted.connect(self.connecting.fill_menu)
        self.connecting.serve(self.actions_by_id["engines"])
        for actions in (self.settings, self.connecting, self.reports):
            actions.told.connect(self._tell)
        models.downloads.setting_requested.connect(self.settings.open_at)
        self.connecting.given_up.connect(self._offer_key)
        self.profiles.saved.connect(self._on_profile_saved)
        self.profiles.offered.connect(self._offer)
        self.settings.appearance_changed.connect(self._show_appearance)
        self.mirror.link_changed.connect(self._refresh_commands)
        self.mirror.profiles_changed.connect(self._refresh_commands)
        servers.selection_changed.connect(self._refresh_commands)
        servers.header.picker.chosen.connect(self._refresh_commands)
        self.mirror.server_changed.connect(self._on_server_changed)
        self._show_appearance()
        self._refresh_commands()

    def _connect_models(self) -> None:
        actions = self.model_actions
        actions.failed.connect(self._on_failed)
        actions.offered.connect(self._offer)
        actions.copied.connect(self._copy)
        actions.reveal_wanted.connect(self._open_path)
        actions.serve(self.models_panel, self.inspecting)

    def run_command(self, command_id: str) -> None:
        """Do what a menu entry or its key stands for."""
        selected = self.servers_panel.selected_id()
        profile_id = self.servers_panel.last_profile_id
        on_server = {
            "restart": self.session.restart,
            "stop": self.session.stop,
            "log": self.inspecting.show_log,
            "remove": self.session.remove,
        }
        on_profile = self.profiles.profile_commands()
        if command_id in on_server:
            if selected is not None:
                on_server[command_id](selected)
        elif command_id in on_profile:
            if profile_id is not None:
                on_profile[command_id](profile_id)
        else:
            self._plain_commands()[command_id]()

    def _deeds(self) -> dict[str, Callable[[str], object]]:
        """Return what the palette does with a profile, a server or a model."""
        return {
            "start": self.dashboard.starting.start,
            "edit": self.profiles.edit,
            "stop": self.session.stop,
            "restart": self.session.restart,
            "log": self.inspecting.show_log,
            "show": self.inspecting.show_model,
            "run": self.profiles.run_model,
        }

    def _plain_commands(self) -> dict[str, Callable[[], object]]:
        return {
            **self.profiles.commands(),
            **self.quick.commands(),
            **self.downloads.commands(),
            "new_profile": self._on_new_profile,
            "connect": self.connecting.ask,
            "own_engine": self.connecting.use_own,
            "settings": self.settings.open,
            "hide": self.hide_wanted.emit,
            "quit": self._window.close,
            "find": self.models_panel.focus_search,
            "run_model": self.models_panel.run_current,
            "download": self.models_panel.download_current,
            "rescan": self._rescan,
            "copy_address": self._copy_address,
            "start": self.servers_panel.start_chosen,
            "picker": self.servers_panel.focus_picker,
            "models_half": self.models_panel.focus_list,
            "servers_half": self.servers_panel.focus_half,
            "rows": self.dashboard.turn_rows,
            "inspect": self._toggle_inspector,
            "open_logs": lambda: self._open_path(str(paths.logs())),
            "report": self.reports.open,
            "about": self._show_about,
        }

    def _toggle_inspector(self) -> None:
        """Close the inspector, or open it on what is selected in the half that has the keyboard."""
        if self.inspector.page is not None:
            self.inspector.close_page()
        elif self.models_panel.isAncestorOf(self._window.focusWidget() or self._window):
            self.models_panel.inspect_current()
        elif (selected := self.servers_panel.selected_id()) is not None:
            self.inspecting.show_server(selected)

    def _on_connected(self, connection: Connection) -> None:
        self.notice.clear()
        place = self.mirror.place
        title = self.tr("{} (remote)").format(place) if place else ""
        self._window.setWindowTitle(title or "MLX Model Manager")
        note = connection.info.gateway_note
        if note:
            self._tell(note, is_bad=connection.info.open_bind)

    def _on_launched(self, launched: Launched) -> None:
        # What was wrong before is over; good news stays. A failed start is told by its tile.
        if launched.server.failure is None and self.notice.is_bad:
            self.notice.clear()

    def _on_failed(self, error: AppError) -> None:
        if not self.connecting.show_error(error):
            self._tell(f"{error.message} {error.hint}".strip(), is_bad=True)

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

    def _stop_foreign(self, server: ForeignServer) -> None:
        self.session.call("stop-foreign", lambda api: api.stop_foreign(server.id))

    def _rescan(self) -> None:
        self.session.call("rescan", lambda api: api.scan_models())

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

    def _open_page(self, model_id: str) -> None:
        QDesktopServices.openUrl(QUrl(HUB_PAGE + model_id))

    def _open_file(self, path: str) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(path)):
            self._open_path(path)

    def _open_path(self, path: str) -> None:
        target = Path(path)
        folder = target if target.is_dir() else target.parent
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self._tell(self.tr("{} could not be opened here.").format(folder), is_bad=True)

    def _offer(self, offer: Offer) -> None:
        self.notice.show_notice(
            offer.text, is_bad=False, action_text=offer.action_text, action=offer.action
        )

    def _tell(self, text: str, *, is_bad: bool = False) -> None:
        self.notice.show_notice(text, is_bad=is_bad)

    def _show_about(self) -> None:
        dialog = AboutDialog(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _show_appearance(self) -> None:
        self.actions_by_id[f"appearance_{theme().mode}"].setChecked(True)

    def _on_server_changed(self, server: Server) -> None:
        # The commands are about one server; many may change at once.
        if server.id == self.servers_panel.selected_id():
            self._refresh_commands()

    def _refresh_commands(self, _changed: object = None) -> None:
        selected = self.servers_panel.selected_id()
        server = self.mirror.servers.get(selected) if selected else None
        # What the engine cannot hear cannot be asked for.
        is_heard = server is not None and not self.mirror.is_stale
        is_active = server is not None and server.state.is_active
        actions = self.actions_by_id
        profile = self.mirror.profiles.get(self.servers_panel.last_profile_id or "")
        for name in self.profiles.profile_commands():
            actions[name].setEnabled(profile is not None)
        actions["start"].setEnabled(profile is not None and profile.fault is None)
        self.profiles.refresh_commands(actions)
        actions["restart"].setEnabled(is_heard)
        actions["stop"].setEnabled(is_heard and is_active)
        actions["log"].setEnabled(is_heard)
        actions["remove"].setEnabled(is_heard and not is_active)
        actions["copy_address"].setEnabled(self.mirror.engine is not None)
        self.dashboard.refresh_commands(actions)

    def _restore(self) -> None:
        self.columns.restore(self._memory)
        self.dashboard.restore(self._memory)
        recent = str(self._memory.value("recent_profiles") or "").split()
        self.servers_panel.header.picker.profiles.set_recent(recent)
        profile = self._memory.value("profile")
        if isinstance(profile, str) and profile:
            self.servers_panel.last_profile_id = profile
