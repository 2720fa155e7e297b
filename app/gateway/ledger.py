"""Counts requests for each server, and remembers the last of them; holds no text of anybody."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from app.wire.events import SampleValues
from app.wire.requests import MAX_PAGE, ErrorKind, RequestRecord, RequestState, tokens_per_s

REMEMBERED = MAX_PAGE
_FOR_QUANTILES = 200
# Names in the metrics must not grow with whoever knocks; further clients are counted together.
_CLIENTS = 50
# A stranger must not push the owner's requests out of the log.
_STRANGER_EVERY_S = 60.0
_STRANGERS = 256


class Caller(NamedTuple):
    """Who sent a request."""

    address: str
    """Without the port."""
    key: str = ""
    """The name of the key that was sent; empty for any without a name."""


_OTHERS = Caller("other")


@dataclass(slots=True)
class _Server:
    """Figures of one server since the engine's start."""

    open: int = 0
    ends: Counter[RequestState] = field(default_factory=Counter[RequestState])
    errors: Counter[ErrorKind] = field(default_factory=Counter[ErrorKind])
    first_s: deque[float] = field(default_factory=lambda: deque[float](maxlen=_FOR_QUANTILES))
    whole_s: deque[float] = field(default_factory=lambda: deque[float](maxlen=_FOR_QUANTILES))


class Meter:
    """Follows one request."""

    def __init__(
        self,
        record: RequestRecord,
        server: _Server,
        clock: Callable[[], float],
        on_end: "Callable[[Meter], None]",
    ) -> None:
        self._record = record
        self._server = server
        self._clock = clock
        self._on_end = on_end
        self._began = clock()
        self.state = RequestState.QUEUED
        self.prompt: tuple[int, int] | None = None
        """Tokens of the prompt that are read, and all of it, once the server tells them."""
        self._first_s: float | None = None
        self._whole_s: float | None = None
        self._tokens: tuple[int | None, int | None] = (None, None)
        self._error: str | None = None
        self._kind: ErrorKind | None = None
        server.open += 1

    @property
    def id(self) -> int:
        """The request's number."""
        return self._record.id

    @property
    def server(self) -> str:
        """The profile's id."""
        return self._record.server

    def taken(self) -> None:
        """Take notice that the server works on it."""
        if self.state is RequestState.QUEUED:
            self.state = RequestState.WAITING

    def first(self) -> None:
        """Take notice of the first token."""
        if self.state in (RequestState.QUEUED, RequestState.WAITING):
            self.state = RequestState.ANSWERING
            self._first_s = self._clock() - self._began
            self._server.first_s.append(self._first_s)

    def count(self, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Take the token counts that the server tells at the end."""
        self._tokens = (prompt_tokens, completion_tokens)

    def end(
        self, state: RequestState, error: str | None = None, kind: ErrorKind | None = None
    ) -> None:
        """Close the request with its last state; later calls change nothing.

        `error`: why, in a sentence that quotes nothing of the request. `kind`: what it counts as.
        """
        if not self.state.is_open:
            return
        self._server.open -= 1
        self._server.ends[state] += 1
        self.state = state
        self._whole_s = self._clock() - self._began
        if state is RequestState.DONE:
            self._server.whole_s.append(self._whole_s)
        self._error, self._kind = error, kind
        if kind is not None:
            self._server.errors[kind] += 1
        self._on_end(self)

    def record(self) -> RequestRecord:
        """Return what is known now."""
        prompt, completion = self._tokens
        return msgspec.structs.replace(
            self._record,
            state=self.state,
            prompt_tokens=prompt,
            completion_tokens=completion,
            ttft_s=self._first_s,
            duration_s=self._whole_s,
            tokens_per_s=tokens_per_s(completion, self._first_s, self._whole_s),
            error=self._error,
            prompt_read=self._prompt_read(),
            kind=self._kind,
        )

    def _prompt_read(self) -> float | None:
        if self.prompt is None or self.state is not RequestState.WAITING:
            return None
        read, whole = self.prompt
        return min(1.0, read / whole) if whole else None


class Ledger:
    """All requests for completions. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._servers: dict[str, _Server] = {}
        self._open: dict[int, Meter] = {}
        self._ended: deque[RequestRecord] = deque(maxlen=REMEMBERED)
        self._clients: dict[Caller, Counter[RequestState]] = {}
        self._strangers: dict[tuple[str, ErrorKind], float] = {}
        self._last_id = 0
        self._keep: Callable[[RequestRecord], None] | None = None

    def follow_on(self, last_id: int, keep: Callable[[RequestRecord], None]) -> None:
        """Number requests after `last_id` and hand each one that ends to `keep`."""
        self._last_id = last_id
        self._keep = keep

    def begin(
        self, caller: Caller, *, server_id: str, profile: str, model: str, is_stream: bool = False
    ) -> Meter:
        """Return the meter of a new request."""
        self._last_id += 1
        record = RequestRecord(
            time.time(), caller.address, server_id, profile, model, RequestState.QUEUED,
            id=self._last_id, is_stream=is_stream, key=caller.key,
        )  # fmt: skip
        server = self._server(server_id)
        meter = self._open[record.id] = Meter(record, server, self._clock, self._close)
        return meter

    def refuse(self, caller: Caller, kind: ErrorKind, error: str, *, is_stranger: bool) -> None:
        """Count a request that was refused before it had a server.

        A stranger, who was not let in, gets into the log once a minute for each kind.
        """
        if is_stranger and not self._is_news(caller.address, kind):
            self._server("").errors[kind] += 1
            self._count(caller, RequestState.REFUSED)
            return
        meter = self.begin(caller, server_id="", profile="", model="")
        meter.end(RequestState.REFUSED, error, kind)

    def open_requests(self, server_id: str) -> int:
        """Return how many requests for this server are open, those that wait for its start too."""
        server = self._servers.get(server_id)
        return server.open if server is not None else 0

    def figures(self, server_id: str, sampled: SampleValues) -> SampleValues:
        """Return the metrics of a server with those that are counted here.

        `sampled`: what is measured in its process, by the names of `app.wire.metrics`.
        """
        server = self._servers.get(server_id) or _Server()
        meters = [meter for meter in self._open.values() if meter.server == server_id]
        states = Counter(meter.state for meter in meters)
        return {
            **sampled,
            # The runner also knows of those that nobody waits for any more.
            "requests_open": max(sampled.get("requests_open") or 0, server.open),
            "requests_queued": states[RequestState.QUEUED],
            "requests_waiting": states[RequestState.WAITING],
            "prompt_read_percent": _prompt_read_percent(meters),
            "requests_failed": server.ends[RequestState.FAILED] + server.ends[RequestState.REFUSED],
            "ttft_p50_s": _quantile(server.first_s, 0.5),
            "ttft_p95_s": _quantile(server.first_s, 0.95),
            "latency_p50_s": _quantile(server.whole_s, 0.5),
            "latency_p95_s": _quantile(server.whole_s, 0.95),
        }

    def ends(self) -> dict[str, dict[RequestState, int]]:
        """Return by server how many requests ended how since the engine's start."""
        closed = [state for state in RequestState if not state.is_open]
        return {
            name: {state: server.ends[state] for state in closed}
            for name, server in self._servers.items()
        }

    def errors(self) -> dict[str, Counter[ErrorKind]]:
        """Return by server how many requests failed why; those without a server are under ""."""
        return {name: server.errors for name, server in self._servers.items()}

    def clients(self) -> dict[Caller, Counter[RequestState]]:
        """Return by client how many requests ended how; the first 50, and all others as one."""
        return self._clients

    def last(
        self, count: int, server_id: str | None = None, before: int | None = None
    ) -> list[RequestRecord]:
        """Return the last requests, the newest first; of one server, and below an id."""
        records = [*self._ended, *(meter.record() for meter in self._open.values())]
        found = [
            record
            for record in records
            if server_id in (None, record.server) and (before is None or record.id < before)
        ]
        return sorted(found, key=lambda record: record.id, reverse=True)[:count]

    def _server(self, server_id: str) -> _Server:
        server = self._servers.get(server_id)
        if server is None:
            server = self._servers[server_id] = _Server()
        return server

    def _close(self, meter: Meter) -> None:
        record = meter.record()
        del self._open[record.id]
        self._ended.append(record)
        self._count(Caller(record.client, record.key), record.state)
        if self._keep is not None:
            self._keep(record)

    def _count(self, caller: Caller, state: RequestState) -> None:
        if caller not in self._clients and len(self._clients) >= _CLIENTS:
            caller = _OTHERS
        self._clients.setdefault(caller, Counter())[state] += 1

    def _is_news(self, address: str, kind: ErrorKind) -> bool:
        now = self._clock()
        told_at = self._strangers.pop((address, kind), None)
        is_news = told_at is None or now - told_at >= _STRANGER_EVERY_S
        self._strangers[address, kind] = now if is_news or told_at is None else told_at
        if len(self._strangers) > _STRANGERS:
            del self._strangers[next(iter(self._strangers))]
        return is_news


def _prompt_read_percent(meters: Iterable[Meter]) -> float | None:
    prompts = [m.prompt for m in meters if m.prompt and m.state is RequestState.WAITING]
    whole = sum(prompt[1] for prompt in prompts)
    return min(100.0, 100.0 * sum(prompt[0] for prompt in prompts) / whole) if whole else None


def _quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that `share` of all do not exceed, None without values."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]
