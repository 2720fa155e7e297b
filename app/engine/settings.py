"""The engine's settings: one TOML file, overridden by the environment and by flags."""

import os
from collections.abc import Mapping

import msgspec

from app import files, paths
from app.wire.errors import AppError, ErrorCode
from app.wire.precedence import resolve
from app.wire.reading import read_toml
from app.wire.settings import (
    BY_NAME,
    NEW_PROFILES,
    SETTINGS,
    Scope,
    SettingKind,
    SettingState,
    SettingValue,
    parse_setting,
)

_SECRETS = [s.name for s in SETTINGS if s.kind is SettingKind.SECRET]
_OWN = [s for s in SETTINGS if s.scope is Scope.ENGINE]


class EngineSettings:
    """Values of the engine's settings by precedence: flag, environment, file, default."""

    def __init__(self, flags: Mapping[str, SettingValue]) -> None:
        self._flags = flags
        # As it was given: `export` adds to it.
        self._environment = dict(os.environ)
        self._path = paths.home() / "settings.toml"
        self.problems: list[str] = []
        self.is_damaged = False
        """True while the file is there and cannot be read; then it is not overwritten either."""
        self.notes: dict[str, str] = {}
        """What values mean now, by the setting's name; told by whoever uses them."""
        self._states = {s.name: s for s in self._resolve()}

    def states(self) -> list[SettingState]:
        """Return every value with its source."""
        return [
            msgspec.structs.replace(state, note=self.notes.get(state.name, ""))
            for state in self._states.values()
        ]

    def new_policy(self) -> dict[str, SettingValue]:
        """Return what new profiles are to say beyond the defaults."""
        return {
            name.removeprefix(NEW_PROFILES): state.value
            for name, state in self._states.items()
            if name.startswith(NEW_PROFILES) and state.value != BY_NAME[name].default
        }

    def text(self, name: str) -> str:
        """Return a setting that is text."""
        return str(self._states[name].value)

    def number(self, name: str) -> int:
        """Return a setting that is a number."""
        return int(self._states[name].value)

    def flag(self, name: str) -> bool:
        """Return a setting that is true or false."""
        return bool(self._states[name].value)

    def export(self) -> None:
        """Put what other programs read from the environment there, for every child to inherit."""
        for setting in _OWN:
            state = self._states[setting.name]
            is_own = state.source == "file" and state.name not in _SECRETS
            if setting.variable and is_own and state.value:
                os.environ[setting.variable] = str(state.value)

    def change(self, changes: Mapping[str, object]) -> None:
        """Check all changes, then write them together. Raises AppError; then nothing changed."""
        checked: dict[str, SettingValue] = {}
        for name, value in changes.items():
            setting = BY_NAME.get(name)
            if setting is None or setting.scope is not Scope.ENGINE:
                raise AppError(f"There is no setting “{name}”.", code=ErrorCode.BAD_REQUEST)
            state = self._states[name]
            if state.source in ("flag", "environment"):
                raise AppError(
                    f"{setting.label} is set by the {state.source} and cannot be changed here.",
                    hint=f"Remove {setting.env} first.",
                    code=ErrorCode.BAD_REQUEST,
                )
            checked[name] = parse_setting(setting, value)
        secrets = {name: str(checked.pop(name)) for name in _SECRETS if name in checked}
        self._write(checked)
        for text in secrets.values():
            _write_token(text)
        self._states = {s.name: s for s in self._resolve()}

    def _resolve(self) -> list[SettingState]:
        self.problems, self.is_damaged = [], False
        document = self._read()
        has_token = paths.hub_token().is_file()
        return [
            SettingState(one.name, parse_setting(one, self._flags[one.name]), "flag")
            if one.name in self._flags
            else resolve(
                one, self._environment, document, self.problems.append, has_secret=has_token
            )
            for one in _OWN
        ]

    def _read(self) -> dict[str, object]:
        try:
            return read_toml(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            # ValueError: no UTF-8, or no TOML.
            self.is_damaged = True
            self.problems.append(
                f"{self._path.name} cannot be read ({error}), so defaults are used. Repair or "
                f"delete {self._path}; earlier versions are in {paths.backups() / 'settings'}."
            )
            return {}

    def _write(self, changes: Mapping[str, SettingValue]) -> None:
        try:
            files.update_toml(self._path, changes, paths.backups())
        except (OSError, ValueError, RecursionError) as error:
            reason = (error.strerror if isinstance(error, OSError) else "") or error
            raise AppError(
                f"The settings could not be saved: {reason}. {self._path.name} is as it was.",
                hint="Repair the file or free some space, then try again.",
                code=ErrorCode.STORE_FAILED,
            ) from error


def _write_token(text: str) -> None:
    """Keep the token where the hub library looks, or with an empty text remove it."""
    path = paths.hub_token()
    try:
        if text:
            files.write_atomically(path, text, mode=0o600)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise AppError(
            f"The token could not be saved: {error.strerror or error}.",
            hint=f"Look at {path}.",
            code=ErrorCode.STORE_FAILED,
        ) from error
