"""All metrics in the text format of Prometheus, version 0.0.4."""

from collections.abc import Iterable, Mapping

from app.engine.bus import Bus
from app.gateway.ledger import Ledger
from app.wire.metrics import METRICS
from app.wire.nouns import ServerState

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "mlx_manager_"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
Sample = tuple[Mapping[str, str], float | None]


def metrics_text(bus: Bus, ledger: Ledger) -> str:
    """Return the latest figures of all servers and of the engine; what is not known is left out."""
    return "\n".join([*_engine(bus), *_servers(bus, ledger), *_requests(ledger)]) + "\n"


def _engine(bus: Bus) -> Iterable[str]:
    info = bus.info
    yield from _family("info", "The engine.", [({"version": info.version}, 1)])
    yield from _family(
        "start_time_seconds", "When the engine was started.", [({}, info.started_at)]
    )
    states = [server.state for server in bus.servers.values()]
    counts: list[Sample] = [({"state": state.value}, states.count(state)) for state in ServerState]
    yield from _family("servers", "Servers by state.", counts)
    yield from _family("downloads", "Downloads that are not complete.", [({}, len(bus.downloads))])
    if bus.samples is None:
        return
    yield from _family(
        "sampled_at_seconds",
        "When memory, processor, GPU and tokens were measured, seconds since the epoch.",
        [({}, bus.sampled_at)],
    )
    machine = bus.samples[0]
    yield from _family(
        "machine_memory_bytes", "Memory of the computer.", [({}, machine.memory_total_bytes)]
    )
    yield from _family(
        "machine_memory_used_bytes",
        "Memory that is not available to a new program.",
        [({}, machine.memory_used_bytes)],
    )
    yield from _family("machine_gpu_percent", "Use of the GPU.", [({}, machine.gpu_percent)])


def _servers(bus: Bus, ledger: Ledger) -> Iterable[str]:
    sampled = bus.samples[1] if bus.samples is not None else {}
    # What the gateway counts is told as it is now, not as of the last second.
    values = {name: ledger.figures(name, sampled.get(name, {})) for name in bus.servers}
    for metric in METRICS:
        samples: list[Sample] = [
            (
                {"server": server.id, "profile": server.name, "model": server.model},
                values[server.id].get(metric.name),
            )
            for server in bus.servers.values()
        ]
        yield from _family(metric.name, metric.help, samples, is_counter=metric.is_counter)


def _requests(ledger: Ledger) -> Iterable[str]:
    samples: list[Sample] = [
        ({"server": name, "state": state.value}, count)
        for name, ends in ledger.ends().items()
        for state, count in ends.items()
    ]
    text = "Requests at the gateway by how they ended, since the engine's start."
    yield from _family("requests_ended_total", text, samples, is_counter=True)
    errors: list[Sample] = [
        ({"server": name, "kind": kind.value}, count)
        for name, kinds in ledger.errors().items()
        for kind, count in kinds.items()
    ]
    text = "Requests at the gateway that failed or were refused, by kind; some without a server."
    yield from _family("request_errors_total", text, errors, is_counter=True)
    ends: list[Sample] = [
        ({"client": caller.address, "key": caller.key, "state": state.value}, count)
        for caller, states in ledger.clients().items()
        for state, count in states.items()
    ]
    text = "Requests at the gateway by address, name of the key and end; from 50 clients on, other."
    yield from _family("client_requests_total", text, ends, is_counter=True)


def _family(
    name: str, text: str, samples: Iterable[Sample], *, is_counter: bool = False
) -> Iterable[str]:
    known = [(labels, value) for labels, value in samples if value is not None]
    if not known:
        return
    full = _PREFIX + name
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {full} {escaped}"
    yield f"# TYPE {full} {'counter' if is_counter else 'gauge'}"
    for labels, value in known:
        inner = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        yield f"{full}{{{inner}}} {value!r}" if inner else f"{full} {value!r}"
