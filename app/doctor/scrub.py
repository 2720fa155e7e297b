"""Takes out of a text what must not leave this computer."""

import getpass
import re
import socket
from pathlib import Path

_SECRETS = (
    (re.compile(r"(?i)(bearer\s+)[^\s\"']+"), r"\1[removed]"),
    (re.compile(r"(?i)((?:api[_-]?key|token|secret|password)[\"']?\s*[=:]\s*[\"']?)[^\s\"',}]+"),
     r"\1[removed]"),
    (re.compile(r"\bhf_[A-Za-z0-9]{6,}"), "[removed]"),
    (re.compile(r"\bmlxm-[A-Za-z0-9_-]{20,}"), "[removed]"),
    (re.compile(r"(https?://)[^/\s@]+@"), r"\1[removed]@"),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z.]{2,}"), "[mail]"),
    (re.compile(r"\b(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}\b"), "[address]"),
)  # fmt: skip
_SHORTEST_NAME = 3


def scrub(text: str) -> str:
    """Return the text without keys, tokens, mail and network addresses, user and host name."""
    for pattern, put in _SECRETS:
        text = pattern.sub(put, text)
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    for name, put in ((_user(), "[user]"), (socket.gethostname().split(".")[0], "[computer]")):
        if len(name) >= _SHORTEST_NAME and name not in ("root", "localhost"):
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", put, text)
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
