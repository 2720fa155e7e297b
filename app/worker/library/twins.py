"""Makes one row of the models whose weights are the same, wherever they are."""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from app.wire.nouns import Model, ModelSource
from app.worker.describe import is_weights
from app.worker.library.found import Found
from app.worker.library.memory import Memory
from app.worker.safetensors import read_spans

_SAMPLE_BYTES = 256
_MOST_SAMPLES = 4_000
"""For one file; a model of experts has tens of thousands of tensors."""


def merge_twins(found: Iterable[Found], memory: Memory) -> list[Model]:
    """Return the models, those with the same weights as one with all of their locations.

    The first of a group gives its id. Fine-tunes of one model agree in names, sizes and headers, so
    a piece of every tensor is compared too.
    """
    groups: dict[tuple[object, ...], list[Found]] = {}
    for item in found:
        groups.setdefault(_outline(item), []).append(item)
    models: list[Model] = []
    for group in groups.values():
        models += _merged(group, memory)
    return models


def _outline(item: Found) -> tuple[object, ...]:
    """Return what twins have in common and costs nothing to know."""
    files = item.files
    weights = tuple(sorted((n, s) for n, s in files.items() if is_weights(n)))
    # What cannot be served is no copy of anything; the demo stays a row of its own.
    if not weights or item.model.problem or item.model.source is ModelSource.DEMO:
        return (item.model.path,)
    return (weights, files.get("config.json"))


def _merged(group: list[Found], memory: Memory) -> list[Model]:
    if len(group) == 1 or all(item.model.source is ModelSource.HUB for item in group):
        # Two ids of the hub are two models for people, whatever is in them.
        return [item.model for item in group]
    by_sample: dict[str, list[Model]] = {}
    for item in group:
        sample = memory.sample(item.folder) or _sample(item)
        memory.put_sample(item.folder, sample)
        same = by_sample.setdefault(sample, [])
        if not same or item.model.source is ModelSource.HUB:
            same.append(item.model)
            continue
        # The copy of another program belongs to the id of the hub that it is named after.
        names = [(m.author, m.name) for m in same]
        own = (item.model.author, item.model.name)
        place = names.index(own) if own in names else 0
        locations = (*same[place].locations, item.model.path)
        same[place] = msgspec.structs.replace(same[place], locations=locations)
    return [model for models in by_sample.values() for model in models]


def _sample(item: Found) -> str:
    """Return what names the weights: of the config, and of every tensor a piece."""
    digest = blake2b(digest_size=16)
    try:
        digest.update(Path(item.folder, "config.json").read_bytes())
        for name in sorted(n for n in item.files if is_weights(n)):
            _add_file(digest, Path(item.folder, name))
    except OSError:
        return f"unreadable {item.folder}"
    return digest.hexdigest()


def _add_file(digest: "blake2b", path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        header, spans = read_spans(file)
        digest.update(header)
        step = max(1, len(spans) // _MOST_SAMPLES)
        for start, end in spans[::step]:
            digest.update(_middle(file, start, end))


def _middle(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(max(start, (start + end - _SAMPLE_BYTES) // 2))
    return file.read(min(_SAMPLE_BYTES, end - start))
