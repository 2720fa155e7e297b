"""Models on the hub, whether they fit this computer, and the lines of the hub worker."""

from enum import StrEnum

import msgspec

from app.wire.nouns import Failure
from app.wire.reading import JsonReader
from app.wire.shape import ModelShape

PAGE_SIZE = 30
"""Models in one page of a search."""
MAX_CONTEXT = 10_000_000
"""The longest context in tokens that a fit can be asked for."""


class HubSort(StrEnum):
    """How the models of a search are ordered."""

    TRENDING = "trending"
    DOWNLOADS = "downloads"
    LIKES = "likes"
    UPDATED = "updated"
    SIZE = "size"
    """Smallest first, within each page: the hub itself cannot sort by size."""


class Verdict(StrEnum):
    """Whether a model fits the memory."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_BIG = "too_big"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


class Fit(msgspec.Struct, frozen=True):
    """Whether a model fits the memory of the engine's computer now, with the arithmetic."""

    verdict: Verdict
    sentence: str
    """The arithmetic or the reason, for people; GB are 2^30 bytes."""
    context: int
    """Tokens that the cache is counted for."""
    weights_bytes: int | None = None
    cache_bytes: int | None = None
    """None where the shape of the cache is not known; then it is not counted."""
    runtime_bytes: int = 0
    """Working memory beside weights and cache."""
    others_bytes: int = 0
    """What running model servers hold."""
    limit_bytes: int = 0
    """What Metal lets the GPU use, or all memory where there is no Metal."""
    largest_context: int | None = None
    """The longest context that fits now, at most the model's own; None where not even a short one
    fits, or where that is not known."""
    shape: ModelShape | None = None
    """What it was counted from, for a model on this disk; one on the hub tells its shape itself."""

    @property
    def needed_bytes(self) -> int | None:
        """What a server of the model takes, as far as that is known; None where nothing is."""
        if self.weights_bytes is None:
            return None
        return self.weights_bytes + (self.cache_bytes or 0) + self.runtime_bytes


class HubModel(msgspec.Struct, frozen=True):
    """A model on the hub."""

    id: str
    author: str
    name: str
    likes: int = 0
    downloads: int = 0
    """Of the last 30 days."""
    updated_at: float | None = None
    """Seconds since the epoch."""
    trending: float | None = None
    size_bytes: int | None = None
    """What a download fetches. Known from the hub's list of files only, never guessed."""
    quantization: str | None = None
    parameters: int | None = None
    """Exact once mlx-lm's own classes were looked at; until then the number in the model's name."""
    family: str | None = None
    """The `model_type` of its config.json."""
    context_length: int | None = None
    tags: tuple[str, ...] = ()
    """For chips: vision, tools, reasoning, embedding."""
    licence: str | None = None
    gated: bool = False
    """True when its authors want to be asked before a download."""
    granted: bool = False
    """True when they have agreed: the token that is in use opens the files of a gated model."""
    supported: bool | None = None
    """Whether the installed mlx-lm can load it; None where that cannot be told."""
    reason: str = ""
    """Why it is not supported, or why that cannot be told."""
    shape: ModelShape | None = None
    """None until the details were looked at."""
    fit: Fit | None = None
    """None until the details were looked at."""

    @property
    def must_ask(self) -> bool:
        """True when a download is refused until its authors have been asked."""
        return self.gated and not self.granted


class HubQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A search of the hub."""

    text: str = ""
    """Words of the name, an id, or the address of a model's page."""
    sort: HubSort = HubSort.TRENDING
    author: str = ""
    quantization: str = ""
    """As in HubModel.quantization, such as `4-bit`."""
    tag: str = ""
    """One of HubModel.tags."""
    supported: bool = False
    """True leaves out what the installed mlx-lm cannot load."""
    cursor: str = ""
    """`next_cursor` of the page before."""
    details: int = 0
    """For so many of the first rows, sizes and fits are looked up if they are not known yet."""


class HubPage(msgspec.Struct, frozen=True):
    """A page of a search."""

    models: tuple[HubModel, ...]
    next_cursor: str | None = None
    notice: str = ""
    """Something to know about the answer, such as a rejected token."""


class HubFile(msgspec.Struct, frozen=True):
    """A file of a model on the hub."""

    name: str
    size_bytes: int | None = None


class HubRevision(msgspec.Struct, frozen=True):
    """A branch or a tag of a model."""

    name: str
    commit: str


class HubDetails(msgspec.Struct, frozen=True):
    """Everything about one model on the hub."""

    model: HubModel
    commit: str | None = None
    created_at: float | None = None
    """Seconds since the epoch."""
    files: tuple[HubFile, ...] = ()
    """At most 1,000, largest first."""
    card: str = ""
    """Its README in Markdown without the head of settings, at most 256 KB; written by anybody."""
    is_card_cut: bool = False
    base_models: tuple[str, ...] = ()
    url: str = ""
    """Its page on the hub."""
    revisions: tuple[HubRevision, ...] = ()
    """Branches, then tags, at most 100; empty where the hub did not tell."""
    notice: str = ""


class Search(msgspec.Struct, frozen=True, tag="search", tag_field="order"):
    """Search the hub."""

    number: int
    query: HubQuery


class Describe(msgspec.Struct, frozen=True, tag="describe", tag_field="order"):
    """Look up one model of the hub."""

    number: int
    id: str


class Measure(msgspec.Struct, frozen=True, tag="measure", tag_field="order"):
    """Tell the shape of a model on this disk."""

    number: int
    folder: str


class Found(msgspec.Struct, frozen=True, tag="found", tag_field="answer"):
    """A page of a search."""

    number: int
    page: HubPage


class Described(msgspec.Struct, frozen=True, tag="described", tag_field="answer"):
    """One model of the hub."""

    number: int
    details: HubDetails


class Measured(msgspec.Struct, frozen=True, tag="measured", tag_field="answer"):
    """The shape of a model on this disk."""

    number: int
    shape: ModelShape


class Refused(msgspec.Struct, frozen=True, tag="refused", tag_field="answer"):
    """An order that did not work."""

    number: int
    failure: Failure


HubOrder = Search | Describe | Measure
HubAnswer = Found | Described | Measured | Refused

_orders: JsonReader[HubOrder] = JsonReader(HubOrder)
_answers: JsonReader[HubAnswer] = JsonReader(HubAnswer)


def decode_hub_order(line: bytes) -> HubOrder:
    """Return the order in one line. Raises msgspec.DecodeError for anything else."""
    return _orders.decode(line)


def decode_hub_answer(line: bytes) -> HubAnswer:
    """Return the answer in one line. Raises msgspec.DecodeError for anything else."""
    return _answers.decode(line)
