"""The page of one server: what it is and how it is, above five tabs."""

import sys
import time
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout

from app.gui import format as fmt
from app.gui.inspector.page import InspectorPage
from app.gui.inspector.server.connect import ConnectTab
from app.gui.inspector.server.log import LogTab
from app.gui.inspector.server.overview import OverviewTab
from app.gui.inspector.server.requests import RequestsTab
from app.gui.inspector.server.tab import Host, Tab
from app.gui.inspector.server.try_chat import TryTab
from app.gui.inspector.server.words import state_word
from app.gui.mirror import Mirror
from app.gui.theme import theme
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.pill import Pill
from app.gui.widgets.segments import Segments

TABS = ("overview", "requests", "log", "try", "connect")
_SIDE = 20
_CONTROL = "Meta" if sys.platform == "darwin" else "Ctrl"


def key_of(server_id: str) -> str:
    """Return the key of a server's page."""
    return f"server:{server_id}"


class ServerPage(InspectorPage):
    """Shows one server as long as its profile or its tile is there."""

    tab_chosen = Signal(object)  # str, one of TABS

    def __init__(self, host: Host, server_id: str, tab: str = TABS[0]) -> None:
        self._host = host
        self.server_id = server_id
        super().__init__(key_of(server_id), *self._titles())
        self.segments = Segments(
            [self.tr("Overview"), self.tr("Requests"), self.tr("Log"), self.tr("Try"),
             self.tr("Connect")], self,
        )  # fmt: skip
        self.segments.setAccessibleName(self.tr("Parts of this page"))
        self._pill = Pill(theme().font("label"), self)
        self._since = ElidedLabel(theme().font("secondary"), parent=self)
        self._stack = QStackedWidget(self)
        self._made: dict[str, Tab] = {}
        self._lay_out()
        self._add_keys()
        self.segments.chosen.connect(self._on_segment)
        mirror = self._mirror
        mirror.server_changed.connect(self._on_server_changed)
        mirror.server_removed.connect(self._on_server_removed)
        mirror.profiles_changed.connect(self._on_profiles_changed)
        mirror.link_changed.connect(self._refresh)
        mirror.sampled.connect(self._refresh_state)
        theme().changed.connect(self._refresh_state)
        self.show_tab(tab)
        self._refresh_state()

    @property
    def tab(self) -> str:
        """The tab in sight, one of TABS."""
        return TABS[self.segments.index]

    def show_tab(self, name: str) -> None:
        """Bring a tab to the front."""
        index = TABS.index(name) if name in TABS else 0
        self.segments.choose(index)
        self._bring(TABS[index])

    def current(self) -> Tab:
        """Return the tab in sight."""
        return self._made[self.tab]

    def leave(self) -> None:
        """End what goes on in the background; the window is about to end."""
        for tab in self._made.values():
            tab.leave()

    @property
    def _mirror(self) -> Mirror:
        return self._host.mirror

    def _lay_out(self) -> None:
        state = QHBoxLayout()
        state.setSpacing(8)
        state.addWidget(self._pill)
        state.addWidget(self._since, 1)
        head = QVBoxLayout()
        head.setContentsMargins(_SIDE, 0, _SIDE, 12)
        head.setSpacing(12)
        head.addLayout(state)
        head.addWidget(self.segments)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self._stack, 1)

    def _add_keys(self) -> None:
        # Inside text fields these arrows move by words; a field takes them before a shortcut.
        for keys, step in (
            (f"{_CONTROL}+Tab", 1), (f"{_CONTROL}+Shift+Tab", -1),
            ("Ctrl+Right", 1), ("Ctrl+Left", -1),
        ):  # fmt: skip
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(partial(self._step, step))

    def _step(self, by: int) -> None:
        had_bar = self.segments.isAncestorOf(self.window().focusWidget() or self)
        self.segments.choose((self.segments.index + by) % len(TABS))
        if had_bar:
            self.segments.button(self.segments.index).setFocus()
        else:
            self.current().focus_first()

    def _on_segment(self, index: int) -> None:
        self._bring(TABS[index])
        self.tab_chosen.emit(TABS[index])

    def _bring(self, name: str) -> None:
        """Show a tab; it is made when it is wanted first, because most never are."""
        if name not in self._made:
            makers = {
                "overview": OverviewTab, "requests": RequestsTab, "log": LogTab, "try": TryTab,
                "connect": ConnectTab,
            }  # fmt: skip
            tab: Tab = makers[name](self._host, self.server_id)
            self._made[name] = tab
            self._stack.addWidget(tab)
        self._stack.setCurrentWidget(self._made[name])

    def _titles(self) -> tuple[str, str]:
        server = self._host.mirror.servers.get(self.server_id)
        profile = self._host.mirror.profiles.get(self.server_id)
        name = profile.name if profile else server.name if server else self.server_id
        model = server.model if server else profile.model if profile else ""
        return name, model.rstrip("/").rsplit("/", 1)[-1]

    def _on_server_changed(self, server: object) -> None:
        if getattr(server, "id", None) == self.server_id:
            self._refresh()

    def _on_server_removed(self, server_id: object) -> None:
        if server_id == self.server_id:
            self._on_profiles_changed()

    def _on_profiles_changed(self) -> None:
        if self._mirror.servers.get(self.server_id) or self._mirror.profiles.get(self.server_id):
            self._refresh()
        else:
            self.closing_wanted.emit()

    def _refresh(self, _changed: object = None) -> None:
        self.retitle(*self._titles())
        self._refresh_state()
        self.current().refresh()

    def _refresh_state(self, _changed: object = None) -> None:
        mirror, t = self._mirror, theme()
        server = mirror.servers.get(self.server_id)
        word = state_word(server, mirror)
        self._pill.set_state(word.text, t.color(word.ink), t.color(word.tint))
        text = word.since
        if mirror.is_stale and mirror.stale_since is not None:
            ago = fmt.ago(time.time() - mirror.stale_since)
            text = self.tr("No word from the engine; last figures {ago}").format(ago=ago)
        self._since.set_colour(t.color("tx2"))
        self._since.setText(text)
