"""Calls about the engine itself: facts, figures, settings and events."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from app.client.calls.link import CONNECT_S, READ_S, Link
from app.client.errors import EngineGone, WrongVersion
from app.client.stream import LineTooLongError, data_of
from app.wire import API_VERSION
from app.wire.events import SILENCE_S, Event, Snapshot, Upsert, decode_event, decode_item
from app.wire.nouns import EngineInfo
from app.wire.settings import SettingState, SettingValue

_HERE = ("127.0.0.1", "::1", "localhost")


class GeneralCalls(Link):
    """Calls about the engine itself: facts, figures, settings and events."""

    def health(self, *, timeout: float = READ_S) -> bool:
        """Return True when an engine answers; `timeout` in seconds."""
        return self.get("/health", dict[str, Any], timeout=timeout).get("status") == "ok"

    def engine(self) -> EngineInfo:
        """Return the engine's facts. Raises WrongVersion for one that this client misreads."""
        facts = self.get("/api/engine", dict[str, Any])
        version = facts.get("api_version")
        if version != API_VERSION:
            raise WrongVersion(
                f"The engine at {self.url} speaks version {version}, this app {API_VERSION}.",
                hint="Use the same version of the app on both sides.",
            )
        try:
            return self._as_reached(msgspec.convert(facts, EngineInfo))
        except msgspec.ValidationError as error:
            raise self.misread(error) from error

    def metrics(self) -> str:
        """Return all metrics in the text format of Prometheus."""
        return self.request("GET", "/metrics").decode("utf-8", "replace")

    def settings(self) -> list[SettingState]:
        """Return the engine's settings."""
        return self.get("/api/settings", list[SettingState])

    def change_settings(self, changes: Mapping[str, SettingValue]) -> list[SettingState]:
        """Change some of the engine's settings."""
        return self.send("PATCH", "/api/settings", changes, list[SettingState])

    def events(self, *, every_s: int = 1) -> Iterator[Event]:
        """Yield the engine's events, a snapshot first, until EngineGone.

        Figures come about every `every_s` seconds.
        That is raised when the engine ends, and after 6 s of silence.
        """
        import httpx2 as httpx

        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        try:
            wish = {"every": every_s}
            with self.http.stream("GET", "/api/events", params=wish, timeout=timeout) as response:
                if response.status_code != 200:
                    response.read()
                    raise self.error(response)
                self.stream = response.extensions.get("network_stream")
                for data in data_of(response.iter_bytes()):
                    yield self._decoded_event(data)
        except LineTooLongError as error:
            raise self.misread(error) from error
        except (httpx.HTTPError, OSError) as error:
            raise self.gone(error) from error
        raise EngineGone(f"The engine at {self.url} has ended.")

    def _decoded_event(self, data: bytes) -> Event:
        try:
            event = decode_event(data)
            if isinstance(event, Snapshot):
                return msgspec.structs.replace(event, engine=self._as_reached(event.engine))
            if isinstance(event, Upsert):
                # Whoever applies it cannot do anything about an item that is none.
                item = decode_item(event)
                if isinstance(item, EngineInfo):
                    item = msgspec.Raw(msgspec.json.encode(self._as_reached(item)))
                    return msgspec.structs.replace(event, item=item)
        except msgspec.DecodeError as error:
            raise self.misread(error) from error
        return event

    def _as_reached(self, info: EngineInfo) -> EngineInfo:
        """Return the facts as they are true from here.

        An engine knows one of its addresses, which may lead nowhere from another computer; there
        the host that answered counts. So a key goes to no host but the one that it is meant for.
        """
        reached = urlsplit(self.url)
        if reached.hostname in _HERE:
            return info
        ports = [
            msgspec.structs.replace(port, url=_at_host(reached, port.url))
            for port in info.public_ports
        ]
        return msgspec.structs.replace(
            info,
            url=self.url,
            gateway_url=_at_host(reached, info.gateway_url),
            public_ports=tuple(ports),
            capabilities=tuple(name for name in info.capabilities if name != "local_disk"),
        )


def _at_host(host: SplitResult, url: str) -> str:
    """Return an address with another host; one that is empty stays so."""
    name = host.hostname or ""
    port = url.rpartition(":")[2]
    return url and f"http://{f'[{name}]' if ':' in name else name}:{port}"
