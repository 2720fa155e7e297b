"""What the worker's progress means for people: state, speed and remaining time."""

from app.engine.downloads.entry import Entry
from app.wire.nouns import DownloadState
from app.wire.transfer import Progress


def shown_progress(event: Progress, entry: Entry, now: float) -> dict[str, object]:
    """Return the changed fields of a download; `now` in monotonic seconds."""
    if event.waiting:
        state = DownloadState.WAITING
    elif not entry.is_planned:
        state = DownloadState.RESOLVING
    else:
        state = DownloadState.VERIFYING if event.is_verifying else DownloadState.DOWNLOADING
    changes: dict[str, object] = {
        "state": state,
        "waiting": event.waiting,
        "retry_at": event.retry_at,
    }
    if entry.is_planned:
        entry.speed.add(now, event.done_bytes)
        left = (entry.download.total_bytes or 0) - event.done_bytes
        is_moving = state is DownloadState.DOWNLOADING
        changes |= {
            "done_bytes": event.done_bytes,
            "files_done": event.files_done,
            "bytes_per_s": entry.speed.bytes_per_s() if is_moving else None,
            "eta_s": entry.speed.eta_s(left) if is_moving else None,
        }
    return changes
