"""Takes out of a text what must not leave this computer."""

import getpass
import ipaddress
import re
import socket
from pathlib import Path

_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)(\s+)[^\s\"']+"), r"\1\2[removed]"),
    (re.compile(r"(?i)((?:api[_-]?key|token|secret|password|passwd)[\"']?\s*[=:]\s*[\"']?)"
                r"[^\s\"',}&]+"), r"\1[removed]"),
    # Of an address, whatever the name in front of it.
    (re.compile(r"(?i)([?&][\w.-]*(?:key|sig|signature|credential|auth|code|pass)=)[^\s\"'&#]+"),
     r"\1[removed]"),
    (re.compile(r"\bhf_[A-Za-z0-9]{6,}"), "[removed]"),
    (re.compile(r"\bmlxm-[A-Za-z0-9_-]{20,}"), "[removed]"),
    # To the last @ before a path or a blank: a password may have one, too.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s\"']+@"), r"\1[removed]@"),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z.]{2,}"), "[mail]"),
    (re.compile(r"\b(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}\b"), "[address]"),
    (re.compile(r"(?i)(?<![0-9a-f])[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}(?![0-9a-f])"),
     "[address]"),
    (re.compile(r"(/(?:Users|home)/)(?!Shared\b)[^/\s\"':]+"), r"\1[user]"),
)  # fmt: skip
_COLONS = re.compile(r"(?i)(?<!\w)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:])")
_SHORTEST_NAME = 3


def scrub(text: str) -> str:
    """Return the text without keys, tokens, mail and network addresses, user and host name."""
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    for pattern, put in _SECRETS:
        text = pattern.sub(put, text)
    text = _COLONS.sub(_without_address, text)
    for name, put in ((_user(), "[user]"), (socket.gethostname().split(".")[0], "[computer]")):
        if len(name) >= _SHORTEST_NAME and name not in ("root", "localhost"):
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", put, text)
    return text


def _without_address(found: re.Match[str]) -> str:
    """Return what was found as it is where it is a time or such, or the computer itself."""
    try:
        address = ipaddress.IPv6Address(found[0])
    except ValueError:
        return found[0]
    return found[0] if address.is_loopback or address.is_unspecified else "[address]"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
