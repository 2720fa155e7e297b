"""Reads what the hub says about models; nothing in it is trusted, and nothing makes it raise."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatch
from typing import cast
from urllib.parse import parse_qs, urlsplit

from app.architectures import installed_architectures
from app.wire.hub import HubFile, HubModel, HubRevision
from app.wire.links import ID, is_link, read_link
from app.worker.files import Table, clean, table, texts, whole_number

WEIGHTS = "model*.safetensors"
# As the download worker's list of what it fetches.
_FETCHED = (
    "*.json", WEIGHTS, "*.py", "tokenizer.model", "*.tiktoken", "tiktoken.model", "*.txt",
    "*.jsonl", "*.jinja", "README.md", "LICENSE*",
)  # fmt: skip
_MAX_COUNT = 10**12
_MAX_SIZE = 1 << 50
_MAX_FILES = 10_000
_MAX_CONTEXT = 10**9
_MAX_REVISIONS = 100
_REVISION = re.compile(r"[\w][\w./-]{0,199}", re.ASCII)
_LINK = re.compile(r'<([^<>]{1,4000})>\s*;[^,<]{0,100}\brel="?next"?')
_SIZE = re.compile(r"(?<![0-9.])(\d{1,4}(?:\.\d{1,3})?)([BbMm])(?![A-Za-z0-9])")
_BITS = re.compile(r"(?<![0-9A-Za-z])(\d)[-_ ]?bits?(?![A-Za-z0-9])", re.IGNORECASE)
_NAMED = re.compile(
    r"(?<![0-9A-Za-z])(mxfp4|mxfp8|nvfp4|bf16|fp16|fp32)(?![A-Za-z0-9])", re.IGNORECASE
)
_REASONING = re.compile(r"thinking|reason|(?<![a-z0-9])(?:r1|qwq)(?![a-z0-9])", re.IGNORECASE)
_EMBEDDING = ("feature-extraction", "sentence-similarity", "text-ranking")
_VISION = ("image-text-to-text", "image-to-text", "visual-question-answering", "any-to-any")
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
NO_WEIGHTS = "It has no weights under the names that MLX loads (model*.safetensors)."


def models_of(value: object) -> list[HubModel] | None:
    """Return the models in a list of the hub, None when it is no such list."""
    if not isinstance(value, list):
        return None
    rows = cast("list[object]", value)
    found = [model for row in rows[:1000] if (model := model_of(table(row))) is not None]
    return found if found or not rows else None


def model_of(row: Table, config: Table | None = None) -> HubModel | None:
    """Return the model in an object of the hub, None when it names none.

    config: its config.json, when that was read; otherwise the hub's excerpt of it is used.
    """
    repo_id = row.get("id", row.get("modelId"))
    if not isinstance(repo_id, str) or not ID.fullmatch(repo_id) or row.get("disabled") is True:
        return None
    author, _, name = repo_id.partition("/")
    known = config if config is not None else table(row.get("config"))
    family = known.get("model_type")
    supported, reason = support(known)
    return HubModel(
        id=repo_id,
        author=author,
        name=name,
        likes=count(row.get("likes")),
        downloads=count(row.get("downloads")),
        updated_at=seconds(row.get("lastModified")),
        trending=_score(row.get("trendingScore")),
        quantization=quantization(known, name),
        parameters=_named_parameters(name),
        family=clean(family)[:80] if isinstance(family, str) else None,
        context_length=context_length(known),
        tags=tags(row, known, name),
        licence=_licence(row),
        gated=row.get("gated") not in (False, None, ""),
        supported=supported,
        reason=reason,
    )


def support(config: Table) -> tuple[bool | None, str]:
    """Return whether the installed mlx-lm can load a model, and why not."""
    family = config.get("model_type")
    if not isinstance(family, str) or not family:
        return None, "The hub does not tell its architecture."
    if config.get("model_file") is not None:
        return None, "It brings its own code, which a profile must allow."
    known = installed_architectures()
    if known is None or known.can_load(family, texts(config.get("architectures"))):
        return True, ""
    return (
        False,
        f"The installed mlx-lm does not support the architecture {clean(family)[:80]}.",
    )


def quantization(config: Table, name: str) -> str | None:
    """Return for example `4-bit`, from the config or else from the model's name."""
    for place in (config, table(config.get("text_config"))):
        for key in ("quantization", "quantization_config"):
            found = table(place.get(key))
            mode = found.get("mode")
            if isinstance(mode, str) and mode != "affine":
                return clean(mode)[:20]
            bits = whole_number(found.get("bits"), maximum=32)
            if bits is not None:
                return f"{bits}-bit"
    if match := _BITS.search(name):
        return f"{match[1]}-bit"
    match = _NAMED.search(name)
    return match[1].lower() if match else None


def tags(row: Table, config: Table, name: str) -> tuple[str, ...]:
    """Return the words for a model's chips."""
    pipeline = row.get("pipeline_tag")
    template = str(table(config.get("tokenizer_config")).get("chat_template", ""))[:200_000]
    words = {word.lower() for word in texts(row.get("tags"))[:200]}
    found: list[str] = []
    if pipeline in _VISION or table(config.get("vision_config")):
        found.append("vision")
    if re.search(r"\btools\b", template) or "tool-use" in words or "function-calling" in words:
        found.append("tools")
    if "<think>" in template or "reasoning" in words or _REASONING.search(name):
        found.append("reasoning")
    if pipeline in _EMBEDDING:
        found.append("embedding")
    return tuple(found)


def context_length(config: Table) -> int | None:
    """Return the tokens that a model was made for."""
    for place in (config, table(config.get("text_config"))):
        for key in _CONTEXT_KEYS:
            length = whole_number(place.get(key), maximum=_MAX_CONTEXT)
            if length is not None:
                return length
    return None


def files_of(row: Table) -> list[HubFile]:
    """Return a model's files, largest first; a size that makes no sense is None."""
    siblings = row.get("siblings")
    found: list[HubFile] = []
    for item in cast("list[object]", siblings)[:_MAX_FILES] if isinstance(siblings, list) else []:
        sibling = table(item)
        name = sibling.get("rfilename")
        if not isinstance(name, str) or not 0 < len(name) <= 300:
            continue
        size = table(sibling.get("lfs")).get("size", sibling.get("size"))
        is_size = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= _MAX_SIZE
        found.append(HubFile(clean(name), cast("int", size) if is_size else None))
    return sorted(found, key=lambda f: (-(f.size_bytes or 0), f.name))


def download_bytes(files: Iterable[HubFile]) -> int | None:
    """Return what a download fetches, None when a size is missing."""
    return _sum(f for f in files if any(fnmatch(f.name, pattern) for pattern in _FETCHED))


def weights_bytes(files: Iterable[HubFile]) -> int | None:
    """Return the bytes of the weights, None when there are none or a size is missing."""
    weights = [file for file in files if fnmatch(file.name, WEIGHTS)]
    return _sum(weights) if weights else None


def next_cursor(headers: Mapping[str, str]) -> str | None:
    """Return the cursor in the Link header. Only that: its address may lead anywhere."""
    match = _LINK.search(headers.get("Link", "")[:8000])
    if match is None:
        return None
    try:
        cursors = parse_qs(urlsplit(match[1]).query).get("cursor", [])
    except ValueError:
        return None
    return cursors[0] if cursors and len(cursors[0]) <= 2000 else None


def id_in(text: str, endpoint: str) -> tuple[str | None, bool]:
    """Return the id that a text is or links to, and whether it is a link for sure."""
    text = text.strip()
    hosts = (_host(endpoint),)
    if not is_link(text, hosts):
        return (text, False) if ID.fullmatch(text) else (None, False)
    link = read_link(text, hosts)
    return (None, False) if link is None else (link.id, True)


def revisions_of(value: object) -> tuple[HubRevision, ...]:
    """Return the branches and tags in the hub's answer about them."""
    answer = table(value)
    found: list[HubRevision] = []
    for kind in ("branches", "tags"):
        rows = answer.get(kind)
        for row in cast("list[object]", rows if isinstance(rows, list) else [])[:_MAX_REVISIONS]:
            name, commit = table(row).get("name"), table(row).get("targetCommit")
            if isinstance(name, str) and isinstance(commit, str) and _REVISION.fullmatch(name):
                found.append(HubRevision(name, clean(commit)[:40]))
    return tuple(found[:_MAX_REVISIONS])


def card_text(data: bytes) -> str:
    """Return a README without its head of settings and without what no text holds."""
    text = data.decode("utf-8", "ignore").replace("\r\n", "\n")
    if text.startswith("---\n") and (end := text.find("\n---", 3)) >= 0:
        text = text[end + 4 :].partition("\n")[2]
    kept = (c for c in text if c in "\n\t" or ord(c) >= 32)
    return "".join(kept).strip()


def base_models(row: Table) -> tuple[str, ...]:
    """Return the ids of the models that a model was made from."""
    found = texts(table(row.get("cardData")).get("base_model"))
    return tuple(name for name in found[:20] if ID.fullmatch(name))


def count(value: object) -> int:
    """Return a whole number of the hub, 0 when it makes no sense."""
    return whole_number(value, maximum=_MAX_COUNT) or 0


def seconds(value: object) -> float | None:
    """Return a date of the hub in seconds since the epoch."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _score(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _MAX_COUNT else None


def _licence(row: Table) -> str | None:
    card = table(row.get("cardData"))
    for value in (card.get("license_name"), *texts(card.get("license"))):
        if isinstance(value, str) and value and value != "other":
            return clean(value)[:80]
    for tag in texts(row.get("tags"))[:200]:
        if tag.startswith("license:") and len(tag) > 8:
            return clean(tag[8:])[:80]
    return None


def _named_parameters(name: str) -> int | None:
    match = _SIZE.search(name)
    if match is None:
        return None
    return int(float(match[1]) * (10**9 if match[2] in "Bb" else 10**6)) or None


def _sum(files: Iterable[HubFile]) -> int | None:
    total = 0
    for file in files:
        if file.size_bytes is None:
            return None
        total += file.size_bytes
    return total


def _host(endpoint: str) -> str:
    return endpoint.partition("://")[2].partition("/")[0].lower()
