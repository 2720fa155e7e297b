"""The dialog for keys and other engines, and what is done with its answer."""

from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import QMenu, QWidget

from app.gui.dialogs.key import ConnectDialog
from app.gui.main_window.session import Session
from app.gui.memory import Memory
from app.gui.mirror import LinkState
from app.gui.models.engine_choice import EngineChoice, restored, stored
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.workers import connection as connections
from app.gui.workers.connection import Connection, KeyWanted, NearbyEngine
from app.wire.errors import AppError
from app.wire.nouns import EngineInfo

_RECENT = 5


class ConnectActions(QObject):
    """Asks for a key when the engine wants one, and keeps it when the engine has accepted it."""

    failed = Signal(object)  # AppError
    told = Signal(object)  # str
    settled = Signal()
    """An engine is in use, and the key for it is stored if it was to be."""
    given_up = Signal()
    """The user closed the dialog and the engine still wants a key."""

    def __init__(self, session: Session, memory: Memory, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._window = window
        self._memory = memory
        self._key_to_keep: str | None = None
        self._is_own = False
        """True while the key that is asked for is that of this computer's engine."""
        self.dialog: ConnectDialog | None = None
        session.key_wanted.connect(self._on_key_wanted)
        session.connected.connect(self._on_connected)

    def ask(self) -> None:
        """Ask for the address and the key of another engine."""
        self._open(None, self.tr("An engine on another computer, started there with mlxm engine."))

    def use_own(self) -> None:
        """Show the engine of this computer, started again if it does not answer."""
        session = self._session
        if session.mirror.link is not LinkState.LIVE and session.url is None:
            session.reconnect()
        elif not session.owns_engine:
            session.switch(None)

    def fill_menu(self, menu: QMenu) -> None:
        """Offer this computer's engine, those of the last times, and the way to any other."""
        own = menu.addAction(self.tr("This computer"), self.use_own)
        own.setIcon(self._icon("monitor", is_current=self._session.url is None))
        menu.addSeparator()
        self.fill_recent(menu)
        menu.addSeparator()
        menu.addAction(self.tr("Connect to an engine…"), self.ask)

    def fill_recent(self, menu: QMenu) -> None:
        """Add the other engines of the last times, the last one first."""
        for choice in self._recent():
            action = menu.addAction(choice.title, partial(self._switch, choice))
            picture = "lock" if choice.needs_key else "server"
            action.setIcon(self._icon(picture, is_current=self._session.url == choice.url))

    def serve(self, entry: QAction) -> None:
        """Fill the menu of this entry each time before it opens."""
        menu = entry.menu()
        if not isinstance(menu, QMenu):
            return

        def fill() -> None:
            menu.clear()
            self.fill_recent(menu)

        menu.aboutToShow.connect(fill)
        entry.setVisible(bool(self._recent()))
        self.settled.connect(lambda: entry.setVisible(bool(self._recent())))

    def _icon(self, picture: str, *, is_current: bool) -> QIcon:
        tokens = theme().tokens
        return icons.icon("check", tokens.acc) if is_current else icons.icon(picture, tokens.tx2)

    def _switch(self, choice: EngineChoice) -> None:
        if choice.url != self._session.url:
            self.told.emit(self.tr("Connecting to {}…").format(choice.name or choice.url))
            self._session.switch(choice.url)

    def ask_key(self, connection: Connection, above: QWidget) -> None:
        """Ask for another key for the engine in use; it is kept once that engine accepts it."""
        name = connection.info.machine.name
        message = self.tr("It is sent to the engine on {} at {}.").format(name, connection.url)
        self._open(connection.url, message, above)
        self._is_own = self._session.url is None

    def show_error(self, error: AppError) -> bool:
        """Say in the open dialog why it did not work; return False when none is open."""
        if self.dialog is None:
            return False
        self.dialog.show_error(f"{error.message} {error.hint}".strip(), is_key=False)
        return True

    def _open(self, url: str | None, message: str, above: QWidget | None = None) -> None:
        self._close()
        self._is_own = False
        dialog = ConnectDialog(url=url, message=message, parent=above or self._window)
        dialog.submitted.connect(self._on_submitted)
        dialog.rejected.connect(self._on_rejected)
        dialog.look_requested.connect(self._look_around)
        dialog.set_recent(self._recent())
        self.dialog = dialog
        dialog.open()
        self._session.crew.run("key-place", connections.key_place, self._show_place)

    def _show_place(self, place: str) -> None:
        if self.dialog is not None:
            self.dialog.show_place(place)

    def _close(self) -> None:
        if self.dialog is not None:
            dialog, self.dialog = self.dialog, None
            dialog.close()
            dialog.deleteLater()

    def _look_around(self) -> None:
        def show(found: list[NearbyEngine]) -> None:
            if self.dialog is not None:
                self.dialog.show_nearby(
                    [EngineChoice(e.url, e.name, e.needs_key, is_nearby=True) for e in found]
                )

        def tell(error: AppError) -> None:
            if self.dialog is not None:
                self.dialog.show_no_nearby(f"{error.message} {error.hint}".strip())

        self._session.crew.run("look-around", connections.look_around, show, tell)

    def _recent(self) -> list[EngineChoice]:
        """Return the other engines that were used, the last one first."""
        texts = self._memory.value("engines")
        return restored([str(text) for text in texts] if isinstance(texts, list) else [])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON

    def _remember(self, url: str, engine: EngineInfo) -> None:
        others = [known for known in self._recent() if known.url != url]
        used = EngineChoice(url, engine.machine.name, engine.key_required)
        self._memory.set_value("engines", stored([used, *others][:_RECENT]))

    def _on_key_wanted(self, wanted: KeyWanted) -> None:
        if self.dialog is not None and wanted.was_wrong:
            self.dialog.show_error(wanted.message)
            return
        self._open(wanted.url, self.tr("{} Type it to go on.").format(wanted.message))
        self._is_own = wanted.is_own

    def _on_submitted(self, answer: tuple[str, str, bool]) -> None:
        url, key, remember = answer
        self._key_to_keep = key if remember and key else None
        self._session.switch(None if self._is_own else url, key or None)

    def _on_rejected(self) -> None:
        if self.dialog is not None:
            self._close()
            self._session.cancel_switch()
            self._key_to_keep = None
            if self._session.mirror.link is LinkState.NEEDS_KEY:
                self.given_up.emit()

    def _on_connected(self, connection: Connection) -> None:
        self._close()
        if self._session.url is not None:
            self._remember(self._session.url, connection.info)
        key, self._key_to_keep = self._key_to_keep, None
        if key is None:
            self.settled.emit()
            return

        def tell(where: str) -> None:
            self.told.emit(self.tr("The key is kept {}.").format(where))
            self.settled.emit()

        self._session.crew.run(
            "store-key",
            lambda: connections.remember_key(connection.url, key),
            tell,
            self.failed.emit,
        )
