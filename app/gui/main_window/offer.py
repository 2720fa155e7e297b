"""Something that the notice bar says, with a way back or on."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Offer:
    """A sentence about what was done, and the one thing to do about it."""

    text: str
    action_text: str = ""
    action: Callable[[], None] | None = None
