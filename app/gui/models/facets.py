"""What the list of models can be narrowed to, beside the words of a search."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec
from PySide6.QtCore import QCoreApplication

from app.gui import format as fmt
from app.wire.fit import needed_bytes, runtime_bytes
from app.wire.hub import HubModel, HubQuery, HubSort, Verdict
from app.wire.nouns import Model

TAGS: Final = ("vision", "tools", "reasoning", "embedding")
_COMMON: Final = ("4-bit", "8-bit", "6-bit", "bf16")
"""Offered before any model is known."""
_MOST_CHOICES: Final = 14
_BITS: Final = {
    "bf16": 16.0,
    "fp16": 16.0,
    "fp32": 32.0,
    "mxfp4": 4.25,
    "nvfp4": 4.5,
    "mxfp8": 8.25,
}


def _tr(text: str) -> str:
    return QCoreApplication.translate("Facets", text)


class Facets(msgspec.Struct, frozen=True):
    """The filters in use; empty and False let everything through."""

    fits: bool = False
    supported: bool = False
    open: bool = False
    """True leaves out models whose authors want to be asked first."""
    quantization: str = ""
    family: str = ""
    licence: str = ""
    tags: frozenset[str] = frozenset()

    @property
    def names(self) -> dict[str, str]:
        """The filters in use for people, by what `without` takes."""
        found = {
            "fits": _tr("Fits this computer") if self.fits else "",
            "supported": _tr("Supported") if self.supported else "",
            "open": _tr("No access needed") if self.open else "",
            "quantization": self.quantization,
            "family": fmt.family(self.family),
            "licence": self.licence,
            **{f"tag:{tag}": tag_name(tag) for tag in TAGS if tag in self.tags},
        }
        return {key: name for key, name in found.items() if name}

    def without(self, key: str) -> "Facets":
        """Return the filters without one of `names`."""
        field, _, tag = key.partition(":")
        if field == "tag":
            return msgspec.structs.replace(self, tags=self.tags - {tag})
        return msgspec.structs.replace(self, **{field: getattr(Facets(), field)})

    def query(self, text: str, sort: HubSort, *, page: int) -> HubQuery:
        """Return the question for the hub; what it cannot filter is left to `accept`.

        page: how many rows one answer has; the hub cannot compare what was not looked up, so for
        sizes and fits it looks at all of them.
        """
        needs_details = self.fits or sort is HubSort.SIZE
        return HubQuery(
            text=text,
            sort=sort,
            quantization=self.quantization,
            tag=min(self.tags, default=""),
            supported=self.supported,
            details=page if needs_details else 0,
        )

    def accept(self, item: Model | HubModel, *, limit_bytes: int) -> bool:
        """Return True when a model passes all filters.

        limit_bytes: the memory that models may use; 0 where it is not known.
        """
        if self.quantization and (item.quantization or "") != self.quantization:
            return False
        if self.family and (item.family or "") != self.family:
            return False
        if not self.tags <= set(item.tags):
            return False
        if self.fits and limit_bytes and not _may_fit(item, limit_bytes):
            return False
        if isinstance(item, Model):
            return not self.licence and not (self.supported and item.problem)
        return not (
            (self.licence and item.licence != self.licence)
            or (self.open and item.must_ask)
            or (self.supported and item.supported is False)
        )


def choices(items: Iterable[Model | HubModel]) -> dict[str, list[str]]:
    """Return the quantisations, families and licences of models, the most frequent first."""
    counts = {name: Counter[str]() for name in ("quantization", "family", "licence")}
    for item in items:
        for name, counter in counts.items():
            if value := getattr(item, name, None):
                counter[value] += 1
    found = {name: [v for v, _ in c.most_common(_MOST_CHOICES)] for name, c in counts.items()}
    missing = [value for value in _COMMON if value not in found["quantization"]]
    found["quantization"] += missing
    return found


def tag_name(tag: str) -> str:
    """Return a tag as a chip shows it."""
    return tag[:1].upper() + tag[1:]


def _may_fit(item: Model | HubModel, limit_bytes: int) -> bool:
    """Return False when a model is known not to fit, or cannot by its size alone."""
    if isinstance(item, HubModel) and item.fit is not None:
        if item.fit.verdict is not Verdict.UNKNOWN:
            return item.fit.verdict in (Verdict.FITS, Verdict.TIGHT)
        if item.fit.weights_bytes is not None:
            return item.fit.weights_bytes + item.fit.runtime_bytes <= limit_bytes
    if isinstance(item, Model) and item.shape is not None and item.shape.weights_bytes:
        return needed_bytes(item.shape) <= limit_bytes
    size = item.size_bytes or _guessed_bytes(item)
    return size + runtime_bytes(size) <= limit_bytes


def _guessed_bytes(item: Model | HubModel) -> int:
    """Return about how much the weights take, from the figures in the name; 0 without them."""
    kind = item.quantization or ""
    bits = _BITS.get(kind) or (float(kind[0]) if kind[:1].isdigit() else 0.0)
    return int((item.parameters or 0) * bits / 8)
