"""The switches of the Settings for what starts at login: the app, and an engine alone."""

from functools import partial
from typing import Final

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from app import login_item
from app.gui.login_items import SYSTEM_SETTINGS, LoginItems, system_language
from app.gui.main_window.questions import may_stop_engine
from app.gui.main_window.session import Session
from app.login_item import Kind, LoginItemFailed, State
from app.wire.errors import AppError, ErrorCode
from app.wire.settings import SettingState

_KINDS: Final = {"start_at_login": Kind.APP, "engine_at_login": Kind.ENGINE}


class LoginSwitches(QObject):
    """Says how things are, by asking the system anew each time, and changes them in a worker."""

    changed = Signal()
    failed = Signal(str, object)  # the name of the setting, AppError

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._window = window
        self.items = LoginItems(system_language())
        session.crew.run("login-items", _follow_moves)

    def states(self) -> list[SettingState]:
        """Return how the switches stand, with a word where that does not say all."""
        return [self._state(name) for name in _KINDS]

    def refusals(self) -> dict[str, bool]:
        """Return for each switch whether it is off in the settings of the system."""
        return {n: self.items.state(kind) is State.REFUSED for n, kind in _KINDS.items()}

    def change(self, name: str, *, is_on: bool) -> None:
        """Switch one; `changed` or `failed` follows."""
        kind = _KINDS[name]
        if kind is Kind.ENGINE and not is_on and not self._may_stop_engine():
            self.changed.emit()
            return
        self._session.crew.run(
            "login-item",
            partial(_switch, self.items, kind, is_on=is_on),
            partial(self._on_done, kind, is_on=is_on),
            partial(self.failed.emit, name),
        )

    def open_system_settings(self) -> None:
        """Show where the user allows what starts at login."""
        QDesktopServices.openUrl(QUrl(SYSTEM_SETTINGS))

    def _state(self, name: str) -> SettingState:
        kind = _KINDS[name]
        state, note = self.items.state(kind), ""
        match state:
            case State.OTHER:
                note = self.tr(
                    "Now another copy of the app is started. Switch this on for this one."
                )
            case State.REFUSED:
                note = self.tr("Allow it in System Settings, General, Login Items.")
            case State.ON if kind is Kind.ENGINE and self._session.owns_engine:
                note = self.tr("It takes over when you quit the app, which has its own now.")
            case _:
                pass
        return SettingState(name, state in (State.ON, State.REFUSED), "system", note)

    @property
    def _uses_standing_engine(self) -> bool:
        """True when the window shows this computer's engine and did not start it."""
        has_one = self._session.connection is not None and self._session.url is None
        return has_one and not self._session.owns_engine

    def _may_stop_engine(self) -> bool:
        servers = self._session.mirror.servers.values() if self._uses_standing_engine else ()
        running = [server.name for server in servers if server.state.has_process]
        return not running or may_stop_engine(self._window, running)

    def _on_done(self, kind: Kind, _result: object, *, is_on: bool) -> None:
        if kind is Kind.ENGINE and not is_on and self._uses_standing_engine:
            # The window goes on with an engine of its own.
            self._session.reconnect()
        self.changed.emit()


def _follow_moves() -> None:
    for kind in Kind:
        try:
            login_item.follow_move(kind)
        except LoginItemFailed as error:
            raise AppError(str(error), code=ErrorCode.STORE_FAILED) from error


def _switch(items: LoginItems, kind: Kind, *, is_on: bool) -> None:
    try:
        items.switch(kind, is_on=is_on)
    except LoginItemFailed as error:
        raise AppError(str(error), code=ErrorCode.STORE_FAILED) from error
