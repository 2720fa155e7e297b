"""The Settings window's link to the app's own settings, the engine's, and the stored key."""

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app.gui.dialogs.settings import SettingsDialog
from app.gui.main_window.session import Session
from app.gui.preferences import Preferences
from app.gui.theme import theme
from app.gui.workers import connection
from app.wire.errors import AppError
from app.wire.settings import BY_NAME, Scope, SettingState, SettingValue


class SettingsActions(QObject):
    """Opens the Settings window and applies what is changed in it."""

    failed = Signal(object)  # AppError
    told = Signal(object)  # str
    appearance_changed = Signal()

    def __init__(self, session: Session, preferences: Preferences, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._preferences = preferences
        self._window = window
        self.dialog: SettingsDialog | None = None
        self._engine_states: list[SettingState] = []

    def open(self) -> None:
        """Open the Settings window; the engine's values follow when it has answered."""
        if self.dialog is not None:
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        note = self.tr("Kept in the keychain; without one, in a file that only you can read.")
        dialog = SettingsDialog(self._states(), self._window, key_note=note)
        dialog.changed.connect(self._on_changed)
        dialog.key_set.connect(self._on_key_set)
        dialog.key_forgotten.connect(self._on_key_forgotten)
        dialog.finished.connect(self._on_closed)
        self.dialog = dialog
        dialog.show()
        if self._session.door is not None:
            self._session.call("settings", lambda api: api.settings(), self._on_engine_states)
        if (current := self._session.connection) is not None:
            url = current.url
            self._session.crew.run(
                "stored-key", lambda: connection.has_stored_key(url), self._on_key_known
            )

    def set_appearance(self, mode: str) -> None:
        """Use and remember `system`, `light` or `dark`."""
        self._change_own("appearance", mode)

    def _states(self) -> dict[str, SettingState]:
        states = [*self._preferences.states(), *self._engine_states]
        return {state.name: state for state in states}

    def _on_changed(self, change: tuple[str, SettingValue]) -> None:
        name, value = change
        if BY_NAME[name].scope is Scope.APP:
            self._change_own(name, value)
            return
        self._session.call(
            "change-settings",
            lambda api: api.change_settings({name: value}),
            self._on_engine_states,
            lambda error: self._show_error(name, error),
        )

    def _change_own(self, name: str, value: SettingValue) -> None:
        try:
            self._preferences.change(name, value)
        except AppError as error:
            self._show_error(name, error)
            return
        if name == "appearance":
            theme().set_mode(str(value))
            self.appearance_changed.emit()
        self._refresh()

    def _on_engine_states(self, states: list[SettingState]) -> None:
        self._engine_states = states
        self._refresh()

    def _refresh(self) -> None:
        if self.dialog is not None:
            self.dialog.set_states(self._states())

    def _show_error(self, name: str, error: AppError) -> None:
        sentence = f"{error.message} {error.hint}".strip()
        if self.dialog is not None:
            self.dialog.show_error(name, sentence)
        else:
            self.failed.emit(error)

    def _on_key_known(self, is_stored: bool) -> None:
        if self.dialog is not None:
            self.dialog.set_has_key(is_stored=is_stored)

    def _on_key_set(self, key: str) -> None:
        if (current := self._session.connection) is None:
            return
        url = current.url

        def on_stored(where: object) -> None:
            self.told.emit(self.tr("The key is kept {}.").format(where))
            self._on_key_known(is_stored=True)

        self._session.crew.run(
            "store-key", lambda: connection.remember_key(url, key), on_stored, self.failed.emit
        )

    def _on_key_forgotten(self) -> None:
        if (current := self._session.connection) is None:
            return
        url = current.url
        self._session.crew.run(
            "forget-key",
            lambda: connection.forget_key(url),
            lambda _: self._on_key_known(is_stored=False),
        )

    def _on_closed(self, _result: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
