"""What a server tile says: states, times, figures and the sentences for a screen reader."""

from math import ceil

from PySide6.QtCore import QCoreApplication

from app.gui import format as fmt
from app.gui.mirror import Series
from app.gui.models.server_state import stop_reason
from app.gui.panels.tile_details import requests, spoken_details
from app.wire.metrics import METRICS
from app.wire.nouns import Machine, Server, ServerState

TILE_METRICS = ("tokens_per_s", "memory_bytes", "cpu_percent", "gpu_percent")
"""The four figures with a sparkline, in order."""

LABELS = {m.name: m.label for m in METRICS}
_HELP = {m.name: m.help for m in METRICS}

_WORTH_TELLING = 2**30
"""Memory of a stopped server that is told about, in bytes."""
_TOKENS_FLOOR = 20.0
"""Tokens/s that fill the plot at least, so that a slow start does not look like full speed."""


TROUBLE = (ServerState.FAILED, ServerState.BACKING_OFF)
"""States in which the reason stands in place of the figures."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("ServerTile", text)


def no_engine() -> str:
    """Return why nothing can be done while the engine is lost."""
    return _tr("The engine does not answer.")


def when(server: Server, now: float) -> str:
    """Return the time that matters: up since, starting since, or stopped how long ago."""
    match server.state:
        case ServerState.READY | ServerState.BUSY:
            since = server.ready_at or server.started_at or server.state_since
            return _with_restarts(server, fmt.duration(now - since))
        case ServerState.STALLED:
            return _tr("for {time}").format(time=fmt.duration(now - server.state_since))
        case ServerState.STARTING:
            elapsed = fmt.duration(now - (server.started_at or server.state_since))
            return elapsed if server.progress is None else f"{server.progress:.0%} · {elapsed}"
        case ServerState.STOPPING:
            return released(server) or fmt.duration(now - server.state_since)
        case ServerState.BACKING_OFF:
            left = ceil((server.next_try_at or now) - now)
            text = _tr("next try in {time}") if left > 0 else _tr("next try now")
            return text.format(time=fmt.duration(left))
        case ServerState.STOPPED | ServerState.FAILED:
            return fmt.ago(now - server.state_since)


def _with_restarts(server: Server, uptime: str) -> str:
    if server.restarts == 0:
        return uptime
    if server.restarts == 1:
        return _tr("1 restart · {time}").format(time=uptime)
    return _tr("{count} restarts · {time}").format(count=server.restarts, time=uptime)


def when_tip(server: Server) -> str:
    """Return what the time of a tile means, and how often the server was started again."""
    match server.state:
        case ServerState.READY | ServerState.BUSY:
            first = _tr("How long it has been ready.")
        case ServerState.STALLED:
            first = _tr("How long it has been stalled.")
        case ServerState.STOPPING if released(server):
            first = _tr("How much of its memory is free again.")
        case _:
            first = ""
    return f"{first} {restarted(server)}".strip()


def restarted(server: Server) -> str:
    """Return how often a server was started after its first start; empty for never."""
    if server.restarts == 0:
        return ""
    if server.restarts == 1:
        return _tr("Restarted once.")
    return _tr("Restarted {count} times.").format(count=server.restarts)


def subtitle(server: Server, *, is_live: bool) -> str:
    """Return the second line of a tile: the model, what to do about a stall, or why it stopped."""
    if server.state is ServerState.STALLED and is_live:
        return _tr("Nothing is generated any more. Restart it.")
    if told := stop_reason(server):
        return told
    model = server.model.rstrip("/").rsplit("/", 1)[-1]
    if server.state is ServerState.BACKING_OFF and server.restarts:
        return f"{model} · {restarted(server).rstrip('.').lower()}"
    return model


def subtitle_tip(server: Server) -> str:
    """Return the whole story of the second line."""
    if told := stop_reason(server):
        return f"{told}\n{server.model}"
    if server.state is ServerState.STALLED and server.failure is not None:
        return f"{server.failure.message}\n{server.failure.hint}\n{server.model}"
    return server.model


def released(server: Server) -> str:
    """Return how much memory a stop has brought back; empty where that is not worth a word."""
    held, back = server.held_bytes, server.released_bytes
    if not held or back is None or held < _WORTH_TELLING:
        return ""
    return _tr("{back} of {held} released").format(
        back=fmt.memory(back)[0], held=fmt.memory_text(held)
    )


def figure(metric: str, value: float | None) -> tuple[str, str]:
    """Return number and unit of one of TILE_METRICS."""
    match metric:
        case "memory_bytes":
            return fmt.memory(value)
        case "tokens_per_s":
            # The label carries the unit.
            return ("0" if value == 0 else fmt.rate(value)[0]), ""
        case _:
            return fmt.percent(value)


def meaning(metric: str, server: Server, value: float | None) -> str:
    """Return what a metric means, or why it is unknown."""
    if not server.state.has_process:
        return _tr("The server is not running.")
    if value is None and metric == "gpu_percent":
        return _tr("This computer does not report GPU use for each program.")
    if value is None and server.state is ServerState.STARTING:
        return _tr("There are no figures yet, the server is starting.")
    if value is None:
        return _tr("This figure could not be read.")
    return _HELP[metric]


def tip(metric: str, server: Server, value: float | None, scale: float) -> str:
    """Return what a metric means and how its plot is scaled, or why it is unknown."""
    text = meaning(metric, server, value)
    if value is None or not server.state.has_process:
        return text
    top = _scale_text(metric, scale)
    return f"{text}\n" + _tr("Plot: the last 2 minutes, 0 to {top}.").format(top=top)


def _scale_text(metric: str, scale: float) -> str:
    match metric:
        case "memory_bytes":
            return fmt.memory_text(scale)
        case "tokens_per_s":
            return f"{scale:.0f} tok/s"
        case _:
            return f"{scale:.0f} %"


def scale(metric: str, peak: float, machine: Machine | None) -> float:
    """Return the top of a metric's plot. It depends on the machine and the highest value so far.

    It never shrinks while a server runs, so that a line means the same all the time.
    """
    match metric:
        case "memory_bytes" if machine is not None:
            return max(float(machine.gpu_limit_bytes or machine.memory_bytes), peak)
        case "memory_bytes":
            return max(peak, 2.0**30)
        case "cpu_percent":
            return max(100.0, ceil(peak / 100) * 100.0)
        case "tokens_per_s":
            return max(_TOKENS_FLOOR, ceil(peak / 10) * 10.0)
        case _:
            return 100.0


def peak(series: Series, metric: str) -> float:
    """Return the highest known value in a metric's history, 0 when nothing is known."""
    # Only NaN differs from itself; this runs for every plot every second.
    return max([v for v in series.history(metric) if v == v], default=0.0)


def totals(server: Server, series: Series | None) -> tuple[str, str]:
    """Return the texts for tokens since the start and for requests; empty before the start."""
    if not server.state.serves or series is None:
        return "", ""
    first = _tr("{count} tokens").format(count=fmt.count(series.latest("tokens_total")))
    return first, requests(series)


def spoken_name(server: Server, word: str) -> str:
    """Return what a screen reader says when it reaches the tile."""
    return _tr("{name}, server, {state}. Model {model}.").format(
        name=server.name, state=word.lower(), model=server.model
    )


def spoken_figures(server: Server, series: Series | None) -> str:
    """Return the figures of a tile as sentences, or the reason why it failed."""
    trouble = stop_reason(server)
    if server.failure is not None and server.state in (*TROUBLE, ServerState.STALLED):
        trouble = f"{server.failure.message} {server.failure.hint}".strip()
    if series is None or not server.state.has_process:
        return trouble
    parts: list[str] = []
    for metric in TILE_METRICS:
        value = series.latest(metric)
        if value is not None:
            parts.append(f"{LABELS[metric]} " + " ".join(figure(metric, value)).strip())
    texts = [", ".join(parts), *totals(server, series), *spoken_details(server, series)]
    figures = " ".join(f"{text}." for text in texts if text)
    return f"{trouble} {figures}".strip()
