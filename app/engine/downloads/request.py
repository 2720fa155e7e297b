"""What may be asked for: a check of requests before they become downloads."""

import re

from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Download, DownloadRequest

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")


def check_request(request: DownloadRequest) -> None:
    """Raise AppError for a request that no hub can answer."""
    if not _ID.fullmatch(request.id) or "--" in request.id or ".." in request.id:
        raise AppError(
            f"“{request.id[:120]}” is no id of a model on the hub.",
            hint="Write it like mlx-community/Qwen3-4B-4bit.",
            code=ErrorCode.BAD_REQUEST,
        )
    if not 0 < len(request.revision) <= 200:
        raise AppError("The revision has no usable name.", code=ErrorCode.BAD_REQUEST)


def conflict(download: Download) -> AppError:
    """Return the refusal of another revision of what is being downloaded."""
    return AppError(
        f"{download.id} is already being downloaded, in its revision “{download.revision}”.",
        hint="Cancel that download first.",
        code=ErrorCode.DOWNLOAD_CONFLICT,
    )
