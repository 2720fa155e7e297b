"""The event stream: one snapshot, then ordered deltas, and all samples of a tick in one event."""

from typing import Literal

import msgspec

from app.wire.nouns import Download, EngineInfo, ForeignServer, Model, Profile, Server
from app.wire.reading import JsonReader, read_json

Kind = Literal["profile", "server", "model", "download", "engine", "foreign"]

HEARTBEAT_S = 2.0
SLOW_S = 5
"""Seconds between the figures when nobody looks at them."""
MOST_EVERY_S = 60
"""The rarest that a reader of the stream may ask for."""
"""An event of some kind is sent at least this often."""
SILENCE_S = 6.0
"""A stream that was silent for this long belongs to a lost engine."""

SampleValues = dict[str, float | None]


class MachineSample(msgspec.Struct, frozen=True):
    """Figures of the whole machine at one tick."""

    memory_total_bytes: int
    memory_used_bytes: int
    """Memory that is not available to a new program."""
    gpu_percent: float | None = None


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot", tag_field="event"):
    """Everything, at the moment of subscribing or after a gap."""

    seq: int
    engine: EngineInfo
    profiles: tuple[Profile, ...]
    servers: tuple[Server, ...]
    models: tuple[Model, ...]
    downloads: tuple[Download, ...]
    foreign: tuple[ForeignServer, ...] = ()


class Upsert(msgspec.Struct, frozen=True, tag="upsert", tag_field="event"):
    """One item is new or changed. `item` is raw JSON of the kind's struct."""

    seq: int
    kind: Kind
    item: msgspec.Raw


class Removed(msgspec.Struct, frozen=True, tag="removed", tag_field="event"):
    """One item is gone."""

    seq: int
    kind: Kind
    id: str
    is_done: bool = False
    """True for a download that came to its end; its model follows, changed or not."""


class Samples(msgspec.Struct, frozen=True, tag="samples", tag_field="event"):
    """The metrics of all servers at one tick; None is a figure that could not be read."""

    seq: int
    at: float
    """Seconds since the epoch."""
    machine: MachineSample
    values: dict[str, SampleValues]
    """Server id to metric name to value."""


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat", tag_field="event"):
    """Nothing happened, and the engine lives."""

    seq: int


Event = Snapshot | Upsert | Removed | Samples | Heartbeat
AnyItem = Profile | Server | Model | Download | EngineInfo | ForeignServer
ITEM_TYPES: dict[Kind, type[AnyItem]] = {
    "profile": Profile,
    "server": Server,
    "model": Model,
    "download": Download,
    "engine": EngineInfo,
    "foreign": ForeignServer,
}

_decoder: JsonReader[Event] = JsonReader(Event)


def decode_event(data: bytes) -> Event:
    """Return the event in one JSON document. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)


def decode_item(event: Upsert) -> AnyItem:
    """Return the item of an upsert as the struct of its kind. Raises msgspec.DecodeError."""
    return read_json(event.item, ITEM_TYPES[event.kind])
