"""What the models panel says where it has no model to show."""

from enum import Enum
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from app.gui.mirror import LinkState, Mirror
from app.gui.models.facets import Facets
from app.gui.models.model_filter import ModelFilter, Segment
from app.gui.panels.hub_notes import failure_icon, failure_text
from app.gui.panels.hub_results import HubResults
from app.wire.errors import ErrorCode


def _tr(text: str) -> str:
    return QCoreApplication.translate("ModelsEmpty", text)


class Remedy(Enum):
    """What the button of an empty list does."""

    NONE = ""
    CLEAR_SEARCH = "clear_search"
    CLEAR_FILTERS = "clear_filters"
    RETRY = "retry"
    BROWSE = "browse"


class Empty(NamedTuple):
    """An icon, a title, a sentence, and what can be done."""

    icon: str
    title: str
    text: str = ""
    button: str = ""
    remedy: Remedy = Remedy.NONE


def empty(mirror: Mirror, filter_: ModelFilter, results: HubResults | None, text: str) -> Empty:
    """Return what to say; text: what stands in the search field."""
    asks_hub = results is not None and results.wanted is not None
    if mirror.engine is None:
        is_connecting = mirror.link is LinkState.CONNECTING
        title = _tr("Connecting to the engine") if is_connecting else _tr("No engine")
        return Empty("plug", title, _tr("Your models appear here as soon as it runs."))
    if results is not None and asks_hub and not results.is_current:
        return _of_hub(results)
    if filter_.facets != Facets() and (filter_.words or mirror.models or asks_hub):
        title = _tr("No model passes the filters")
        return Empty("filter", title, "", _tr("Clear filters"), Remedy.CLEAR_FILTERS)
    if filter_.words:
        # Above the list, a download that matches says something else than "none".
        is_above = any(
            all(word in i.casefold() for word in filter_.words) for i in mirror.downloads
        )
        title = _tr("No other model matches “{0}”") if is_above else _tr("No model matches “{0}”")
        title = title.format(text)
        return Empty("search", title, "", _tr("Clear search"), Remedy.CLEAR_SEARCH)
    if filter_.segment is Segment.HUB:
        return _without_rows_of_hub(mirror, asks_hub=asks_hub)
    return _without_installed(mirror)


def _without_rows_of_hub(mirror: Mirror, *, asks_hub: bool) -> Empty:
    if asks_hub:
        return Empty("boxes", _tr("The hub lists no models for MLX now"))
    return Empty("plug", _tr("Hugging Face is asked through the engine"), mirror.link_text)


def _without_installed(mirror: Mirror) -> Empty:
    if mirror.models:
        return Empty("download", _tr("All models are being downloaded"))
    return Empty(
        "boxes",
        _tr("No models yet"),
        _tr("Models in your Hugging Face folder appear here. Others are a download away."),
        _tr("Browse Hugging Face"),
        Remedy.BROWSE,
    )


def _of_hub(results: HubResults) -> Empty:
    error = results.failure
    if error is None:
        return Empty("search", _tr("Searching Hugging Face…"))
    is_final = error.code is ErrorCode.REPO_NOT_FOUND
    return Empty(
        failure_icon(error),
        error.message,
        failure_text(results, error),
        _tr("Clear search") if is_final else _tr("Try again"),
        Remedy.CLEAR_SEARCH if is_final else Remedy.RETRY,
    )
