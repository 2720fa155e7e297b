"""What connects the servers half to the engine, the menus and the memory of the window."""

from collections.abc import Mapping
from functools import partial

from PySide6.QtCore import QCoreApplication, QObject
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QWidget

from app.gui.main_window.pace import Pace
from app.gui.main_window.profile_actions import ProfileActions
from app.gui.main_window.session import Session
from app.gui.main_window.starting import Starting
from app.gui.memory import Memory
from app.gui.panels.models_panel import ModelsPanel
from app.gui.panels.servers_panel import ServersPanel
from app.gui.preferences import Preferences
from app.wire.nouns import Profile, Server

_ROWS = "server_rows"
_ON_SERVER = ("restart", "stop", "log", "remove")


def _tr(text: str) -> str:
    return QCoreApplication.translate("commands", text)


def name_commands(
    actions: Mapping[str, QAction], server: Server | None, profile: Profile | None
) -> None:
    """Let commands for one server or profile say which one they mean."""
    texts = {
        "restart": (_tr("Restart {name}"), _tr("Restart selected server")),
        "stop": (_tr("Stop {name}"), _tr("Stop selected server")),
        "log": (_tr("Show log of {name}"), _tr("Show log")),
        "remove": (_tr("Remove tile of {name}"), _tr("Remove tile")),
        "start": (_tr("Start {name}"), _tr("Start chosen profile")),
    }
    for command, (named, plain) in texts.items():
        target = server if command in _ON_SERVER else profile
        # An ampersand in a name would become the mark of a letter.
        text = plain if target is None else named.format(name=target.name.replace("&", "&&"))
        if actions[command].text() != text:
            actions[command].setText(text)


class Dashboard(QObject):
    """Looks at the memory before a start, copies addresses, remembers rows, and sets the pace."""

    def __init__(
        self, session: Session, panel: ServersPanel, profiles: ProfileActions, window: QWidget
    ) -> None:
        super().__init__(window)
        self._mirror = session.mirror
        self._panel = panel
        self.starting = Starting(session, window)
        self.pace = Pace(window, session.set_pace)
        session.connected.connect(self.starting.forget)
        session.starter = self.starting.start
        panel.run_requested.connect(panel.expect_model)
        panel.run_requested.connect(profiles.run_model)
        panel.start_requested.connect(self.starting.start)
        session.refused.connect(panel.release)
        # Not by the server's state: a crash, a request or another window starts servers, too.
        self.starting.begun.connect(panel.header.picker.profiles.put_first)
        self.starting.checking.connect(panel.header.show_checked)
        panel.room_requested.connect(self.starting.make_room)
        panel.python_requested.connect(partial(profiles.edit, field="python"))
        panel.preview.plan_wanted.connect(self._on_plan_wanted)
        panel.copy_url_requested.connect(self._copy_address)

    def follow(self, preferences: Preferences, models: ModelsPanel) -> None:
        """Move as little as the user wants, and preview the model that is pointed at."""
        self._panel.board.may_animate = lambda: not preferences.value("reduce_motion")
        self._panel.preview.watch_models(models.view)

    def remember(self, memory: Memory) -> None:
        """Write down whether rows were chosen."""
        chosen = self._panel.board.wants_rows()
        memory.set_value(_ROWS, "" if chosen is None else str(int(chosen)))

    def restore(self, memory: Memory) -> None:
        """Show rows or tiles as they were chosen the last time."""
        chosen = str(memory.value(_ROWS) or "")
        if chosen in ("0", "1"):
            self._panel.board.choose_rows(chosen == "1")

    def turn_rows(self) -> None:
        """Show rows in place of tiles, or the other way round."""
        board = self._panel.board
        board.choose_rows(not board.is_rows)

    def refresh_commands(self, actions: Mapping[str, QAction]) -> None:
        """Let the menus name what they act on."""
        selected = self._panel.selected_id()
        server = self._mirror.servers.get(selected) if selected else None
        profile = self._mirror.profiles.get(self._panel.last_profile_id or "")
        name_commands(actions, server, profile)
        is_rows = self._panel.board.is_rows
        actions["rows"].setText(_tr("Show servers as tiles") if is_rows else _tr("Compact servers"))

    def _on_plan_wanted(self, profile_id: str) -> None:
        self.starting.fetch(profile_id, self._panel.preview.take_plan)

    def _copy_address(self, server_id: str) -> None:
        if url := self._mirror.base_url(server_id):
            QGuiApplication.clipboard().setText(url)
            self._panel.tell_copied(server_id)
