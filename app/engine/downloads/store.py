"""The list of downloads on disk, so that it survives the engine however that ends."""

import logging
from pathlib import Path

import msgspec

from app import files
from app.wire.nouns import Download, DownloadState

_log = logging.getLogger("download")


class DownloadStore:
    """One JSON file. Both methods block and belong into a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[Download]:
        """Return the saved list; what was under way when the engine ended waits in the queue."""
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=list[Download])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("the list of downloads cannot be read (%s) and begins anew", error)
            return []
        return [_at_rest(download) for download in saved]

    def save(self, downloads: list[Download]) -> None:
        """Write the list. A list that cannot be written is a warning: the downloads go on."""
        text = msgspec.json.encode([_at_rest(d) for d in downloads]).decode()
        try:
            files.write_atomically(self._path, text, mode=0o600)
        except OSError as error:
            _log.warning("the list of downloads cannot be saved: %s", error)


def _at_rest(download: Download) -> Download:
    state = DownloadState.QUEUED if download.state.is_active else download.state
    return msgspec.structs.replace(
        download, state=state, bytes_per_s=None, eta_s=None, waiting="", retry_at=None
    )
