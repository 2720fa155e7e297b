"""What the models panel says about its search of the hub, in rows between the models."""

from typing import Final, NamedTuple

from PySide6.QtCore import QCoreApplication

from app.gui.models.model_filter import Segment
from app.gui.models.model_rows import Note, RowKind
from app.gui.panels.hub_results import HubResults
from app.wire.errors import AppError, ErrorCode
from app.wire.hub import HubSort

PATIENCE: Final = 5
"""So many pages of which the filters leave nothing are fetched without a word."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("HubNotes", text)


_SORTS: Final = {
    HubSort.TRENDING: "trending first",
    HubSort.DOWNLOADS: "most downloads first",
    HubSort.LIKES: "most likes first",
    HubSort.UPDATED: "last updated first",
    HubSort.SIZE: "smallest first in each page",
}
_ICONS: Final = {
    ErrorCode.HUB_OFFLINE: "wifi-off",
    ErrorCode.HUB_LIMITED: "clock",
    ErrorCode.REPO_NOT_FOUND: "search",
}


class Looked(NamedTuple):
    """What is in sight of the hub's answer."""

    shown: int
    """Models that pass the filters."""
    in_vain: int
    """Pages since the last one of which something passed."""

    @property
    def is_stuck(self) -> bool:
        """True when it takes a word of the user to look further."""
        return self.in_vain >= PATIENCE


def failure_icon(error: AppError) -> str:
    """Return the icon for a search that failed."""
    return _ICONS.get(error.code, "triangle-alert")


def failure_text(results: HubResults, error: AppError) -> str:
    """Return what to do about a search that failed, with the seconds that are left."""
    if error.code is ErrorCode.HUB_LIMITED and results.wait_s:
        wait = _tr("Try again in {} s.").format(results.wait_s)
        return f"{wait} {error.hint}".strip()
    return error.hint


def notes(results: HubResults, segment: Segment, looked: Looked) -> dict[RowKind, Note | None]:
    """Return the rows that are no models."""
    if results.wanted is None:
        return {}
    found: dict[RowKind, Note | None] = {}
    if segment is Segment.ALL:
        found[RowKind.HEADER] = Note(_tr("Hugging Face"), _summary(results, looked))
    if results.failure is not None:
        place = RowKind.FOOT if results.is_current else RowKind.NOTE
        # With nothing else to show, the page says it at full size.
        if results.is_current or segment is Segment.ALL:
            found[place] = _failure(results, results.failure)
    elif results.notice and results.is_current:
        found[RowKind.NOTE] = _notice(results.notice)
    if results.has_more and results.failure is None:
        found[RowKind.FOOT] = _foot(results, looked)
    return found


def _summary(results: HubResults, looked: Looked) -> str:
    if results.failure is not None and not results.is_current:
        return _tr("No answer")
    if not results.is_current:
        return _tr("Searching…")
    if not looked.shown:
        return _tr("Looking further…") if results.has_more else _tr("No model matches")
    answered = results.answered
    order = _tr(_SORTS[answered.sort]) if answered is not None else ""
    amount = f"{looked.shown}+" if results.has_more else str(looked.shown)
    text = _tr("1 model") if amount == "1" else _tr("{} models").format(amount)
    return f"{text}, {order}" if looked.shown > 1 else text


def _failure(results: HubResults, error: AppError) -> Note:
    text = failure_text(results, error)
    return Note(error.message, text, failure_icon(error), _tr("Try again"), is_bad=True)


def _notice(notice: str) -> Note:
    title, _, text = notice.partition(", so ")
    text = f"{text[:1].upper()}{text[1:]}"
    if "token" in notice:
        text = f"{text} {_tr('Set another one in Settings.')}".strip()
    return Note(title.rstrip("."), text, "key", is_bad=True)


def _foot(results: HubResults, looked: Looked) -> Note:
    if not looked.is_stuck:
        return Note(_tr("Loading more…"))
    title = _tr("Nothing more yet among {} models").format(len(results.models))
    text = _tr("The filters leave none of the last ones.")
    return Note(title, text, "search", _tr("Look further"))
