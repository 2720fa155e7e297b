"""The settings that belong to the window: one TOML file, overridden by the environment."""

import logging
import os
from pathlib import Path

from app import files, paths
from app.wire.errors import AppError, ErrorCode
from app.wire.reading import read_toml
from app.wire.settings import BY_NAME, SETTINGS, Scope, SettingState, SettingValue, parse_setting

_log = logging.getLogger("gui")


class Preferences:
    """Values of the app's own settings by precedence: environment, file, default."""

    def __init__(self) -> None:
        self._path: Path = paths.home() / "app.toml"
        document = self._read()
        self._states = {
            s.name: _resolve(s.name, document) for s in SETTINGS if s.scope is Scope.APP
        }

    def states(self) -> list[SettingState]:
        """Return every value with its source."""
        return list(self._states.values())

    def value(self, name: str) -> SettingValue:
        """Return one value."""
        return self._states[name].value

    def change(self, name: str, value: SettingValue) -> None:
        """Check and write one value. Raises AppError; then nothing changed."""
        checked = parse_setting(BY_NAME[name], value)
        try:
            files.update_toml(self._path, {name: checked}, paths.backups())
        except (OSError, ValueError) as error:
            raise AppError(
                f"{BY_NAME[name].label} could not be saved: {error}. {self._path} is as it was.",
                code=ErrorCode.STORE_FAILED,
            ) from error
        self._states[name] = SettingState(name, checked, "file")

    def _read(self) -> dict[str, object]:
        try:
            return read_toml(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("%s cannot be read (%s); defaults are used", self._path, error)
            return {}


def _resolve(name: str, document: dict[str, object]) -> SettingState:
    setting = BY_NAME[name]
    for value, source in (
        (os.environ.get(setting.env), "environment"),
        (document.get(name), "file"),
    ):
        if value is not None:
            try:
                return SettingState(name, parse_setting(setting, value), source)
            except AppError as error:
                _log.warning("%s The %s is ignored here.", error.message, source)
    return SettingState(name, setting.default, "default")
