"""The settings window, made from the settings table: every change counts at once."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.dialogs.app_key_card import AppKeyCard
from app.gui.dialogs.defaults_card import DefaultsCard
from app.gui.dialogs.leftovers_row import LeftoversRow
from app.gui.dialogs.named_keys import NamedKeysCard
from app.gui.dialogs.setting_row import SettingRow
from app.gui.theme import theme
from app.gui.widgets import icons
from app.wire.settings import SETTINGS, SettingState, SettingValue

_WIDTH: Final = 640
_TAB_ICON: Final = 20
_AROUND: Final = 230
"""Pixels of the screen that a page leaves to tabs, foot and the window's own frame."""
_LEAST: Final = 300
_PAGE_ICONS: Final = {
    "General": "settings",
    "Models & storage": "hard-drive",
    "Servers & memory": "server",
    "Network & keys": "key",
    "Advanced": "sliders-horizontal",
}
_OTHER_ICON: Final = "settings"
_KEY_PAGE: Final = "Network & keys"
_WITH_KEYS: Final = "require_key"
"""The setting that stands with the keys it is about."""
_STORAGE_PAGE: Final = "Models & storage"
_SERVERS_PAGE: Final = "Servers & memory"


class SettingsDialog(QDialog):
    """Tells each choice as it is made; whoever saves it reports back with states or an error."""

    changed = Signal(object)  # tuple[str, SettingValue]
    key_wanted = Signal()
    """The user wants to type the key that this app uses."""
    key_forgotten = Signal()

    def __init__(
        self,
        states: Mapping[str, SettingState],
        parent: QWidget | None = None,
        *,
        without: Collection[str] = (),
    ) -> None:
        """Show all settings but those that are named in `without`."""
        super().__init__(parent)
        self.setObjectName("settings")
        self._without = without
        self._rows: dict[str, SettingRow] = {}
        self._boxes: list[QVBoxLayout] = []
        self._tabs = QButtonGroup(self)
        self._pages = QStackedWidget(self)
        self._app_key = AppKeyCard(self)
        self._app_key.set_button.clicked.connect(self.key_wanted)
        self._app_key.forget_button.clicked.connect(self.key_forgotten)
        self.named_keys = NamedKeysCard(self)
        self.named_keys.resized.connect(self._fit)
        self.defaults = DefaultsCard(self)
        self.leftovers = LeftoversRow(self)
        self._titles = tuple(dict.fromkeys(setting.page for setting in SETTINGS))
        for title in self._titles:
            self._pages.addWidget(self._make_page(title))
        self._lay_out()
        self.set_states(states)
        theme().changed.connect(self._paint_icons)
        self._paint_icons()
        self.show_page(self._titles[0])
        # Like a Mac, with no control chosen; Tab goes to the first.
        self.setFocus()

    def set_states(self, states: Mapping[str, SettingState]) -> None:
        """Show these values; settings that are not named keep theirs."""
        for name, state in states.items():
            if name in self._rows:
                self._rows[name].set_state(state)
        self._fit()

    def show_error(self, name: str, message: str) -> None:
        """Say at the setting why its last choice was not taken, and turn to its page."""
        if name in self._rows:
            self._rows[name].show_error(message)
            self.show_page(next(s.page for s in SETTINGS if s.name == name))

    def offer(self, name: str, text: str, act: Callable[[], object]) -> None:
        """Put a button beside a setting, or with an empty text take it away."""
        self._rows[name].offer(text, act)
        self._fit()

    def show_app_key(self, engine: str, *, is_stored: bool) -> None:
        """Tell whether this app has a key for an engine; it needs none for its own, named ""."""
        self._app_key.show_engine(engine, is_stored=is_stored)
        self._app_key.setVisible(bool(engine))
        self._fit()

    def show_page(self, title: str) -> None:
        """Turn to a page of the table."""
        number = self._titles.index(title)
        self._pages.setCurrentIndex(number)
        self._fit()
        self._tabs.button(number).setChecked(True)
        self.setWindowTitle(title)

    def _fit(self) -> None:
        """Give the window the height of the current page, as far as the screen has room."""
        if not 0 <= self._pages.currentIndex() < len(self._boxes):
            return
        box = self._boxes[self._pages.currentIndex()]
        room = self.screen().availableGeometry().height() - _AROUND
        self._pages.setFixedHeight(min(box.totalHeightForWidth(_WIDTH), max(room, _LEAST)))
        self._stay_on_screen()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._stay_on_screen()

    def _stay_on_screen(self) -> None:
        """Move up when the page would end below the screen."""
        room, frame = self.screen().availableGeometry(), self.frameGeometry()
        if self.isVisible() and (below := frame.bottom() - room.bottom()) > 0:
            self.move(frame.x(), max(room.top(), frame.y() - below))

    def _make_page(self, title: str) -> QWidget:
        rows: list[QWidget] = []
        for setting in SETTINGS:
            if setting.page == title and setting.name not in self._without:
                row = SettingRow(setting)
                row.chosen.connect(partial(self._on_chosen, setting.name))
                self._rows[setting.name] = row
                if setting.name == _WITH_KEYS:
                    self.named_keys.put_first(row)
                else:
                    rows.append(row)
        if title == _STORAGE_PAGE:
            rows.append(self.leftovers)
        card = QFrame()
        card.setObjectName("settingsCard")
        inner = QVBoxLayout(card)
        inner.setContentsMargins(0, 2, 0, 2)
        inner.setSpacing(0)
        for number, row in enumerate(rows):
            if number:
                inner.addWidget(_separator())
            inner.addWidget(row)
        page = QWidget()
        page.setObjectName("settingsPage")
        layout = QVBoxLayout(page)
        layout.setContentsMargins(20, 20, 20, 0)
        layout.addWidget(card)
        if title == _KEY_PAGE:
            layout.addSpacing(16)
            layout.addWidget(self.named_keys)
            layout.addWidget(self._app_key)
        if title == _SERVERS_PAGE:
            layout.addSpacing(16)
            layout.addWidget(self.defaults)
        layout.addStretch(1)
        self._boxes.append(layout)
        area = QScrollArea()
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setObjectName("settingsScroll")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(page)
        return area

    def _lay_out(self) -> None:
        bar = QFrame(self)
        bar.setObjectName("settingsBar")
        bar.setFixedWidth(_WIDTH)
        tabs = QHBoxLayout(bar)
        tabs.setContentsMargins(12, 8, 12, 8)
        tabs.setSpacing(4)
        tabs.addStretch()
        for number, title in enumerate(self._titles):
            tab = QToolButton(bar)
            tab.setObjectName("settingsTab")
            # Qt would take a single & for a key.
            tab.setText(title.replace("&", "&&"))
            tab.setAccessibleName(title)
            tab.setFont(theme().font("label"))
            tab.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            tab.setIconSize(QSize(_TAB_ICON, _TAB_ICON))
            tab.setCheckable(True)
            tab.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            tab.setMinimumWidth(92)
            tab.clicked.connect(partial(self.show_page, title))
            self._tabs.addButton(tab, number)
            tabs.addWidget(tab)
        tabs.addStretch()
        close = QPushButton(self.tr("Close"), self)
        # No default button: Enter in a field belongs to the field.
        close.setAutoDefault(False)
        close.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.setContentsMargins(20, 16, 20, 20)
        foot.addStretch()
        foot.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.setSizeConstraint(QVBoxLayout.SizeConstraint.SetFixedSize)
        layout.addWidget(bar)
        layout.addWidget(self._pages, 1)
        layout.addLayout(foot)

    def _on_chosen(self, name: str, value: SettingValue) -> None:
        self.changed.emit((name, value))

    def _paint_icons(self) -> None:
        tokens = theme().tokens
        for number, title in enumerate(self._titles):
            name = _PAGE_ICONS.get(title, _OTHER_ICON)
            picture = icons.icon(name, tokens.tx2, _TAB_ICON)
            for scale in (1.0, 2.0):
                chosen = icons.pixmap(name, tokens.acc, _TAB_ICON, scale)
                picture.addPixmap(chosen, QIcon.Mode.Normal, QIcon.State.On)
            self._tabs.button(number).setIcon(picture)


def _separator() -> QFrame:
    line = QFrame()
    line.setObjectName("settingsLine")
    line.setFixedHeight(1)
    return line
