"""The list of downloads on disk, so that it survives the engine however that ends."""

import logging
from pathlib import Path

import msgspec

from app import files
from app.wire.nouns import Download, DownloadState
from app.wire.reading import read_json

_log = logging.getLogger("download")


class DownloadStore:
    """One JSON file. Both methods block and belong into a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._must_not_write = False
        self.problem = ""
        """What was wrong with the file at `load`, in words."""

    def load(self) -> list[Download]:
        """Return the saved list; what was under way when the engine ended waits in the queue."""
        try:
            saved = read_json(self._path.read_bytes(), list[Download])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            self._set_aside(error)
            return []
        return [_at_rest(download) for download in saved]

    def save(self, downloads: list[Download]) -> None:
        """Write the list. A list that cannot be written is a warning: the downloads go on."""
        if self._must_not_write:
            return
        text = msgspec.json.encode([_at_rest(d) for d in downloads]).decode()
        try:
            files.write_atomically(self._path, text, mode=0o600)
        except OSError as error:
            _log.warning("the list of downloads cannot be saved: %s", error)

    def _set_aside(self, reason: Exception) -> None:
        sentence = f"The list of downloads cannot be read ({reason})"
        try:
            aside = files.set_aside(self._path)
        except OSError as error:
            # Writing would destroy what somebody may still repair.
            self._must_not_write = True
            self.problem = (
                f"{sentence} and is not saved until the engine's next start: "
                f"{self._path} cannot be moved ({error.strerror or error})."
            )
            return
        self.problem = (
            f"{sentence}, so it begins anew; the old file is kept as {aside}. What was loaded "
            "already is still there: download the same model again to go on."
        )


def _at_rest(download: Download) -> Download:
    state = DownloadState.QUEUED if download.state.is_active else download.state
    return msgspec.structs.replace(
        download, state=state, bytes_per_s=None, eta_s=None, waiting="", retry_at=None
    )
