"""What the window remembers from one time to the next: its size, what was chosen and told."""

import json
import logging
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray

from app import files
from app.gui.saver import Saver

_log = logging.getLogger("gui")


class Memory:
    """Values by name. A change is there at once, and on the disk a moment later."""

    def __init__(self, path: Path, saver: Saver | None = None) -> None:
        self.saver = saver or Saver()
        self._path = path
        self._values = self._read()

    def value(self, name: str, default: object = None) -> object:
        """Return a value as JSON has it: text, a number, or a list of them."""
        return self._values.get(name, default)

    def bytes_of(self, name: str) -> QByteArray:
        """Return a value that was bytes; nothing when there is none."""
        return QByteArray.fromBase64(str(self.value(name, "")).encode())

    def set_value(self, name: str, value: str | int | list[str] | QByteArray) -> None:
        """Remember a value."""
        if isinstance(value, QByteArray):
            value = bytes(value.toBase64().data()).decode("ascii")
        if self._values.get(name) != value:
            self._values[name] = value
            text = json.dumps(self._values, indent=1)
            self.saver.save(self._path.name, partial(files.write_atomically, self._path, text))

    def _read(self) -> dict[str, object]:
        try:
            found: object = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            _log.warning("%s cannot be read (%s); the window begins anew", self._path, error)
            return {}
        return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON
