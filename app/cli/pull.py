"""`mlxm pull`: models from the hub onto the engine's disk."""

import argparse
import os
import sys
import time
from urllib.parse import urlsplit

from app.client.api import Api
from app.wire.amounts import file_size
from app.wire.errors import AppError, ErrorCode
from app.wire.events import Event, Removed, Snapshot, Upsert, decode_item
from app.wire.links import HubLink, is_link, read_link
from app.wire.nouns import Download, DownloadRequest, DownloadState

_BAR = 24
_LINE_S = 10.0
"""How often a line comes where there is no terminal to draw a bar on."""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "model", metavar="ID", help="its id on the hub, author/name, or its address"
    )
    parser.add_argument("--revision", help="branch, tag or commit (default: main)")
    parser.add_argument("--verify", action="store_true", help="check files that are there too")
    parser.set_defaults(run=pull)


def pull(api: Api, options: argparse.Namespace) -> int:
    """Download a model and show how far it is. Ctrl-C ends only the showing."""
    link = _link(options.model)
    revision = options.revision or link.revision or "main"
    request = DownloadRequest(link.id, revision, verify=options.verify)
    screen = _Screen(is_terminal=sys.stdout.isatty())
    try:
        download = api.add_download(request)
        while True:
            screen.show(download)
            if not download.state.is_active:
                break
            following = _next(api, download, screen)
            if following is None:
                return _finish(api, link.id, screen)
            download = following
    except KeyboardInterrupt:
        screen.end()
        print(
            f"The engine goes on with {link.id}; mlxm pull {link.id} shows it again.",
            file=sys.stderr,
        )
        raise
    screen.end()
    raise _stopped(download)


def _link(text: str) -> HubLink:
    """Return what a text on the command line leads to. Raises AppError."""
    hub = urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc.lower()
    hosts = (hub,) if hub else ()
    link = read_link(text, hosts) if is_link(text, hosts) else HubLink(text)
    if link is None:
        raise AppError(
            f"{text[:400]} is no address of a model on the hub.",
            hint="Copy the address of the model's page, or write its id like author/name.",
            code=ErrorCode.BAD_REQUEST,
        )
    return link


def _next(api: Api, download: Download, screen: "_Screen") -> Download | None:
    """Return the download when it stopped, None when it is done. Raises AppError for a cancel."""
    for event in api.events():
        found, is_gone = _of_event(event, download.id)
        if is_gone:
            return None
        download = found or download
        if not download.state.is_active:
            return download
        # Other events come each second: one that waits counts down with them.
        screen.show(download)
    return download


def _of_event(event: Event, download_id: str) -> tuple[Download | None, bool]:
    """Return the download, if the event tells of it, and whether it tells that it is gone."""
    match event:
        case Snapshot(downloads=downloads):
            found = next((d for d in downloads if d.id == download_id), None)
            return found, found is None
        case Upsert(kind="download"):
            item = decode_item(event)
            if isinstance(item, Download) and item.id == download_id:
                return item, False
            return None, False
        case Removed(kind="download", id=gone, is_done=is_done) if gone == download_id:
            if not is_done:
                raise _cancelled(download_id)
            return None, True
        case _:
            return None, False


def _finish(api: Api, model_id: str, screen: "_Screen") -> int:
    screen.end()
    model = next((m for m in api.models() if m.id == model_id), None)
    if model is None:
        raise _cancelled(model_id)
    print(f"{model_id} is there, {file_size(model.size_bytes)}")
    if model.problem is not None:
        print(f"Note: {model.problem}")
    return 0


def _cancelled(model_id: str) -> AppError:
    return AppError(f"The download of {model_id} was cancelled.", code=ErrorCode.NOT_FOUND)


def _stopped(download: Download) -> AppError:
    if download.failure is not None:
        failure = download.failure
        return AppError(failure.message, hint=failure.hint, code=failure.code)
    return AppError(
        f"The download of {download.id} is {download.state.value}.",
        hint=f"mlxm pull {download.id} goes on with it.",
        code=ErrorCode.DOWNLOAD_FAILED,
    )


class _Screen:
    """One line that is drawn again and again, or a new line now and then."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._width = 0
        self._printed_at = 0.0
        self._state: DownloadState | None = None
        self._notice = ""

    def show(self, download: Download) -> None:
        """Show how far a download is."""
        if download.notice and download.notice != self._notice:
            self._notice = download.notice
            self.end()
            print(download.notice, file=sys.stderr)
        text = _line(download)
        if self._is_terminal:
            sys.stdout.write(f"\r{text:<{self._width}}")
            sys.stdout.flush()
            self._width = len(text)
            return
        now = time.monotonic()
        if download.state is not self._state or now - self._printed_at > _LINE_S:
            self._state, self._printed_at = download.state, now
            print(text, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal and self._width:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._width = 0


def _line(download: Download) -> str:
    words = {
        DownloadState.QUEUED: f"in line, place {download.place or 1}",
        DownloadState.RESOLVING: "reading the list of files",
        DownloadState.WAITING: _waiting(download),
        DownloadState.VERIFYING: f"checking, {download.files_done} of {download.files_total} files",
    }
    parts = [words.get(download.state, download.state.value)]
    total = download.total_bytes
    if total:
        share = download.done_bytes / total
        bar = "#" * int(share * _BAR)
        figures = f"{file_size(download.done_bytes)} of {file_size(total)}"
        parts.insert(0, f"[{bar:-<{_BAR}}] {share:4.0%}  {figures}")
    if download.bytes_per_s is not None:
        parts.append(f"{file_size(download.bytes_per_s)}/s")
    if download.eta_s is not None:
        minutes, seconds = divmod(int(download.eta_s), 60)
        parts.append(f"{minutes}:{seconds:02} left")
    return "  ".join(parts)


def _waiting(download: Download) -> str:
    if download.retry_at is None or download.place is not None:
        # One that waits for its hours has said until when.
        return download.waiting
    return f"{download.waiting}, tries again in {max(0, round(download.retry_at - time.time()))} s"
