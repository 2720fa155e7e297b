"""Calls about downloads."""

from app.client.calls.link import Link, quote_part
from app.wire.nouns import Download, DownloadRequest
from app.wire.storage import MoveRequest, MoveTo


class DownloadCalls(Link):
    """Calls about downloads."""

    def downloads(self) -> list[Download]:
        """Return all downloads."""
        return self.get("/api/downloads", list[Download])

    def add_download(self, request: DownloadRequest) -> Download:
        """Download a model, or go on with its download; does not wait."""
        return self.send("POST", "/api/downloads", request, Download)

    def pause_download(self, download_id: str) -> Download:
        """Pause a download; every byte stays."""
        return self.send("POST", f"/api/downloads/{quote_part(download_id)}/pause", None, Download)

    def pause_downloads(self) -> None:
        """Pause all downloads."""
        self.request("POST", "/api/downloads/pause")

    def resume_downloads(self) -> None:
        """Go on with all downloads that are paused."""
        self.request("POST", "/api/downloads/resume")

    def move_download(self, download_id: str, to: MoveTo) -> Download:
        """Move a queued download in the queue."""
        path = f"/api/downloads/{quote_part(download_id)}/move"
        return self.send("POST", path, MoveRequest(to), Download)

    def resume_download(self, download_id: str) -> Download:
        """Go on with a download."""
        return self.send("POST", f"/api/downloads/{quote_part(download_id)}/resume", None, Download)

    def retry_download(self, download_id: str) -> Download:
        """Try a failed, blocked or waiting download again now."""
        return self.send("POST", f"/api/downloads/{quote_part(download_id)}/retry", None, Download)

    def remove_download(self, download_id: str, *, keep: bool = False) -> None:
        """Cancel a download; with `keep` its unfinished files stay for another try."""
        suffix = "?keep=true" if keep else ""
        self.request("DELETE", f"/api/downloads/{quote_part(download_id)}{suffix}")
