"""Looks for engines on the local network, when the user asks for it."""

import time
from collections.abc import Sequence

import msgspec

from app.wire.errors import AppError
from app.wire.nearby import KEY_FIELD, SERVICE, VERSION_FIELD

_LOOKUP_MS = 1500


class NearbyEngine(msgspec.Struct, frozen=True):
    """An engine that somebody announces. Nothing of this is proven: anybody can announce it."""

    name: str
    url: str
    needs_key: bool
    version: str


def look_around(
    seconds: float = 3.0, *, interfaces: Sequence[str] | None = None
) -> list[NearbyEngine]:
    """Return the engines that answer within some seconds, by name. Blocks so long.

    Raises AppError when the network cannot be listened to.
    """
    # Here: it takes 80 ms, and most people have one computer.
    from zeroconf import InterfaceChoice, ServiceBrowser, Zeroconf

    names: list[str] = []

    def on_change(**change: object) -> None:
        name = change.get("name")
        if isinstance(name, str) and name not in names:
            names.append(name)

    try:
        zeroconf = Zeroconf(interfaces=interfaces or InterfaceChoice.Default)
    except OSError as error:
        raise AppError(
            f"The local network cannot be searched: {error.strerror or error}.",
            hint="On a Mac, allow it in System Settings, Privacy & Security, Local Network.",
        ) from error
    try:
        browser = ServiceBrowser(zeroconf, SERVICE, handlers=[on_change])
        time.sleep(seconds)
        browser.cancel()
        found = [zeroconf.get_service_info(SERVICE, name, _LOOKUP_MS) for name in names]
    finally:
        zeroconf.close()
    engines = [_engine(info) for info in found if info is not None]
    return sorted((e for e in engines if e is not None), key=lambda e: (e.name.casefold(), e.url))


def _engine(info: object) -> NearbyEngine | None:
    from zeroconf import ServiceInfo

    if not isinstance(info, ServiceInfo) or not info.port:
        return None
    addresses = info.parsed_addresses()
    if not addresses:
        return None
    address = next((a for a in addresses if ":" not in a), f"[{addresses[0]}]")
    fields = info.decoded_properties
    return NearbyEngine(
        name=info.name.removesuffix(f".{SERVICE}")[:60],
        url=f"http://{address}:{info.port}",
        needs_key=fields.get(KEY_FIELD) == "1",
        version=(fields.get(VERSION_FIELD) or "")[:20],
    )
