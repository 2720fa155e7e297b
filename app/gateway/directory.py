"""What the gateway needs to know about servers, and how it asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Upstream:
    """A ready server and the private way to it."""

    profile_id: str
    profile_name: str
    model: str
    host: str
    port: int
    token: str
    """The secret of this launch: the server answers only who sends it. Empty: none is sent."""


@dataclass(frozen=True, slots=True)
class Served:
    """A profile that could be asked for, running or not."""

    name: str
    model: str
    ready: bool
    created: float
    """Seconds since the epoch; clients are shown whole seconds."""


class Directory(Protocol):
    """The engine's knowledge, asked anew for each request; must not block."""

    def ready(self) -> Sequence[Upstream]:
        """Return the servers that answer now, the most recently started first."""
        ...

    def known(self) -> Sequence[Served]:
        """Return all profiles."""
        ...
