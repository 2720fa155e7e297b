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
    profile_id: str = ""
    starts_on_request: bool = False
    """True when a request may start it."""


class Directory(Protocol):
    """The engine's knowledge, asked anew for each request; only `ensure` waits."""

    def ready(self) -> Sequence[Upstream]:
        """Return the servers that answer now, the most recently started first."""
        ...

    def known(self) -> Sequence[Served]:
        """Return all profiles."""
        ...

    async def ensure(self, profile_id: str) -> Upstream:
        """Start the profile's server unless it runs, and wait until it is ready.

        Raises AppError when the start fails. A caller that stops waiting does not stop the start.
        """
        ...
