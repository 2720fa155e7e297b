"""The ends of logs for the report, without the texts that a talkative server writes to its own."""

import re
from collections.abc import Iterator
from pathlib import Path

from app import files

_LINES = 120
_TAIL_BYTES = 64_000
# As mlx_lm/server.py logs, and the access lines of http.server between.
_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - ([A-Z]+) - |\S+ - - \[")
# With DEBUG bodies, answers and each piece of one are written; with ERROR bodies that are wrong.
_BODIES = re.compile(r"(?i)raw body:|request body:|outgoing response:")
_LEFT_OUT = "[texts of requests are left out here]"


def tail(path: Path) -> str:
    """Return the last lines of a file, nothing where it cannot be read."""
    try:
        text = files.tail(path, _TAIL_BYTES)
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_LINES:])


def server_tail(path: Path) -> str:
    """Return the last lines of a server's log that hold no text of a request or an answer."""
    try:
        is_cut = path.stat().st_size > _TAIL_BYTES
        text = files.tail(path, _TAIL_BYTES)
    except OSError:
        return ""
    return "\n".join(list(_without_texts(text.splitlines(), is_text=is_cut))[-_LINES:])


def _without_texts(lines: list[str], *, is_text: bool) -> Iterator[str]:
    """Yield the lines; `is_text` says that they may begin amid the record of a text."""
    was_text = False
    for line in lines:
        if record := _RECORD.match(line):
            is_text = record[1] == "DEBUG" or _BODIES.search(line) is not None
        if not is_text:
            yield line
        elif not was_text:
            yield _LEFT_OUT
        was_text = is_text
