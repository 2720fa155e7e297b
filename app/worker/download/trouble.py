"""What can go wrong on the way: what passes by itself, and what is told to the user."""

import email.utils
import errno
import re
import time
from collections.abc import Callable

from app.wire.errors import ErrorCode
from app.wire.nouns import Failure
from app.worker import hub_status

_RESET = re.compile(r"\bt=(\d{1,6})")
_MAX_WAIT_S = 900.0
NETWORK = "No network; continues by itself"
"""Shown while nothing can be reached."""


class Stopped(Exception):
    """The download was paused or discarded."""


class Later(Exception):
    """Trouble that may pass: try again, at most `tries` times in a row without a new byte."""

    def __init__(
        self, text: str, *, after_s: float | None = None, tries: int | None = None
    ) -> None:
        super().__init__(text)
        self.text = text
        self.after_s = after_s
        self.tries = tries


class Trouble(Exception):
    """The end of a download, with the sentence for the user."""

    def __init__(
        self, code: ErrorCode, message: str, hint: str, *, needs_user: bool = False
    ) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, hint)
        self.needs_user = needs_user


def retry_after_s(header: Callable[[str], str | None]) -> float | None:
    """Return how long an answer asks to wait, by its RateLimit or Retry-After header."""
    if match := _RESET.search(header("RateLimit") or ""):
        return min(float(match[1]) + 1.0, _MAX_WAIT_S)
    text = header("Retry-After") or ""
    if text.isascii() and text.isdigit():
        return min(float(text), _MAX_WAIT_S)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(0.0, date.timestamp() - time.time()), _MAX_WAIT_S)


def later_for_status(status: int, header: Callable[[str], str | None]) -> Later | None:
    """Return the trouble of a status that may pass, None for any other status."""
    after_s = retry_after_s(header)
    if status == 429:
        return Later("The hub limits requests", after_s=5.0 if after_s is None else after_s)
    if status == 408 or status >= 500:
        return Later(f"The hub {hub_status.trouble(status)}", after_s=after_s, tries=12)
    return None


def gave_up(later: Later, repo_id: str) -> Trouble:
    """Return the end of a download that was tried too often."""
    return Trouble(
        ErrorCode.HUB_FAILED,
        f"Download of {repo_id} stopped: {_lower(later.text)}, again and again.",
        "What is there is kept. Try again later.",
    )


def disk_full(repo_id: str, missing_bytes: int | None = None) -> Trouble:
    """Return the end of a download that does not fit."""
    short = f" ({missing_bytes / 1e9:.1f} GB short)" if missing_bytes is not None else ""
    return Trouble(
        ErrorCode.DISK_FULL,
        f"Download of {repo_id} stopped: the disk is full{short}.",
        "Free some space on the disk with the model folder, then retry.",
        needs_user=True,
    )


def from_os_error(error: OSError, repo_id: str) -> Trouble:
    """Return the end of a download for an error of this computer's disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(repo_id)
    return Trouble(
        ErrorCode.STORE_FAILED,
        f"Download of {repo_id} stopped: the model folder cannot be written "
        f"({error.strerror or error}).",
        "Check the model folder in the settings and its permissions, then retry.",
        needs_user=True,
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
