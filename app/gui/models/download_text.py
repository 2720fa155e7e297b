"""What a download says of itself: figures, states and reasons in words."""

import time

from PySide6.QtCore import QCoreApplication

from app.gui import format as fmt
from app.wire.nouns import Download, DownloadState

_State = DownloadState


def _tr(text: str) -> str:
    return QCoreApplication.translate("Downloads", text)


def share(download: Download) -> float | None:
    """Return how much has come, 0 to 1; None while the size is not known."""
    if not download.total_bytes:
        return None
    return min(1.0, download.done_bytes / download.total_bytes)


def percent(download: Download) -> str:
    """Return the share for people; empty while there is none to tell. 100 % means complete."""
    part = share(download)
    if part is None or (download.failure is not None and not download.done_bytes):
        return ""
    return f"{int(part * 100)}%"


def line(download: Download) -> str:
    """Return the line below the bar."""
    if download.failure is not None:
        return _short(download.failure.message, download.id)
    match download.state:
        case _State.QUEUED:
            place = download.place or 1
            text = _tr("Next in the queue") if place == 1 else _tr("Queued, place {}").format(place)
        case _State.PAUSED:
            text = _tr("Paused · {}").format(_amount(download))
        case _State.WAITING:
            text = _waiting(download)
        case _State.DOWNLOADING:
            text = _progress(download)
        case _:
            text = {
                _State.RESOLVING: _tr("Looking up the files…"),
                _State.VERIFYING: _tr("Checking the files…"),
            }.get(download.state, _tr("Stopped"))
    return text


def _short(message: str, model_id: str) -> str:
    """Return why a download stopped without its id, which stands above it."""
    text = message.removeprefix(f"Download of {model_id} stopped: ").removeprefix(f"{model_id} ")
    text = text.replace(f"no model {model_id}", "no such model").replace(f" of {model_id}", "")
    return text[:1].upper() + text[1:]


def _waiting(download: Download) -> str:
    """Return why it waits, and for how long yet; hours of downloads tell their own end."""
    text = download.waiting or _tr("Waiting to try again")
    if download.retry_at is None or download.place is not None:
        return text
    seconds = max(1, round(download.retry_at - time.time()))
    return _tr("{why}; again in {s} s").format(why=text.partition(";")[0], s=seconds)


def _progress(download: Download) -> str:
    # Of a notice the first words; its whole sentence is in the tool-tip.
    parts = [download.notice.partition(",")[0], _amount(download)]
    if download.bytes_per_s is not None:
        parts.append(f"{fmt.file_size(download.bytes_per_s)}/s")
    if download.eta_s is not None:
        # It is rounded already; seconds that are always 0 would only look exact.
        left = fmt.duration(download.eta_s).removesuffix(" 00 s").removesuffix(" 00 min")
        parts.append(_tr("{} left").format(left))
    return " · ".join(part for part in parts if part)


def tip(download: Download) -> str:
    """Return the whole story of a download."""
    is_main = download.revision == "main"
    name = download.id if is_main else f"{download.id} · {download.revision}"
    texts = [name, line(download)]
    if download.failure is not None:
        texts.append(download.failure.hint)
    texts.append(download.notice)
    return "\n".join(text for text in texts if text)


def spoken(download: Download) -> str:
    """Return a sentence for a screen reader."""
    text = _tr("Download of {name}, {percent}, {line}").format(
        name=download.id,
        percent=percent(download) or _tr("size not known yet"),
        line=line(download),
    )
    return f"{text} {download.failure.hint}".strip() if download.failure is not None else text


def _amount(download: Download) -> str:
    if not download.total_bytes:
        return fmt.file_size(download.done_bytes)
    done = fmt.file_size(download.done_bytes)
    total = fmt.file_size(download.total_bytes)
    if done.rpartition(" ")[2] == total.rpartition(" ")[2]:
        done = done.rpartition(" ")[0]
    return _tr("{} of {}").format(done, total)
