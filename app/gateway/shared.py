"""What all connections of a gateway share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.gate import Policy
from app.gateway.directory import Directory
from app.gateway.ledger import Ledger
from app.throttle import Throttle
from app.wire.requests import RequestTexts


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a client may take, in seconds, and how many there may be."""

    head_s: float = 30.0
    """For a request's head."""
    body_window_s: float = 30.0
    """Between two looks at a body on its way."""
    body_bytes_per_window: int = 300_000
    """10 KB/s, so that a picture of 20 MB arrives over a slow wireless network."""
    idle_s: float = 75.0
    """Between two requests."""
    linger_s: float = 1.0
    """For reading the answer to a request that was refused before its body was read."""
    ping_s: float = 15.0
    """Silence of an event stream that is filled with a comment."""
    starting_s: float = 5.0
    """Between two comments while a server starts."""
    connections: int = 1024


@dataclass(slots=True)
class Shared:
    """The parts of one gateway that its connections use; `policy` may be replaced."""

    directory: Directory
    policy: Policy
    limits: Limits
    throttle: Throttle
    requests_per_server: Callable[[], int]
    keep_texts: Callable[[], Callable[[RequestTexts], None] | None] = lambda: None
    """Returns who keeps prompts and answers, None while nobody does."""
    ledger: Ledger = field(default_factory=Ledger)
