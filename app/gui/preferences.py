"""The settings that belong to the window: one TOML file, overridden by the environment."""

import logging
import os
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app import files, paths
from app.gui.saver import Outcome, Saver
from app.wire.errors import AppError, ErrorCode
from app.wire.precedence import resolve
from app.wire.reading import read_toml
from app.wire.settings import BY_NAME, SETTINGS, Scope, SettingState, SettingValue, parse_setting

_log = logging.getLogger("gui")


class Preferences(QObject):
    """Values of the app's own settings by precedence: environment, file, default.

    A change counts at once and is saved by the saver; one that cannot be saved is taken back.
    """

    refused = Signal(object)  # tuple[str, AppError]: the name of the setting, and why

    def __init__(self, saver: Saver | None = None) -> None:
        super().__init__()
        self._path: Path = paths.home() / "app.toml"
        document = self._read()
        self._states = {
            s.name: resolve(s, os.environ, document, _log.warning)
            for s in SETTINGS
            if s.scope is Scope.APP
        }
        self._saved: dict[str, SettingState] = {}
        """What is on the disk of the settings whose change is on its way there."""
        self._saver = saver or Saver(self)
        self._saver.ended.connect(self._on_ended)

    def states(self) -> list[SettingState]:
        """Return every value with its source."""
        return list(self._states.values())

    def value(self, name: str) -> SettingValue:
        """Return one value."""
        return self._states[name].value

    def change(self, name: str, value: SettingValue) -> None:
        """Check one value, use it, and save it later. Raises AppError; then nothing changed."""
        checked = parse_setting(BY_NAME[name], value)
        self._saved.setdefault(name, self._states[name])
        self._states[name] = SettingState(name, checked, "file")
        self._saver.save(name, lambda: self.save(name, checked))

    def save(self, name: str, value: SettingValue) -> None:
        """Write one value, which blocks. Raises OSError or ValueError with the file as it was."""
        files.update_toml(self._path, {name: value}, paths.backups())

    def _on_ended(self, outcome: Outcome) -> None:
        name = outcome.document
        if (before := self._saved.pop(name, None)) is None or outcome.error is None:
            return
        self._states[name] = before
        error = outcome.error
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        sentence = f"{BY_NAME[name].label} could not be saved: {reason}."
        self.refused.emit((name, AppError(sentence, code=ErrorCode.STORE_FAILED)))

    def _read(self) -> dict[str, object]:
        try:
            return read_toml(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("%s cannot be read (%s); defaults are used", self._path, error)
            return {}
