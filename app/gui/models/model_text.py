"""What a model of the list says of itself: tool-tips, sentences, and short figures."""

import html
import time

from PySide6.QtCore import QCoreApplication

from app.gui import format as fmt
from app.gui.models.model_rows import Note, Offer, Row
from app.wire.hub import Fit, HubModel, Verdict
from app.wire.nouns import Model, ModelSource, ServerState

_ACTIVITY = {
    ServerState.READY: "running",
    ServerState.STARTING: "starting",
    ServerState.STALLED: "stalled",
    ServerState.BACKING_OFF: "starting again",
}


def _tr(text: str) -> str:
    return QCoreApplication.translate("Models", text)


def short_count(value: int) -> str:
    """Return a count in at most four characters or so: `321`, `1.2K`, `120K`, `3.4M`."""
    for unit, size in (("M", 1e6), ("K", 1e3)):
        if value >= size * 0.9995:
            number = value / size
            text = f"{number:.1f}" if number < 9.95 else f"{number:.0f}"
            return text.removesuffix(".0") + unit
    return str(value)


def verdict_word(verdict: Verdict) -> str:
    """Return a verdict in a word or two; empty where nothing can be said."""
    return {
        Verdict.FITS: _tr("Fits"),
        Verdict.TIGHT: _tr("Tight"),
        Verdict.TOO_BIG: _tr("Too big"),
    }.get(verdict, "")


def fit_word(fit: Fit) -> str:
    """Return what a row says of a fit; that weights alone would fit is said as what it is."""
    may_fit = fit.verdict is Verdict.UNKNOWN and fit.weights_bytes is not None
    return _tr("May fit") if may_fit else verdict_word(fit.verdict)


def chips(item: Model | HubModel) -> list[str]:
    """Return the words for the chips of a model, the most telling first."""
    is_demo = isinstance(item, Model) and item.source is ModelSource.DEMO
    texts = [
        _tr("Demo") if is_demo else "",
        item.quantization or "",
        fmt.parameters(item.parameters) if item.parameters else "",
        fmt.family(item.family or ""),
        *(tag[:1].upper() + tag[1:] for tag in item.tags),
    ]
    return [text for text in texts if text]


def tool_tip(row: Row, fit: Fit | None) -> str:
    """Return the whole story of a row in HTML; nothing of a model is taken as HTML."""
    item = row.item
    if isinstance(item, Note):
        return html.escape(f"{item.title} {item.text}".strip())
    lines = _model_lines(item, fit) if isinstance(item, Model) else _hub_lines(item, row, fit)
    name = f"<b>{html.escape(item.name)}</b>"
    return "<br>".join([name, *(html.escape(line) for line in lines if line)])


def _model_lines(model: Model, fit: Fit | None) -> list[str]:
    return [model.problem or "", _fit_line(fit), model.path]


def _fit_line(fit: Fit | None) -> str:
    if fit is None:
        return ""
    word = fit_word(fit)
    return f"{word}: {fit.sentence}" if word else fit.sentence


def _hub_lines(model: HubModel, row: Row, fit: Fit | None) -> list[str]:
    size = fmt.file_size(row.size_bytes)
    if row.installed is not None:
        size_line = _tr("On this disk, {}").format(size)
    elif row.size_bytes is None:
        size_line = _tr("Its size is not known yet.")
    else:
        size_line = _tr("Download of {}").format(size)
    if model.supported is False:
        fit_line = _fit_line(fit) if fit is not None and fit_word(fit) else ""
    else:
        fit_line = _fit_line(fit) or _tr("Whether it fits is not known yet.")
    access = _tr("Its authors want to be asked for access before a download.")
    licence = _tr("Licence: {}").format(model.licence) if model.licence else ""
    lines = [model.author, size_line, fit_line, access if model.must_ask else "", licence]
    if model.supported is not True and model.reason not in lines:
        lines.insert(1, model.reason)
    if model.updated_at:
        lines.append(_tr("Updated {}").format(fmt.ago(time.time() - model.updated_at)))
    return lines


def sentence(row: Row, fit: Fit | None) -> str:
    """Return a row as one sentence for a screen reader."""
    item = row.item
    if isinstance(item, Note):
        return ", ".join(part for part in (item.title, item.text, item.button) if part)
    parts = [_spoken_name(item), (item.quantization or "").replace("-", " ")]
    parts.append(fmt.spoken_size(row.size_bytes))
    if isinstance(item, Model) and item.source is ModelSource.DEMO:
        parts.append(_tr("demo model"))
    else:
        parts.append(_tr("on Hugging Face") if row.installed is None else _tr("installed"))
    if row.activity is not None:
        parts.append(_tr(_ACTIVITY.get(row.activity, "")))
    parts += _spoken_state(item, row, fit)
    return ", ".join(part for part in parts if part)


def _spoken_state(item: Model | HubModel, row: Row, fit: Fit | None) -> list[str]:
    parts = [fit_word(fit).lower()] if fit is not None else []
    if isinstance(item, Model):
        return [_tr("cannot run: {0}").format(item.problem)] if item.problem else parts
    if row.installed is not None:
        return parts
    if item.supported is False:
        parts.append(_tr("unsupported: {0}").format(item.reason))
    if item.must_ask:
        parts.append(_tr("access must be asked for"))
    if row.offer is Offer.DOWNLOAD:
        parts.append(_tr("can be downloaded"))
    return parts


def _spoken_name(item: Model | HubModel) -> str:
    """Return the name without the quantization at its end, which the sentence says anyway."""
    words = item.name.replace("_", "-").split("-")
    short = (item.quantization or "").replace("-", "").lower()
    if len(words) > 1 and words[-1].lower() == short:
        del words[-1]
    return " ".join(words)
