"""The head of the servers half: title, profile picker, Start, and what is wrong with a profile."""

from functools import partial

from PySide6.QtCore import QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.gui.mirror import Mirror
from app.gui.models.profile_list import ProfileList, fault_text
from app.gui.panels.engine_switch import EngineSwitch
from app.gui.panels.profile_picker import ProfilePicker
from app.gui.panels.tile_text import no_engine
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.button_icon import set_button_icon
from app.gui.widgets.elided_label import ElidedLabel, WrappedLabel
from app.wire.nouns import Profile, Server, ServerState

_BUTTON = 28
_ROW_HEIGHT = 36
_BELOW = 12
"""Pixels that a notice keeps free below itself, so that a hidden one leaves no gap."""
_ROOMY = 680
"""Pixels from which on the picker keeps its width beside the whole name of an engine."""


class FaultNotice(QWidget):
    """Tells why the chosen profile cannot be started, and where its file is."""

    show_file = Signal(object)  # str, the path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._path = ""
        self.message_label = WrappedLabel(theme().font("body"), most=3, parent=self)
        self.path_label = ElidedLabel(
            theme().font("secondary"), elide=Qt.TextElideMode.ElideMiddle, parent=self
        )
        self.button = QPushButton(self.tr("Show file"), self)
        self.button.clicked.connect(lambda: self.show_file.emit(self._path))
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self.message_label)
        texts.addWidget(self.path_label)
        row = QHBoxLayout(self)
        row.setContentsMargins(38, 8, 12, 8 + _BELOW)
        row.setSpacing(12)
        row.addLayout(texts, 1)
        row.addWidget(self.button)
        self.hide()

    def show_profile(self, profile: Profile | None, *, can_show_file: bool) -> None:
        """Tell about a broken profile; hide for a good one."""
        trouble = "" if profile is None else fault_text(profile)
        if profile is not None and trouble:
            self.message_label.setText(
                self.tr("{name} cannot be started: {trouble}").format(
                    name=profile.name, trouble=trouble
                )
            )
            self._path = profile.path
            self.path_label.setText(profile.path)
            self.button.setVisible(bool(profile.path) and can_show_file)
        self.setVisible(bool(trouble))

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        self.message_label.set_colour(theme().color("tx"))
        self.path_label.set_colour(theme().color("tx2"))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("warns"))
        card = self.rect().adjusted(0, 0, 0, -_BELOW)
        painter.drawRoundedRect(QRectF(card), 8, 8)
        mark = icons.pixmap("triangle-alert", theme().tokens.warn, 16, self.devicePixelRatioF())
        painter.drawPixmap(12, (card.height() - 16) // 2, mark)


class ServersHeader(QWidget):
    """One row of controls, and a notice while the chosen profile is broken.

    The panel places the notice where its coming and going moves nothing.
    """

    start_requested = Signal(object)  # str, a profile id
    edit_requested = Signal(object)  # str, a profile id
    new_requested = Signal()
    show_file_requested = Signal(object)  # str, a path
    command_requested = Signal(object)  # str, the id of a command for the chosen profile

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._title = QLabel(self.tr("Servers"), self)
        self._title.setFont(theme().font("page"))
        self._title.setObjectName("pageTitle")
        self.engine_switch = EngineSwitch(mirror, self)
        self.picker = ProfilePicker(ProfileList(mirror, self), self)
        self.picker.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.picker.setMaximumWidth(360)
        self.start_button = QPushButton(self.tr("Start"), self)
        self.start_button.setProperty("kind", "primary")
        self.edit_button = self._icon_button(self.tr("Edit profile"))
        self.new_button = self._icon_button(self.tr("New profile"))
        self.more_button = self._icon_button(self.tr("More for this profile"))
        self.more_button.clicked.connect(self._show_menu)
        self._checked: frozenset[str] = frozenset()
        """Profiles whose start waits for a look at the memory."""
        self.notice = FaultNotice(self)
        self._lay_out()
        self.picker.chosen.connect(self.refresh)
        self.picker.submitted.connect(self._on_start)
        self.start_button.clicked.connect(self._on_start)
        self.edit_button.clicked.connect(self._on_edit)
        self.new_button.clicked.connect(lambda: self.new_requested.emit())
        self.notice.show_file.connect(self.show_file_requested)
        self.apply_theme()
        self.refresh()

    def _icon_button(self, text: str) -> QPushButton:
        button = QPushButton(self)
        button.setObjectName("headerIcon")
        button.setFixedWidth(_BUTTON)
        button.setToolTip(text)
        button.setAccessibleName(text)
        return button

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._title)
        row.addWidget(self.engine_switch)
        row.addStretch(1)
        row.addWidget(self.picker, 8)
        row.addWidget(self.start_button)
        pair = QHBoxLayout()
        pair.setSpacing(4)
        pair.addWidget(self.edit_button)
        pair.addWidget(self.new_button)
        pair.addWidget(self.more_button)
        row.addLayout(pair)
        holder = QWidget(self)
        holder.setFixedHeight(_ROW_HEIGHT)
        holder.setLayout(row)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(holder)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.engine_switch.set_narrow(is_narrow=self.width() < _ROOMY)

    def obstacle(self) -> tuple[str, str]:
        """Return what the Start button says and why it cannot be pressed; no reason when it can."""
        profile = self.picker.profile()
        start = self.tr("Start")
        if self._mirror.is_stale:
            return start, no_engine()
        if profile is None:
            return start, self.tr("Choose a profile first.")
        if profile.id in self._checked:
            text = self.tr("Checking memory for {name}…").format(name=profile.name)
            return self.tr("Checking…"), text
        return self._obstacle_of(profile)

    def _obstacle_of(self, profile: Profile) -> tuple[str, str]:
        start = self.tr("Start")
        server = self._mirror.servers.get(profile.id)
        state = None if server is None else server.state
        match state:
            case ServerState.READY | ServerState.BUSY | ServerState.STALLED:
                return self.tr("Running"), self.tr("{name} is running.").format(name=profile.name)
            case ServerState.STARTING:
                return self.tr("Starting"), self.tr("{name} is starting.").format(name=profile.name)
            case ServerState.STOPPING:
                return self.tr("Stopping"), self.tr("{name} is stopping.").format(name=profile.name)
            case ServerState.STOPPED | ServerState.FAILED | ServerState.BACKING_OFF | None:
                trouble = fault_text(profile)
                reason = self.tr("The profile has a mistake: {trouble}").format(trouble=trouble)
                return start, reason if trouble else ""

    def show_checked(self, profile_ids: frozenset[str]) -> None:
        """Say of these profiles that their start waits for a look at the memory."""
        self._checked = profile_ids
        self.refresh()

    def follow(self, server: Server) -> None:
        """Let the buttons follow a server that has changed."""
        profile = self.picker.profile()
        if profile is not None and profile.id == server.id:
            self.refresh()

    def refresh(self) -> None:
        """Let buttons and notice follow the chosen profile and its server."""
        text, reason = self.obstacle()
        profile = self.picker.profile()
        if self.start_button.text() != text:
            self.start_button.setText(text)
        self._set_enabled(self.start_button, is_enabled=not reason)
        name = "" if profile is None else profile.name
        self.start_button.setToolTip(reason or self.tr("Start {name}").format(name=name))
        for button in (self.edit_button, self.more_button):
            self._set_enabled(button, is_enabled=profile is not None)
        engine = self._mirror.engine
        is_local = engine is not None and "local_disk" in engine.capabilities
        self.notice.show_profile(profile, can_show_file=is_local)
        self._dress_start(is_enabled=not reason)

    def _set_enabled(self, button: QPushButton, *, is_enabled: bool) -> None:
        if not is_enabled and button.hasFocus():
            # Qt would move focus on to the next button.
            self.picker.setFocus()
        button.setEnabled(is_enabled)

    def _dress_start(self, *, is_enabled: bool) -> None:
        tokens = theme().tokens
        colour = tokens.on_fill if is_enabled else tokens.tx3
        set_button_icon(self.start_button, "play", colour)

    def _widen_start(self) -> None:
        """Give Start the room of its longest text, so that a change of state moves nothing."""
        button, text = self.start_button, self.start_button.text()
        self._dress_start(is_enabled=button.isEnabled())
        widths: list[int] = []
        words = (
            self.tr("Start"), self.tr("Checking…"), self.tr("Starting"), self.tr("Running"),
            self.tr("Stopping"),
        )  # fmt: skip
        for word in words:
            button.setText(word)
            widths.append(button.sizeHint().width())
        button.setText(text)
        button.setFixedWidth(max(widths))

    def _on_start(self) -> None:
        profile = self.picker.profile()
        if profile is not None and not self.obstacle()[1]:
            self.start_requested.emit(profile.id)

    def _on_edit(self) -> None:
        profile = self.picker.profile()
        if profile is not None:
            self.edit_requested.emit(profile.id)

    def _show_menu(self) -> None:
        profile = self.picker.profile()
        if profile is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for command_id, text in (
            ("duplicate_profile", self.tr("Duplicate")),
            ("rename_profile", self.tr("Rename…")),
            ("export_profile", self.tr("Export…")),
            ("delete_profile", self.tr("Delete")),
        ):
            if command_id == "delete_profile":
                menu.addSeparator()
            action = menu.addAction(text)
            # A file with a mistake can only be shown, or go.
            action.setEnabled(profile.fault is None or command_id == "delete_profile")
            action.triggered.connect(partial(self.command_requested.emit, command_id))
        corner = self.more_button.rect().bottomRight() + QPoint(1, 5)
        # Its right edge below the button's: there is no room to the right.
        menu.popup(self.more_button.mapToGlobal(corner - QPoint(menu.sizeHint().width(), 0)))

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        self._widen_start()
        tokens = theme().tokens
        self.edit_button.setIcon(icons.icon("sliders-horizontal", tokens.tx2, 16))
        self.new_button.setIcon(icons.icon("plus", tokens.tx2, 16))
        self.more_button.setIcon(icons.icon("ellipsis", tokens.tx2, 16))
        self.engine_switch.refresh()
        self.picker.apply_theme()
        self.notice.apply_theme()
