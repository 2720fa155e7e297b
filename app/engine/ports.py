"""The ports that profiles claim for themselves: opened and closed as their files change."""

import asyncio
import errno
import logging

import msgspec

from app.engine import listen
from app.engine.bus import Bus
from app.gateway import Gateway
from app.wire.nouns import PublicPort
from app.wire.policy import public_port

_log = logging.getLogger("gateway")
_RETRY_S = 10.0
"""How long after a failure a port is tried again: whoever holds it may have ended."""
_LOWEST = 1024


class Ports:
    """Follows the profiles. Belongs to the engine's loop."""

    def __init__(self, bus: Bus, gateway: Gateway) -> None:
        self._bus = bus
        self._gateway = gateway
        self._known: dict[str, PublicPort] = {}
        self._tried_at: dict[str, float] = {}

    async def follow(self, now: float) -> None:
        """Open and close what has changed; `now` is monotonic. Takes milliseconds."""
        wanted = self._wanted()
        for name in [n for n, one in self._known.items() if wanted.get(n) != one.port]:
            self._gateway.close_port(name)
            del self._known[name]
            self._tried_at.pop(name, None)
        for name, port in wanted.items():
            before = self._known.get(name)
            is_due = before is None or not before.url
            if is_due and now - self._tried_at.get(name, -_RETRY_S) >= _RETRY_S:
                self._tried_at[name] = now
                self._known[name] = await self._open(name, port)
                self._tell(before, self._known[name])
        info = self._bus.info
        shown = tuple(self._known[name] for name in sorted(self._known))
        if shown != info.public_ports:
            self._bus.put_info(msgspec.structs.replace(info, public_ports=shown))

    def _wanted(self) -> dict[str, int]:
        profiles = [p for p in self._bus.profiles.values() if p.fault is None]
        ports = {profile.id: public_port(profile.policy) for profile in profiles}
        return {name: port for name, port in sorted(ports.items()) if port}

    async def _open(self, name: str, port: int) -> PublicPort:
        others = (o for o in self._known.values() if o.profile != name and o.url)
        rival = next((other.profile for other in others if other.port == port), None)
        if rival is not None:
            title = self._bus.profiles[rival].name
            return PublicPort(name, port, note=f"Port {port} belongs to “{title}” already.")
        if port < _LOWEST:
            note = f"Port {port} is kept for the system; choose one from {_LOWEST}."
            return PublicPort(name, port, note=note)
        try:
            address = await self._gateway.open_port(name, port)
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno == errno.EADDRINUSE:
                reason = f"it is taken by {await asyncio.to_thread(listen.holder, port)}"
            return PublicPort(name, port, note=f"Port {port} cannot be opened: {reason}.")
        return PublicPort(name, port, url=listen.url_of(address))

    def _tell(self, before: PublicPort | None, now: PublicPort) -> None:
        # Each try again says the same.
        if now.note and now != before:
            _log.warning("profile %s: %s", now.profile, now.note)
