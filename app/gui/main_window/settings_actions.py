"""The Settings window's link to the app's own settings, the engine's, and the stored key."""

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from app import paths
from app.gui import format as fmt
from app.gui.dialogs.named_keys import NewKeySheet
from app.gui.dialogs.settings import SettingsDialog
from app.gui.main_window.connect_actions import ConnectActions
from app.gui.main_window.login_switches import LoginSwitches
from app.gui.main_window.questions import may_revoke
from app.gui.main_window.session import Session
from app.gui.preferences import Preferences
from app.gui.theme import theme
from app.gui.workers import connection
from app.wire.defaults import defaults
from app.wire.errors import AppError
from app.wire.keys import NamedKey, NewKey
from app.wire.settings import BY_NAME, Scope, SettingState, SettingValue
from app.wire.storage import Leftover


class SettingsActions(QObject):
    """Opens the Settings window and applies what is changed in it."""

    failed = Signal(object)  # AppError
    told = Signal(object)  # str
    appearance_changed = Signal()
    own_changed = Signal(object)  # str, the name of a setting of the app

    def __init__(
        self,
        session: Session,
        preferences: Preferences,
        connecting: ConnectActions,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._connecting = connecting
        # Another engine has other settings, and a key that was refused or changed is another one.
        connecting.settled.connect(self._load)
        self._preferences = preferences
        preferences.refused.connect(self._on_refused)
        self._window = window
        self.dialog: SettingsDialog | None = None
        self._looks = 0
        """How often was looked for a stored key; only the last look counts."""
        self._engine_states: list[SettingState] = []
        self.login = LoginSwitches(session, window)
        self.login.changed.connect(self._refresh)
        self.login.failed.connect(self._on_login_failed)
        if isinstance(app := QGuiApplication.instance(), QGuiApplication):
            app.applicationStateChanged.connect(self._on_app_state)

    def open_at(self, name: str) -> None:
        """Open the Settings window on the page of a setting."""
        self.open()
        if self.dialog is not None:
            known = BY_NAME.get(name) or BY_NAME["model_folders"]
            self.dialog.show_page(known.page)

    def open(self) -> None:
        """Open the Settings window; the engine's values follow when it has answered."""
        if self.dialog is not None:
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        # Only a released program knows whom to ask for its newest version.
        without = () if paths.releases_url() else ("check_updates",)
        dialog = SettingsDialog(self._states(), self._window, without=without)
        dialog.changed.connect(self._on_changed)
        dialog.key_wanted.connect(self._on_key_wanted)
        dialog.key_forgotten.connect(self._on_key_forgotten)
        dialog.named_keys.create_requested.connect(self._create_key)
        dialog.named_keys.revoke_requested.connect(self._revoke_key)
        dialog.leftovers.remove_requested.connect(self._remove_leftovers)
        dialog.finished.connect(self._on_closed)
        self.dialog = dialog
        engine = self._session.mirror.engine
        runtimes = engine.runtimes if engine is not None else ()
        dialog.defaults.show_rows(defaults(runtimes[0].options if runtimes else ()))
        self._offer_system_settings(dialog)
        dialog.show()
        self._load()

    def _load(self, _connection: object = None) -> None:
        """Fill the window with what the engine in use says."""
        current = self._session.connection
        if self.dialog is None or current is None:
            return
        self._session.call("settings", lambda api: api.settings(), self._on_engine_states)
        self._load_keys()
        self._look_for_leftovers()
        if current.owned is not None:
            self.dialog.show_app_key("", is_stored=False)
        else:
            self._look_for_key(current.url)

    def set_appearance(self, mode: str) -> None:
        """Use and remember `system`, `light` or `dark`."""
        self._change_own("appearance", mode)

    def _states(self) -> dict[str, SettingState]:
        states = [*self._preferences.states(), *self.login.states(), *self._engine_states]
        return {state.name: state for state in states}

    def _on_changed(self, change: tuple[str, SettingValue]) -> None:
        name, value = change
        if BY_NAME[name].scope is Scope.APP:
            self._change_own(name, value)
            return
        if BY_NAME[name].scope is Scope.SYSTEM:
            self.login.change(name, is_on=bool(value))
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
        self._apply_own(name)

    def _apply_own(self, name: str) -> None:
        if name == "appearance":
            theme().set_mode(str(self._preferences.value(name)))
            self.appearance_changed.emit()
        self.own_changed.emit(name)
        self._refresh()

    def _on_refused(self, refusal: tuple[str, AppError]) -> None:
        name, error = refusal
        self._apply_own(name)
        self._show_error(name, error)

    def _on_engine_states(self, states: list[SettingState]) -> None:
        self._engine_states = states
        self._refresh()

    def _refresh(self) -> None:
        if self.dialog is not None:
            self.dialog.set_states(self._states())
            self._offer_system_settings(self.dialog)

    def _offer_system_settings(self, dialog: SettingsDialog) -> None:
        for name, is_refused in self.login.refusals().items():
            text = self.tr("System Settings…") if is_refused else ""
            dialog.offer(name, text, self.login.open_system_settings)

    def _on_login_failed(self, name: str, error: AppError) -> None:
        # Back to how things are, before the reason is shown beside it.
        self._refresh()
        self._show_error(name, error)

    def _on_app_state(self, state: Qt.ApplicationState) -> None:
        """Look again when the user comes back: from the system's settings, it may be."""
        if state is Qt.ApplicationState.ApplicationActive:
            self._refresh()

    def _show_error(self, name: str, error: AppError) -> None:
        sentence = f"{error.message} {error.hint}".strip()
        if self.dialog is not None:
            self.dialog.show_error(name, sentence)
        else:
            self.failed.emit(error)

    def _load_keys(self, _done: object = None) -> None:
        def show(keys: list[NamedKey]) -> None:
            if self.dialog is not None:
                self.dialog.named_keys.set_keys(keys)

        self._session.call("keys", lambda api: api.named_keys(), show)

    def _look_for_leftovers(self) -> None:
        self._session.call(
            "leftovers", lambda api: api.leftovers(), self._show_leftovers, self._show_left_error
        )

    def _remove_leftovers(self) -> None:
        def tell(removed: list[Leftover]) -> None:
            size = fmt.file_size(sum(item.size_bytes for item in removed))
            self.told.emit(self.tr("{} are free again").format(size))
            self._show_leftovers([])

        self._session.call(
            "remove-leftovers", lambda api: api.remove_leftovers(), tell, self._show_left_error
        )

    def _show_leftovers(self, found: list[Leftover]) -> None:
        if self.dialog is not None:
            self.dialog.leftovers.show_found(found)

    def _show_left_error(self, error: AppError) -> None:
        if self.dialog is not None:
            self.dialog.leftovers.show_error(f"{error.message} {error.hint}".strip())

    def _create_key(self, name: str) -> None:
        def show(made: NewKey) -> None:
            if self.dialog is not None:
                self.dialog.named_keys.clear_name()
            # Also when the window was closed meanwhile: nobody can see this key a second time.
            NewKeySheet(made, self.dialog or self._window).open()
            self._load_keys()

        self._session.call("make-key", lambda api: api.create_key(name), show, self._show_key_error)

    def _revoke_key(self, key: NamedKey) -> None:
        place = self._session.mirror.place
        if self.dialog is not None and may_revoke(self.dialog, key.name, place):
            self._session.call(
                "revoke-key",
                lambda api: api.revoke_key(key.id),
                self._load_keys,
                self._show_key_error,
            )

    def _show_key_error(self, error: AppError) -> None:
        if self.dialog is not None:
            self.dialog.named_keys.show_error(f"{error.message} {error.hint}".strip())
        else:
            self.failed.emit(error)

    def _look_for_key(self, url: str) -> None:
        self._looks += 1
        number = self._looks

        def show(is_stored: bool) -> None:
            # What was seen before it was forgotten, or at another engine, may come late.
            if number == self._looks:
                self._on_key_known(is_stored=is_stored)

        self._session.crew.run("stored-key", lambda: connection.has_stored_key(url), show)

    def _on_key_known(self, *, is_stored: bool) -> None:
        current = self._session.connection
        if self.dialog is not None and current is not None and current.owned is None:
            self.dialog.show_app_key(current.info.machine.name, is_stored=is_stored)

    def _on_key_wanted(self) -> None:
        if self.dialog is not None and (current := self._session.connection) is not None:
            self._connecting.ask_key(current, self.dialog)

    def _on_key_forgotten(self) -> None:
        if (current := self._session.connection) is None:
            return
        url = current.url
        self._session.crew.run(
            "forget-key", lambda: connection.forget_key(url), lambda _: self._look_for_key(url)
        )

    def _on_closed(self, _result: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
