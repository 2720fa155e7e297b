"""What a tile says beside its four figures: lesser figures, waiting requests, hovered points."""

from PySide6.QtCore import QCoreApplication

from app.gui import format as fmt
from app.gui.mirror import Series
from app.wire.metrics import METRICS
from app.wire.nouns import Server

PREFILL = "prompt_tokens_per_s"
_HELP = {m.name: m.help for m in METRICS}


def _tr(text: str) -> str:
    return QCoreApplication.translate("ServerTile", text)


def prefill(server: Server, series: Series | None) -> tuple[str, str]:
    """Return how fast prompts are read, and what that means; empty before the first request."""
    known = series if server.state.serves else None
    value = None if known is None else known.latest(PREFILL)
    if known is None or value is None or not (value or known.latest("requests_total")):
        return "", ""
    number = fmt.count(value)
    return _tr("{number} tok/s").format(number=number), _HELP.get(PREFILL, "")


def seconds(value: float) -> str:
    """Return a short time: `0.42 s`, `1.4 s`, `75 s`."""
    if value < 0.995:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 99.5 else f"{value:.0f} s"


def first_token(server: Server, series: Series | None) -> str:
    """Return the time to the first token: the middle and the slow end; empty while unknown."""
    half = None if series is None or not server.state.serves else series.latest("ttft_p50_s")
    slow = None if series is None else series.latest("ttft_p95_s")
    if half is None:
        return ""
    return seconds(half) if slow is None else f"{seconds(half)} · p95 {seconds(slow)}"


def first_token_tip(series: Series | None) -> str:
    """Return the same in a sentence."""
    half = None if series is None else series.latest("ttft_p50_s")
    slow = None if series is None else series.latest("ttft_p95_s")
    if half is None or slow is None:
        return ""
    return _tr(
        "Of the last 200 requests half had their first token within {half}, 95 % within {slow}."
    ).format(half=seconds(half), slow=seconds(slow))


def requests(series: Series) -> str:
    """Return how many requests are open, and what those without a token wait for."""
    opened = series.latest("requests_open")
    queued, waiting = series.latest("requests_queued"), series.latest("requests_waiting")
    read = series.latest("prompt_read_percent")
    if opened is None and not (queued or waiting):
        return ""
    count = fmt.count(opened or 0.0)
    if count == "1" and read is not None:
        return _tr("Reading prompt {percent}").format(percent=f"{read:.0f}%")
    parts: list[str] = []
    if queued:
        parts.append(_tr("{count} queued").format(count=fmt.count(queued)))
    if waiting and read is not None:
        parts.append(_tr("reading {percent}").format(percent=f"{read:.0f}%"))
    elif waiting:
        parts.append(_tr("{count} waiting").format(count=fmt.count(waiting)))
    if parts:
        return ", ".join((_tr("{count} open").format(count=count), *parts))
    if count == "0":
        return _tr("No open requests")
    if count == "1":
        return _tr("1 request open")
    return _tr("{count} requests open").format(count=count)


def pending_tip(server: Server) -> str:
    """Return what a restart would change."""
    return "\n".join((_tr("Changed since the start:"), *server.pending))


def plot_point(metric: str, value: float | None, age_s: float) -> str:
    """Return what a point of a plot stands for, such as `21.4 tok/s · 12 s ago`."""
    match metric:
        case "memory_bytes":
            text = fmt.memory_text(value)
        case "tokens_per_s":
            text = " ".join(part for part in fmt.rate(value) if part)
        case _:
            text = " ".join(part for part in fmt.percent(value) if part)
    if value is None:
        text = _tr("no figure")
    age = _tr("now") if age_s < 0.5 else _tr("{time} ago").format(time=fmt.duration(age_s + 0.5))
    return f"{text} · {age}"


def spoken_details(server: Server, series: Series | None) -> list[str]:
    """Return the lesser figures and what is pending as sentences without their full stops."""
    if series is None or not server.state.serves:
        return []
    parts: list[str] = []
    if text := prefill(server, series)[0]:
        parts.append(_tr("Prefill {rate}").format(rate=text))
    if text := first_token(server, series):
        parts.append(_tr("First token {times}").format(times=text))
    if server.pending:
        parts.append(_tr("Restart to apply: {lines}").format(lines="; ".join(server.pending)))
    return parts
