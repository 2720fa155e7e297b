"""What a check finds."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How much a finding matters."""

    FINE = "ok"
    NOTE = "note"
    TROUBLE = "trouble"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    level: Level
    sentence: str
    hint: str = ""
    """What to do about it."""
    fix: Callable[[], str] | None = None
    """Mends it and returns what was done; may raise OSError. None where a person must decide."""
