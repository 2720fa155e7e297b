"""The engine's published state and its event stream: one writer, many subscribers."""

import asyncio
import math
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from app.wire.events import (
    SLOW_S,
    Heartbeat,
    Kind,
    MachineSample,
    Removed,
    Samples,
    SampleValues,
    Snapshot,
    Upsert,
)
from app.wire.nouns import Download, EngineInfo, ForeignServer, Model, Profile, Server

Item = Profile | Server | Model | Download | ForeignServer
TICK_SLACK_S = 0.5
_QUEUE = 256
"""Events that a slow subscriber may lag behind before it gets a new snapshot instead."""
_LOOK_S = 30.0
"""For how long a look is followed by fresh figures: Prometheus looks every 15 seconds at first."""


class Bus:
    """Holds all items by kind and id, and tells every subscriber each change in order."""

    def __init__(self, info: EngineInfo) -> None:
        self.info = info
        self.profiles: dict[str, Profile] = {}
        self.servers: dict[str, Server] = {}
        self.models: dict[str, Model] = {}
        self.downloads: dict[str, Download] = {}
        self.foreign: dict[str, ForeignServer] = {}
        self.samples: tuple[MachineSample, dict[str, SampleValues]] | None = None
        """The latest metrics."""
        self.sampled_at = 0.0
        """When they were measured, seconds since the epoch."""
        self._seq = 0
        self._subscriptions: set[Subscription] = set()
        self._looked_at = -math.inf

    def put(self, item: Item) -> None:
        """Publish a new or changed item; an equal one is no event."""
        kind, table = self._table(item)
        if table.get(item.id) != item:
            table[item.id] = item
            self._send(Upsert(self._next(), kind, msgspec.Raw(msgspec.json.encode(item))))

    def finish(self, download: Download, model: Model) -> None:
        """Publish that a download is gone because its model is there, new or not."""
        # One after the other without a wait, so that nobody sees both or none.
        if self.downloads.pop(download.id, None) is not None:
            self._send(Removed(self._next(), "download", download.id, is_done=True))
        self.models[model.id] = model
        self._send(Upsert(self._next(), "model", msgspec.Raw(msgspec.json.encode(model))))

    def put_info(self, info: EngineInfo) -> None:
        """Publish changed facts about the engine itself."""
        if info != self.info:
            self.info = info
            self._send(Upsert(self._next(), "engine", msgspec.Raw(msgspec.json.encode(info))))

    def remove(self, item: Item) -> None:
        """Publish that an item is gone."""
        kind, table = self._table(item)
        if table.pop(item.id, None) is not None:
            self._send(Removed(self._next(), kind, item.id))

    def replace_models(self, models: Iterable[Model]) -> None:
        """Publish the difference between the known models and these."""
        new = {m.id: m for m in models}
        for old in [m for m in self.models.values() if m.id not in new]:
            self.remove(old)
        for model in new.values():
            self.put(model)

    def replace_foreign(self, servers: Iterable[ForeignServer]) -> None:
        """Publish the difference between the known foreign servers and these."""
        new = {s.id: s for s in servers}
        for old in [s for s in self.foreign.values() if s.id not in new]:
            self.remove(old)
        for server in new.values():
            self.put(server)

    def sample(self, machine: MachineSample, values: dict[str, SampleValues]) -> None:
        """Publish the metrics of one tick."""
        self.samples = (machine, values)
        self.sampled_at = time.time()
        now = time.monotonic()
        due = [one for one in self._subscriptions if one.is_due(now)]
        seq = self._next()
        if due:
            data = msgspec.json.encode(Samples(seq, self.sampled_at, machine, values))
            for subscription in due:
                subscription.offer(data)

    def pace_s(self) -> float:
        """Return how often somebody wants figures, in seconds; 0 is as often as there are any."""
        paces = [one.every_s for one in self._subscriptions]
        if time.monotonic() - self._looked_at < _LOOK_S:
            paces.append(1.0)
        return min(paces, default=float(SLOW_S))

    def look(self) -> None:
        """Take notice that somebody wants figures who has no subscription."""
        self._looked_at = time.monotonic()

    def snapshot(self) -> Snapshot:
        """Return everything as one event."""
        return Snapshot(
            self._seq,
            self.info,
            tuple(self.profiles.values()),
            tuple(self.servers.values()),
            tuple(self.models.values()),
            tuple(self.downloads.values()),
            tuple(self.foreign.values()),
        )

    def heartbeat(self) -> bytes:
        """Return an event that says nothing but that the engine lives."""
        return msgspec.json.encode(Heartbeat(self._seq))

    def subscribe(self, every_s: float = 1.0) -> "Subscription":
        """Return a subscription; its first event is a snapshot. Close it when done.

        It gets figures every `every_s` seconds at most; 0 is as often as there are any.
        """
        subscription = Subscription(self, every_s)
        self._subscriptions.add(subscription)
        return subscription

    def close(self) -> None:
        """End every subscription."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def unsubscribe(self, subscription: "Subscription") -> None:
        """Send it nothing more."""
        self._subscriptions.discard(subscription)

    def _table(self, item: Item) -> tuple[Kind, dict[str, Any]]:
        match item:
            case Profile():
                return "profile", self.profiles
            case Server():
                return "server", self.servers
            case Model():
                return "model", self.models
            case Download():
                return "download", self.downloads
            case ForeignServer():
                return "foreign", self.foreign

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _send(self, event: Upsert | Removed) -> None:
        if self._subscriptions:
            data = msgspec.json.encode(event)
            for subscription in self._subscriptions:
                subscription.offer(data)


class Subscription:
    """One reader of the event stream."""

    def __init__(self, bus: Bus, every_s: float) -> None:
        self._bus = bus
        self.every_s = every_s
        self._sampled_at = -math.inf
        # One more place than events use, so that the end always fits.
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE + 1)
        self._is_behind = True
        self._is_closed = False

    def is_due(self, now: float) -> bool:
        """Return True when figures of `now`, monotonic, are wanted, and take them as sent."""
        # A tick comes now and then a little early.
        if now - self._sampled_at < self.every_s - TICK_SLACK_S:
            return False
        self._sampled_at = now
        return True

    def offer(self, data: bytes) -> None:
        """Take one encoded event, or note that the reader is too slow for it."""
        if self._is_behind:
            return
        if self._queue.qsize() < _QUEUE:
            self._queue.put_nowait(data)
        else:
            self._is_behind = True

    async def next(self, timeout_s: float) -> bytes | None:
        """Return the next event as JSON; a heartbeat when nothing happens for `timeout_s`.

        None is the end of a closed subscription.
        """
        if self._is_behind and not self._is_closed and self._queue.empty():
            self._is_behind = False
            return msgspec.json.encode(self._bus.snapshot())
        if self._is_closed and self._queue.empty():
            return None
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return self._bus.heartbeat()

    def close(self) -> None:
        """End the subscription; whoever waits for its next event gets None."""
        if not self._is_closed:
            self._is_closed = True
            self._bus.unsubscribe(self)
            self._queue.put_nowait(None)
