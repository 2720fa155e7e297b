"""One download and what only the engine knows of it."""

from dataclasses import dataclass, field

from app.engine.downloads.speed import Speed
from app.wire.nouns import Download, DownloadState


@dataclass
class Entry:
    """A place in the list of downloads."""

    download: Download
    is_running: bool = False
    """True while the worker has the order to do it."""
    is_planned: bool = False
    is_stopping: bool = False
    goes_on: bool = False
    """True when it goes back into the queue as soon as its pause is done."""
    speed: Speed = field(default_factory=Speed)
    put_at: float = 0.0

    @property
    def is_in_line(self) -> bool:
        """True while it waits for its turn, or for the hours of downloads."""
        waits = self.download.state in (DownloadState.QUEUED, DownloadState.WAITING)
        return waits and not self.is_running
