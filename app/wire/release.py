"""The newest release of this program, and whether it is newer than another."""

import re

import msgspec

_VERSION = re.compile(r"v?(\d{1,4}(?:\.\d{1,4}){1,3})")


class Release(msgspec.Struct, frozen=True):
    """A released version and the page that tells what is new in it."""

    version: str
    """Numbers with dots between them."""
    page: str
    """An address for a browser."""


class ReleaseAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of asking for the newest release: that, or why there is none."""

    release: Release | None = None
    trouble: str = ""


def version_in(tag: str) -> str | None:
    """Return the version that a tag such as `v1.2.3` names; None for early and odd ones."""
    match = _VERSION.fullmatch(tag)
    return match[1] if match else None


def is_newer(version: str, than: str) -> bool:
    """Return True when both are versions and the first is the later one; 1.2 is 1.2.0."""
    first, second = _numbers(version), _numbers(than)
    return first is not None and second is not None and first > second


def _numbers(version: str) -> tuple[int, ...] | None:
    text = version_in(version)
    if text is None:
        return None
    numbers = [int(part) for part in text.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))
