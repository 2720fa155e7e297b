"""What the handlers of the control API may use of the engine."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.engine.access import Access
from app.engine.bus import Bus
from app.engine.downloads import Downloads
from app.engine.foreign import ForeignServers
from app.engine.history import History
from app.engine.hub import Hub
from app.engine.profiles import Profiles
from app.engine.settings import EngineSettings
from app.engine.supervisor import Supervisor
from app.gateway.ledger import Ledger
from app.throttle import Throttle


@dataclass
class State:
    """The parts of one engine."""

    bus: Bus
    profiles: Profiles
    settings: EngineSettings
    supervisor: Supervisor
    downloads: Downloads
    foreign: ForeignServers
    hub: Hub
    access: Access
    ledger: Ledger
    """Requests at the gateway."""
    history: History
    throttle: Throttle
    """One for both ports."""
    rescan: Callable[[], None]
    """Look at the disk for models again, in the background."""
    models_known: asyncio.Event
    """Set when the first look at the disk has ended, whatever it has found."""
    on_settings: Callable[[], Awaitable[None]]
    """Apply settings that take effect at once."""
    settings_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while settings change: of two changes at a time, one would be lost."""
