"""The buttons of a server tile."""

from PySide6.QtCore import QCoreApplication, QObject, QPoint, QRect, QTimer, Signal
from PySide6.QtWidgets import QPushButton, QToolTip, QWidget

from app.gui.panels.tile_actions import Face, TileAction, faces
from app.gui.panels.tile_text import no_engine
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.button_icon import set_button_icon
from app.wire.nouns import Server, ServerState

HEIGHT = 28
_GAP = 8
_COPIED_MS = 1500


def _tr(text: str) -> str:
    return QCoreApplication.translate("ServerTile", text)


class TileButtons(QObject):
    """Three buttons whose meaning follows the state, and two icons on the right.

    The widgets stay the same in every state, so that keyboard focus has a place to stay.
    """

    pressed = Signal(object)  # TileAction

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._tile = parent
        self._faces: tuple[Face, ...] = ()
        self._is_open = True
        self._is_live = True
        self._serves = False
        self._lent: QPushButton | None = None
        self._main = [self._button(index) for index in range(3)]
        self._try = self._icon_button(_tr("Try it"), TileAction.TRY)
        self._copy = self._icon_button(_tr("Copy URL"), TileAction.COPY_URL)
        self._log = self._icon_button(_tr("Show log"), TileAction.LOG)
        self._icons = (
            (self._try, "message-square"), (self._copy, "copy"), (self._log, "file-text"),
        )  # fmt: skip
        self._copied = QTimer(self)
        self._copied.setSingleShot(True)
        self._copied.setInterval(_COPIED_MS)
        self._copied.timeout.connect(self._on_copied_told)

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
        wanted = faces(server)
        state = server.state
        for icon, is_shown in (
            (self._log, all(face.action is not TileAction.LOG for face in wanted)),
            (self._copy, state.serves or state is ServerState.STOPPING),
            (self._try, state.serves or state is ServerState.STOPPING),
        ):
            if not is_shown and icon.hasFocus():
                self._tile.setFocus()
            icon.setVisible(is_shown)
        if self._serves != state.serves:
            self._serves = state.serves
            self._open_buttons()
        if wanted == self._faces:
            return False
        self._faces = wanted
        for index, button in enumerate(self._main):
            if index < len(wanted):
                self._dress(button, wanted[index], server.name)
            elif button.hasFocus():
                self._tile.setFocus()
            button.setVisible(index < len(wanted))
        self._open_buttons()
        return True

    def _dress(self, button: QPushButton, face: Face, name: str) -> None:
        button.setText("" if face.is_short else face.text)
        button.setToolTip(_tip(face) if self._is_live else no_engine())
        button.setAccessibleName(f"{face.text}, {name}")
        if button.property("kind") != face.kind:
            button.setProperty("kind", face.kind)
            button.style().unpolish(button)
            button.style().polish(button)
        _draw_icon(button, face)

    def apply_theme(self) -> None:
        """Draw the icons again in the theme's colours."""
        self._draw_icons()

    def tell_copied(self) -> None:
        """Say at the button, for a moment, that the address was copied."""
        if not self._copy.isVisible():
            return
        self._copied.start()
        self._draw_icons()
        place = self._copy.mapToGlobal(QPoint(0, self._copy.height() // 2))
        QToolTip.showText(place, _tr("Copied"), self._copy, self._copy.rect(), _COPIED_MS)

    def _on_copied_told(self) -> None:
        self._draw_icons()

    def _draw_icons(self) -> None:
        for face, button in zip(self._faces, self._main, strict=False):
            _draw_icon(button, face)
        tokens = theme().tokens
        for button, name in self._icons:
            ink = tokens.tx2 if button.isEnabled() else tokens.line2
            if button is self._copy and self._copied.isActive():
                name, ink = "check", tokens.ok
            button.setIcon(icons.icon(name, ink))

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
            button.setToolTip(_tip(face) if is_live else no_engine())
        for button, text in ((self._log, _tr("Show log")), (self._try, _tr("Try it"))):
            button.setToolTip(text if is_live else no_engine())
        self._open_buttons()

    def _open_buttons(self) -> None:
        for face, button in zip(self._faces, self._main, strict=False):
            is_open = self._is_open and self._is_live and face.is_open
            if not is_open and button.hasFocus():
                # Qt would move focus on to the next button.
                self._lent = button
                self._tile.setFocus()
            button.setEnabled(is_open)
        for button, is_open in (
            (self._log, self._is_live),
            (self._try, self._is_live and self._serves),
        ):
            if not is_open and button.hasFocus():
                self._tile.setFocus()
            button.setEnabled(is_open)
        self._draw_icons()
        if self._lent is not None and self._lent.isEnabled():
            if self._tile.hasFocus() and self._lent.isVisible():
                self._lent.setFocus()
            self._lent = None

    def place(self, room: QRect) -> QRect:
        """Lay the buttons out in `room`; return what is left between them."""
        left = room.left()
        for button in self._main[: len(self._faces)]:
            width = button.sizeHint().width() if button.text() else HEIGHT
            button.setGeometry(left, room.top(), width, HEIGHT)
            left += width + _GAP
        right = room.right() + 1
        for button, _ in reversed(self._icons):
            # A place is kept for a hidden icon: nothing moves when it comes.
            right -= HEIGHT
            button.setGeometry(right, room.top(), HEIGHT, HEIGHT)
        return QRect(left + 4, room.top(), max(0, right - left - 12), HEIGHT)


def _tip(face: Face) -> str:
    return face.tip or (face.text if face.is_short else "")


def _draw_icon(button: QPushButton, face: Face) -> None:
    tokens = theme().tokens
    ink = tokens.on_fill if face.kind == "primary" else tokens.tx
    colour = ink if button.isEnabled() else tokens.tx3
    if face.is_short:
        button.setIcon(icons.icon(face.icon, colour))
    else:
        set_button_icon(button, face.icon, colour)
