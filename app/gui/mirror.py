"""The GUI's copy of one engine's state, in the GUI thread."""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from math import nan

from PySide6.QtCore import QObject, Signal

from app.wire.events import (
    SLOW_S,
    Event,
    Heartbeat,
    MachineSample,
    Removed,
    Samples,
    Snapshot,
    Upsert,
    decode_item,
)
from app.wire.nouns import (
    Download,
    EngineInfo,
    ForeignServer,
    Model,
    Profile,
    PublicPort,
    Server,
)

HISTORY = 120
"""Samples that a sparkline shows: two minutes at 1 Hz."""


# Beyond this a tick does not stand for the seconds before it.
_LONGEST_S = SLOW_S + 2


class LinkState(Enum):
    """How the connection to the engine is."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    NEEDS_KEY = "needs_key"


class Trouble(Enum):
    """What is wrong with the engine, as far as it matters for the way out."""

    NONE = "none"
    """Nothing, or something that another try may heal."""
    ENDED = "ended"
    """The engine was there and has gone."""
    SILENT = "silent"
    """An engine runs on this computer, but does not answer."""
    OTHER_VERSION = "other_version"
    """The engine of this home is of another version."""


class Series:
    """The last samples of one server: one ring for each metric, oldest first, NaN for a gap."""

    def __init__(self) -> None:
        self._rings: dict[str, deque[float]] = {}
        self._latest: dict[str, float | None] = {}
        self._times: deque[float] = deque([nan] * HISTORY, maxlen=HISTORY)

    def append(self, values: dict[str, float | None], at: float = nan) -> None:
        """Add one tick; a metric that is missing from `values` becomes a gap.

        `at` is when it was taken, in seconds since the epoch by the engine's clock. A tick that
        comes some seconds later than the last one fills them: it is the mean since then. What is
        longer is a gap.
        """
        missed = at - self._times[-1] - 1
        if missed >= 0.5:
            count = min(round(missed), HISTORY)
            for late in range(count, 0, -1):
                self._add(values if count < _LONGEST_S else {}, at - late)
        self._latest = values
        self._add(values, at)

    def _add(self, values: dict[str, float | None], at: float) -> None:
        self._times.append(at)
        rings = self._rings
        for name in values.keys() - rings.keys():
            rings[name] = deque([nan] * HISTORY, maxlen=HISTORY)
        for name, ring in rings.items():
            value = values.get(name)
            ring.append(nan if value is None else value)

    def latest(self, name: str) -> float | None:
        """Return the newest value; None when it is unknown."""
        return self._latest.get(name)

    def history(self, name: str) -> Sequence[float]:
        """Return HISTORY values, oldest first; NaN where nothing is known."""
        return self._rings.get(name) or [nan] * HISTORY

    def times(self) -> Sequence[float]:
        """Return when the values of a history were taken, as `append` was told."""
        return self._times

    def clear(self) -> None:
        """Forget everything: a new process starts with an empty history."""
        self._rings.clear()
        self._latest = {}
        self._times = deque([nan] * HISTORY, maxlen=HISTORY)


class Mirror(QObject):
    """Applies the engine's events and says what changed. Items are keyed by id and frozen.

    After a lost connection the last state stays, and `link` tells that it is stale.
    """

    engine_changed = Signal(object)  # EngineInfo
    link_changed = Signal(object)  # LinkState
    place_changed = Signal(object)  # str
    profiles_changed = Signal()
    models_changed = Signal()
    downloads_changed = Signal()
    download_done = Signal(object)  # str, its id: its model is there; then downloads_changed
    foreign_changed = Signal()
    server_changed = Signal(object)  # Server, new or changed
    server_removed = Signal(object)  # str, its id
    sampled = Signal(object)  # Samples

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine: EngineInfo | None = None
        self.place = ""
        """The name of the other computer that this engine is on; empty for this computer."""
        self.link = LinkState.CONNECTING
        self.link_text = ""
        self.link_detail = ""
        self.trouble = Trouble.NONE
        self.stale_since: float | None = None
        self.profiles: dict[str, Profile] = {}
        self.servers: dict[str, Server] = {}
        self.models: dict[str, Model] = {}
        self.downloads: dict[str, Download] = {}
        self.foreign: dict[str, ForeignServer] = {}
        self.series: dict[str, Series] = {}
        self.machine: MachineSample | None = None

    @property
    def is_stale(self) -> bool:
        """True while what is here may no longer be so, because the engine does not answer."""
        is_lost = self.link in (LinkState.STALE, LinkState.NEEDS_KEY)
        return is_lost or self.stale_since is not None

    @property
    def has_local_disk(self) -> bool:
        """True when the engine's files are this computer's."""
        return self.engine is not None and "local_disk" in self.engine.capabilities

    def base_url(self, server_id: str) -> str:
        """Return where programs reach a server: at its own port if it has one; "" if unknown."""
        if self.engine is None:
            return ""
        own = (port.url for port in self._ports_of(server_id) if port.url)
        return f"{next(own, self.engine.gateway_url)}/v1"

    def port_note(self, server_id: str) -> str:
        """Return why the server's own port cannot be opened, nothing if that is not so."""
        return next((port.note for port in self._ports_of(server_id)), "")

    def _ports_of(self, server_id: str) -> list[PublicPort]:
        ports = () if self.engine is None else self.engine.public_ports
        return [port for port in ports if port.profile == server_id]

    def set_place(self, name: str) -> None:
        """Record on which other computer the engine is; "" for this one."""
        if name != self.place:
            self.place = name
            self.place_changed.emit(name)

    def set_link(
        self,
        state: LinkState,
        text: str = "",
        since: float | None = None,
        *,
        detail: str = "",
        trouble: Trouble = Trouble.NONE,
    ) -> None:
        """Record how the connection is; `text` is a sentence for the user, `detail` the next one.

        `since` is when the figures stopped, in seconds since the epoch; kept until it is live.
        """
        before = (self.link, self.link_text, self.link_detail, self.trouble)
        if (state, text, detail, trouble) != before:
            self.link, self.link_text = state, text
            self.link_detail, self.trouble = detail, trouble
            self.stale_since = None if state is LinkState.LIVE else self.stale_since or since
            self.link_changed.emit(state)

    def apply(self, event: Event) -> None:
        """Take one event of the stream."""
        match event:
            case Snapshot():
                self._apply_snapshot(event)
            case Upsert():
                self._apply_upsert(event)
            case Removed():
                self._apply_removed(event)
            case Samples():
                self._apply_samples(event)
            case Heartbeat():
                pass

    def take_over(self, other: "Mirror") -> None:
        """Show what another mirror of the same engine has shown last, its figures too."""
        self.machine, self.series = other.machine, dict(other.series)
        if other.engine is not None:
            self.apply(
                Snapshot(
                    0,
                    other.engine,
                    profiles=tuple(other.profiles.values()),
                    servers=tuple(other.servers.values()),
                    models=tuple(other.models.values()),
                    downloads=tuple(other.downloads.values()),
                    foreign=tuple(other.foreign.values()),
                )
            )

    def _apply_snapshot(self, event: Snapshot) -> None:
        self.engine = event.engine
        self.engine_changed.emit(event.engine)
        self._replace_servers({s.id: s for s in event.servers})
        for name in ("profiles", "models", "downloads", "foreign"):
            items = {item.id: item for item in getattr(event, name)}
            if items != getattr(self, name):
                setattr(self, name, items)
                getattr(self, f"{name}_changed").emit()

    def _replace_servers(self, servers: dict[str, Server]) -> None:
        for server_id in self.servers.keys() - servers.keys():
            self._remove_server(server_id)
        for server in servers.values():
            if self.servers.get(server.id) != server:
                self._put_server(server)

    def _apply_upsert(self, event: Upsert) -> None:
        item = decode_item(event)
        match item:
            case Server():
                self._put_server(item)
            case Profile():
                self.profiles[item.id] = item
                self.profiles_changed.emit()
            case Model():
                self.models[item.id] = item
                self.models_changed.emit()
            case Download():
                self.downloads[item.id] = item
                self.downloads_changed.emit()
            case ForeignServer():
                self.foreign[item.id] = item
                self.foreign_changed.emit()
            case EngineInfo():
                self.engine = item
                self.engine_changed.emit(item)

    def _apply_removed(self, event: Removed) -> None:
        match event.kind:
            case "server":
                self._remove_server(event.id)
            case "profile":
                self.profiles.pop(event.id, None)
                self.profiles_changed.emit()
            case "model":
                self.models.pop(event.id, None)
                self.models_changed.emit()
            case "download":
                self.downloads.pop(event.id, None)
                if event.is_done:
                    self.download_done.emit(event.id)
                self.downloads_changed.emit()
            case "foreign":
                self.foreign.pop(event.id, None)
                self.foreign_changed.emit()
            case "engine":
                pass

    def _put_server(self, server: Server) -> None:
        before = self.servers.get(server.id)
        if before is not None and before.started_at != server.started_at:
            self.series.pop(server.id, None)
        self.servers[server.id] = server
        self.series.setdefault(server.id, Series())
        self.server_changed.emit(server)

    def _remove_server(self, server_id: str) -> None:
        if self.servers.pop(server_id, None) is not None:
            self.series.pop(server_id, None)
            self.server_removed.emit(server_id)

    def _apply_samples(self, event: Samples) -> None:
        self.machine = event.machine
        for server_id, series in self.series.items():
            if (values := event.values.get(server_id)) is not None:
                series.append(values, event.at)
        self.sampled.emit(event)
