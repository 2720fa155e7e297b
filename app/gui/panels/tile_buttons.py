"""The buttons of a server tile, and what they do in each state."""

from enum import Enum
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, QObject, QRect, Signal
from PySide6.QtWidgets import QPushButton, QWidget

from app.gui.panels.tile_text import no_engine
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.button_icon import set_button_icon
from app.wire.nouns import Server, ServerState
from app.wire.policy import LARGE_BYTES

HEIGHT = 28
_GAP = 8


class TileAction(Enum):
    """What the user can do with a server."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    REMOVE = "remove"
    LOG = "log"
    COPY_URL = "copy_url"
    KILL = "kill"
    EDIT = "edit"


class _Face(NamedTuple):
    text: str
    icon: str
    action: TileAction
    tip: str = ""
    kind: str = ""
    is_open: bool = True


def _tr(text: str) -> str:
    return QCoreApplication.translate("ServerTile", text)


class MenuEntry(NamedTuple):
    """One command of a tile's menu."""

    text: str
    action: TileAction
    is_open: bool


def menu_entries(server: Server, *, is_live: bool, has_profile: bool) -> list[MenuEntry | None]:
    """Return the commands for a server, None between two groups."""
    state = server.state
    is_stopping = state is ServerState.STOPPING
    can_stop = is_live and state.is_active and not is_stopping
    start = _tr("Start now") if state is ServerState.BACKING_OFF else _tr("Start")
    can_start = is_live and (not state.is_active or state is ServerState.BACKING_OFF)
    entries: list[MenuEntry | None] = [
        MenuEntry(start, TileAction.START, can_start),
        MenuEntry(_tr("Stop"), TileAction.STOP, can_stop),
        MenuEntry(_tr("Restart"), TileAction.RESTART, is_live and state.serves),
    ]
    if is_stopping and _is_large(server):
        entries.append(MenuEntry(_tr("End now"), TileAction.KILL, is_live))
    return [
        *entries,
        None,
        MenuEntry(_tr("Show log"), TileAction.LOG, is_live),
        MenuEntry(_tr("Copy address"), TileAction.COPY_URL, is_open=True),
        MenuEntry(_tr("Edit profile…"), TileAction.EDIT, is_live and has_profile),
        None,
        MenuEntry(_tr("Remove"), TileAction.REMOVE, is_live and not state.is_active),
    ]


def _is_large(server: Server) -> bool:
    return (server.held_bytes or 0) > LARGE_BYTES


def _faces(server: Server) -> tuple[_Face, ...]:
    match server.state:
        case ServerState.READY | ServerState.BUSY | ServerState.STALLED | ServerState.STOPPING:
            return _running_faces(server)
        case ServerState.BACKING_OFF:
            return (
                _Face(_tr("Start now"), "play", TileAction.START),
                _Face(_tr("Show log"), "file-text", TileAction.LOG),
                _Face(_tr("Stop trying"), "x", TileAction.STOP, kind="flat"),
            )
        case ServerState.STARTING:
            return (_Face(_tr("Cancel"), "x", TileAction.STOP),)
        case ServerState.STOPPED:
            return (
                _Face(_tr("Start"), "play", TileAction.START),
                _Face(_tr("Remove"), "x", TileAction.REMOVE, _tr("Remove this tile")),
            )
        case ServerState.FAILED:
            return (
                _Face(_tr("Start again"), "play", TileAction.START),
                _Face(_tr("Show log"), "file-text", TileAction.LOG),
                _Face(_tr("Dismiss"), "x", TileAction.REMOVE, kind="flat"),
            )


def _running_faces(server: Server) -> tuple[_Face, ...]:
    is_open = server.state is not ServerState.STOPPING
    stop = _Face(_tr("Stop"), "square", TileAction.STOP, is_open=is_open)
    restart = _Face(_tr("Restart"), "rotate-cw", TileAction.RESTART, is_open=is_open)
    if server.state is ServerState.STALLED:
        tip = _tr("End the process and start it again. Open requests are lost.")
        restart = restart._replace(tip=tip, kind="primary")
    if is_open or not _is_large(server):
        return (stop, restart)
    tip = _tr("Kill it now. Memory that it holds may stay lost until the next reboot.")
    # Beside the others: a second click on Stop or Restart must not kill.
    return (stop, restart, _Face(_tr("End now"), "circle-stop", TileAction.KILL, tip))


class TileButtons(QObject):
    """Three buttons whose meaning follows the state, and two icons on the right.

    The widgets stay the same in every state, so that keyboard focus has a place to stay.
    """

    pressed = Signal(object)  # TileAction

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._tile = parent
        self._faces: tuple[_Face, ...] = ()
        self._is_open = True
        self._is_live = True
        self._lent: QPushButton | None = None
        self._main = [self._button(index) for index in range(3)]
        self._log = self._icon_button(_tr("Show log"), TileAction.LOG)
        self._copy = self._icon_button(_tr("Copy URL"), TileAction.COPY_URL)
        self._icons = ((self._copy, "copy"), (self._log, "file-text"))

    def _button(self, index: int) -> QPushButton:
        button = QPushButton(self._tile)
        button.clicked.connect(lambda: self._press(index))
        return button

    def _icon_button(self, text: str, action: TileAction) -> QPushButton:
        button = QPushButton(self._tile)
        button.setProperty("kind", "flat")
        button.setFixedWidth(HEIGHT)
        button.setToolTip(text)
        button.setAccessibleName(text)
        button.clicked.connect(lambda: self.pressed.emit(action))
        return button

    def _press(self, index: int) -> None:
        if index < len(self._faces):
            self.pressed.emit(self._faces[index].action)

    def press_start(self) -> bool:
        """Press the button that starts the server, if there is one that takes presses."""
        for face, button in zip(self._faces, self._main, strict=False):
            if face.action is TileAction.START and button.isEnabled():
                button.click()
                return True
        return False

    def texts(self) -> list[str]:
        """Return what the visible main buttons say, from the left."""
        return [face.text for face in self._faces]

    def show_server(self, server: Server) -> bool:
        """Give the buttons the meaning they have in the server's state; return True on a change."""
        faces = _faces(server)
        state = server.state
        for icon, is_shown in (
            (self._log, all(face.action is not TileAction.LOG for face in faces)),
            (self._copy, state.serves or state is ServerState.STOPPING),
        ):
            if not is_shown and icon.hasFocus():
                self._tile.setFocus()
            icon.setVisible(is_shown)
        if faces == self._faces:
            return False
        self._faces = faces
        for index, button in enumerate(self._main):
            if index < len(faces):
                self._dress(button, faces[index], server.name)
            elif button.hasFocus():
                self._tile.setFocus()
            button.setVisible(index < len(faces))
        self._open_buttons()
        return True

    def _dress(self, button: QPushButton, face: _Face, name: str) -> None:
        button.setText(face.text)
        button.setToolTip(face.tip if self._is_live else no_engine())
        button.setAccessibleName(f"{face.text}, {name}")
        if button.property("kind") != face.kind:
            button.setProperty("kind", face.kind)
            button.style().unpolish(button)
            button.style().polish(button)
        _draw_icon(button, face)

    def apply_theme(self) -> None:
        """Draw the icons again in the theme's colours."""
        self._draw_icons()
        for button, name in self._icons:
            ink = theme().tokens.tx2 if button.isEnabled() else theme().tokens.line2
            button.setIcon(icons.icon(name, ink))

    def _draw_icons(self) -> None:
        for face, button in zip(self._faces, self._main, strict=False):
            _draw_icon(button, face)

    def set_open(self, is_open: bool) -> None:
        """Take presses, or not while something is under way. Focus waits on the tile meanwhile."""
        if is_open != self._is_open:
            self._is_open = is_open
            self._open_buttons()

    def set_live(self, is_live: bool) -> None:
        """Take no presses, and say why, while the engine does not answer."""
        if is_live == self._is_live:
            return
        self._is_live = is_live
        for face, button in zip(self._faces, self._main, strict=False):
            button.setToolTip(face.tip if is_live else no_engine())
        self._log.setToolTip(_tr("Show log") if is_live else no_engine())
        self._open_buttons()

    def _open_buttons(self) -> None:
        for face, button in zip(self._faces, self._main, strict=False):
            is_open = self._is_open and self._is_live and face.is_open
            if not is_open and button.hasFocus():
                # Qt would move focus on to the next button.
                self._lent = button
                self._tile.setFocus()
            button.setEnabled(is_open)
        if not self._is_live and self._log.hasFocus():
            self._tile.setFocus()
        self._log.setEnabled(self._is_live)
        self._draw_icons()
        if self._lent is not None and self._lent.isEnabled():
            if self._tile.hasFocus() and self._lent.isVisible():
                self._lent.setFocus()
            self._lent = None

    def place(self, room: QRect) -> QRect:
        """Lay the buttons out in `room`; return what is left between them."""
        left = room.left()
        for button in self._main[: len(self._faces)]:
            width = button.sizeHint().width()
            button.setGeometry(left, room.top(), width, HEIGHT)
            left += width + _GAP
        right = room.right() + 1
        for button, _ in reversed(self._icons):
            # A place is kept for a hidden icon: nothing moves when it comes.
            right -= HEIGHT
            button.setGeometry(right, room.top(), HEIGHT, HEIGHT)
        return QRect(left + 4, room.top(), max(0, right - left - 12), HEIGHT)


def _draw_icon(button: QPushButton, face: _Face) -> None:
    tokens = theme().tokens
    ink = tokens.on_fill if face.kind == "primary" else tokens.tx
    set_button_icon(button, face.icon, ink if button.isEnabled() else tokens.tx3)
