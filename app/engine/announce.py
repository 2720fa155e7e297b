"""Makes an engine that the network may reach known there, by Bonjour."""

import ipaddress
import logging
from collections.abc import Sequence
from typing import Any

import psutil

from app.wire.nearby import KEY_FIELD, SERVICE, VERSION_FIELD
from app.wire.nouns import EngineInfo

_log = logging.getLogger("engine")


class Announcement:
    """One engine's entry in the network's list; without one until `open`."""

    def __init__(self) -> None:
        self._zeroconf: Any = None

    async def open(
        self, info: EngineInfo, host: str, port: int, *, interfaces: Sequence[str] | None = None
    ) -> None:
        """Announce the control API at `port`. Trouble is logged: the engine works without it.

        `host` is the address that it listens on; `interfaces` limits where it is announced.
        """
        # Here, because few engines are reached from the network: it takes 80 ms and 4 MB.
        from zeroconf import Error, InterfaceChoice
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

        addresses = _addresses(host)
        if not addresses:
            _log.warning("this computer has no address that could be announced")
            return
        name = info.machine.name.replace(".", " ").strip() or "Engine"
        service = AsyncServiceInfo(
            SERVICE,
            f"{name[:50]}.{SERVICE}",
            parsed_addresses=addresses,
            port=port,
            properties={KEY_FIELD: str(int(info.key_required)), VERSION_FIELD: info.version},
        )
        zeroconf: Any = None
        try:
            zeroconf = AsyncZeroconf(interfaces=interfaces or InterfaceChoice.Default)
            await (await zeroconf.async_register_service(service, allow_name_change=True))
        except (OSError, Error) as error:
            _log.warning("the engine could not be announced: %s", error or type(error).__name__)
            if zeroconf is not None:
                await zeroconf.async_close()
            return
        self._zeroconf = zeroconf
        _log.info("announced on the local network as %s", service.name)

    async def close(self) -> None:
        """Take the entry back."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()


def _addresses(host: str) -> list[str]:
    """Return the IPv4 addresses at which others reach what listens on `host`."""
    if host not in ("0.0.0.0", "::"):  # noqa: S104 - a comparison
        return [host]
    found = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family.name == "AF_INET"
    ]
    return [text for text in found if not ipaddress.ip_address(text).is_loopback]
