"""What a line of a log says: its time, how bad it is, and the rest."""

import re
from typing import NamedTuple

_STAMPED = re.compile(
    r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d)[.,]?\d* (?:- ([A-Z]+) - |([A-Z]+) +\w+: )(.*)", re.DOTALL
)
"""Lines of mlx_lm.server (`… - INFO - text`) and of our own programs (`… INFO    server: text`)."""
_ACCESS = re.compile(r'\S+ - - \[\d+/\w+/\d+ (\d\d:\d\d:\d\d)\] "(\w+ \S+) [^"]*" (\d+).*')
"""Lines of Python's http.server."""
_USUAL = frozenset({"INFO", "DEBUG"})


class LineParts(NamedTuple):
    """A line as it is shown. Every part may be empty."""

    time: str
    level: str
    text: str


def parts_of(line: str) -> LineParts:
    """Return the parts of a line; one that is unlike the others is all text."""
    if match := _ACCESS.match(line):
        return LineParts(match[1], "", f"{match[2]}  {match[3]}")
    if match := _STAMPED.match(line):
        word = match[2] or match[3]
        return LineParts(match[1], "" if word in _USUAL else word.capitalize(), match[4])
    return LineParts("", "", line.expandtabs(4))
