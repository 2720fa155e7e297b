"""Rows of the list of models: what each one shows, is found by and is sorted by."""

import re
from enum import IntEnum

import msgspec

from app.gui import format as fmt
from app.wire.hub import HubModel
from app.wire.nouns import Model, ModelSource, ServerState


class RowKind(IntEnum):
    """What a row stands for, in the order of the list."""

    INSTALLED = 0
    HEADER = 1
    """The title of the models on the hub."""
    NOTE = 2
    """What there is to say in place of models, or before them."""
    HUB = 3
    FOOT = 4
    """What comes after the last model that is known."""


class SortOrder(IntEnum):
    """What the installed models are sorted by; the value indexes `Row.keys`."""

    NAME = 0
    SIZE = 1
    NEWEST = 2


class Offer(IntEnum):
    """What a row offers to do."""

    NOTHING = 0
    RUN = 1
    DOWNLOAD = 2
    ASK = 3
    """To ask the authors for access, on the model's page."""
    WAIT = 4
    """Its download was asked for a moment ago."""
    ANSWER = 5
    """The button of a note."""
    REPAIR = 6
    """To download what is damaged or missing."""


class Note(msgspec.Struct, frozen=True):
    """A row that is no model."""

    title: str
    text: str = ""
    icon: str = ""
    button: str = ""
    is_bad: bool = False


class Row(msgspec.Struct, eq=False):
    """A model, or a note, with what filter, sort and painter need, computed once.

    A row is replaced and never changed, so that a painter may keep what it made of it.
    """

    key: str
    """Stays the same while everything else of the row changes."""
    kind: RowKind
    item: Model | HubModel | Note
    id: str = ""
    """The model's id."""
    haystack: str = ""
    """Lower case; a search word matches when it is part of this."""
    keys: tuple[tuple[float, str], ...] = ()
    """One sort key for each SortOrder, smallest first."""
    installed: Model | None = None
    """The same model on this disk."""
    activity: ServerState | None = None
    """STARTING, READY, STALLED or BACKING_OFF while a server uses the model."""
    offer: Offer = Offer.NOTHING

    @property
    def size_bytes(self) -> int | None:
        """What every surface shows as the model's size; what is on the disk counts first."""
        if isinstance(self.item, Note):
            return None
        return self.installed.size_bytes if self.installed is not None else self.item.size_bytes


def installed_row(model: Model, activity: ServerState | None) -> Row:
    """Return the row of a model on this disk."""
    # Numbers get leading zeros so that 8B stands before 30B; the id makes the order total.
    by_name = re.sub(r"\d+", lambda digits: digits[0].zfill(12), model.name.casefold())
    tail = f"{by_name}\0{model.id}"
    return Row(
        key=f"installed:{model.id}",
        kind=RowKind.INSTALLED,
        item=model,
        id=model.id,
        haystack=_haystack(model, model.source.value if model.source is ModelSource.DEMO else ""),
        keys=((0.0, tail), (-float(model.size_bytes), tail), (-model.modified_at, tail)),
        installed=model,
        activity=activity,
        offer=_offer(model, activity),
    )


def hub_row(
    model: HubModel, installed: Model | None, activity: ServerState | None, *, is_pending: bool
) -> Row:
    """Return the row of a model on the hub; installed: the same model on this disk."""
    if installed is not None:
        offer = _offer(installed, activity)
    elif is_pending:
        offer = Offer.WAIT
    elif model.supported is False:
        offer = Offer.NOTHING
    else:
        offer = Offer.ASK if model.must_ask else Offer.DOWNLOAD
    return Row(
        key=f"hub:{model.id}",
        kind=RowKind.HUB,
        item=model,
        id=model.id,
        haystack=_haystack(model, model.licence or ""),
        installed=installed,
        activity=activity if installed is not None else None,
        offer=offer,
    )


def _offer(model: Model, activity: ServerState | None) -> Offer:
    """Return what the row of a model on this disk offers."""
    if activity is not None:
        return Offer.NOTHING
    if model.problem is None:
        return Offer.RUN
    return Offer.REPAIR if model.can_repair else Offer.NOTHING


def note_row(kind: RowKind, note: Note) -> Row:
    """Return a row that is no model."""
    return Row(
        key=f"note:{kind.value}",
        kind=kind,
        item=note,
        offer=Offer.ANSWER if note.button else Offer.NOTHING,
    )


def _haystack(model: Model | HubModel, more: str) -> str:
    family, quantization = model.family or "", model.quantization or ""
    words = (
        f"{model.author}/{model.name}", family, fmt.family(family), quantization,
        quantization.replace("-", ""), *model.tags, more,
    )  # fmt: skip
    return " ".join(words).lower()
