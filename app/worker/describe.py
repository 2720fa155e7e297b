"""Describes a model from the files in its folder, and says why it cannot be served if so."""

import re
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from app.architectures import installed_architectures
from app.wire.shape import ModelShape
from app.worker.files import (
    Table,
    UnreadableError,
    clean,
    read_table,
    read_text,
    table,
    texts,
    whole_number,
)
from app.worker.hub.formula import cache_shape
from app.worker.safetensors import Tensor, count_parameters, precision, read_header

_DOWNLOAD = "Download the model again."
INDEX = "model.safetensors.index.json"
_MAX_CONFIG_BYTES = 4_000_000
# A mixture of many experts names some hundred thousand tensors in its index.
_MAX_INDEX_BYTES = 64_000_000
_MAX_TEMPLATE_BYTES = 16_000_000
_MAX_CONTEXT = 10**9
_SHARD = re.compile(r"^(model.*)-(\d{5})-of-(\d{5})\.safetensors$")
_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "*.tiktoken",
    "tiktoken.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
)
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
_DTYPES = {"float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


class Description(msgspec.Struct, frozen=True):
    """What the files of a model say about it; the fields are those of the wire's Model."""

    quantization: str | None = None
    parameters: int | None = None
    family: str | None = None
    context_length: int | None = None
    tags: tuple[str, ...] = ()
    problem: str | None = None
    needs_python: bool = False
    repairable: bool = False
    shape: ModelShape | None = None


def is_model(files: Mapping[str, int], *, has_partial_files: bool = False) -> bool:
    """True if a folder with these files is, or is about to become, a model for MLX."""
    if "config.json" not in files:
        return False
    if INDEX in files or any(name.endswith(".safetensors") for name in files):
        return True
    others = (".gguf", ".bin", ".pt", ".pth", ".onnx", ".h5", ".msgpack", ".npz")
    return has_partial_files and not any(name.endswith(others) for name in files)


def is_weights(name: str) -> bool:
    """True for what mlx-lm loads; other names (consolidated.safetensors) are left alone."""
    return name.startswith("model") and name.endswith(".safetensors")


def describe(
    folder: Path, files: Mapping[str, int], *, is_snapshot: bool, has_partial_files: bool = False
) -> Description:
    """Return what the `files` (name to bytes) of a model's folder say. Never raises for content.

    is_snapshot: it is one of a repository in the hub's cache, so a download can mend it.
    has_partial_files: the download left unfinished files. They are a problem only together with
    something missing; an older try leaves them for ever.
    """
    try:
        config = read_table(f"{folder}/config.json", limit_bytes=_MAX_CONFIG_BYTES)
    except UnreadableError as error:
        problem = f"Its config.json {error}. {_remedy(is_snapshot)}"
        return Description(problem=problem, repairable=is_snapshot)
    family = config.get("model_type")
    tensors, bad = _read_weights(folder, files)
    damage = _missing_files(folder, files, is_snapshot, has_partial_files=has_partial_files)
    if bad and not damage:
        damage = f"{bad} {_remedy(is_snapshot)}"
    broken = damage or _nameless(config) or _no_tokenizer(folder, files, is_snapshot)
    unknown = None if broken else _unsupported(config)
    bits, by_layer = _bits(config)
    length = _context_length(config)
    weights = sum(size for name, size in files.items() if is_weights(name))
    return Description(
        quantization=_quantization(config, tensors),
        parameters=None if damage else count_parameters(tensors, bits=bits, bits_by_layer=by_layer),
        family=clean(family) if isinstance(family, str) else None,
        context_length=length,
        tags=_tags(folder, files, config),
        problem=broken or unknown,
        needs_python=unknown is not None,
        repairable=broken is not None and broken.endswith(_DOWNLOAD),
        shape=None if broken else ModelShape(weights or None, cache_shape(config), length),
    )


def _read_weights(folder: Path, files: Mapping[str, int]) -> tuple[dict[str, Tensor], str | None]:
    """Return the tensors of all whole weight files, and what is wrong with the first other one."""
    tensors: dict[str, Tensor] = {}
    problem: str | None = None
    for name in sorted(files):
        if not is_weights(name):
            continue
        try:
            tensors |= read_header(f"{folder}/{name}", files[name])
        except UnreadableError as error:
            problem = problem or f"Its file {clean(name)} {error}."
    return tensors, problem


def wanted_weights(folder: Path, files: Mapping[str, int]) -> set[str]:
    """Return the names of weight files that its index and the other files' names speak of.

    Raises UnreadableError for a bad index.
    """
    wanted: set[str] = set()
    if INDEX in files:
        index = read_table(f"{folder}/{INDEX}", limit_bytes=_MAX_INDEX_BYTES)
        wanted = {name for name in table(index.get("weight_map")).values() if isinstance(name, str)}
    for name in files:
        if match := _SHARD.match(name):
            total = int(match[3])
            wanted |= {f"{match[1]}-{i:05}-of-{match[3]}.safetensors" for i in range(1, total + 1)}
    return wanted


def _remedy(is_snapshot: bool) -> str:
    return _DOWNLOAD if is_snapshot else "Replace the file."


def _missing_files(
    folder: Path, files: Mapping[str, int], is_snapshot: bool, *, has_partial_files: bool
) -> str | None:
    """Return a sentence if not all files are there."""
    weights = [name for name in files if is_weights(name)]
    try:
        wanted = wanted_weights(folder, files)
    except UnreadableError as error:
        return f"Its {INDEX} {error}. {_remedy(is_snapshot)}"
    absent = wanted - files.keys()
    if absent:
        count = f"{len(absent)} of {len(wanted)} weight files are missing"
        if is_snapshot:
            return f"The download is not complete: {count}. {_DOWNLOAD}"
        return f"{count} in its folder. Add them."
    if has_partial_files and (not weights or not _has_tokenizer(files)):
        return f"The download is not complete. {_DOWNLOAD}"
    if not weights:
        return "It has no weights under the names that MLX loads (model*.safetensors)."
    return None


def _nameless(config: Table) -> str | None:
    family = config.get("model_type")
    if isinstance(family, str) and family:
        return None
    return "Its config.json does not name an architecture (model_type)."


def _unsupported(config: Table) -> str | None:
    family = str(config.get("model_type"))
    # Code that the model brings along replaces mlx-lm's own; a profile must allow it.
    if config.get("model_file") is not None:
        return None
    known = installed_architectures()
    if known is None or known.can_load(family, texts(config.get("architectures"))):
        return None
    return (
        f"The built-in mlx-lm does not know the architecture {clean(family)}. "
        "A profile with another Python may run it."
    )


def _has_tokenizer(files: Mapping[str, int]) -> bool:
    return any(size > 0 and _is_tokenizer(name) for name, size in files.items())


def _is_tokenizer(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _TOKENIZERS)


def _no_tokenizer(folder: Path, files: Mapping[str, int], is_snapshot: bool) -> str | None:
    if _has_tokenizer(files):
        return None
    if not is_snapshot:
        return "It has no tokenizer. Add its tokenizer.json or tokenizer.model to the folder."
    if any(map(_is_tokenizer, [*files, *_listed(folder)])):
        return f"The download is not complete: the tokenizer is missing. {_DOWNLOAD}"
    # A download fetches every tokenizer that there is.
    return "The repository has no tokenizer (tokenizer.json or tokenizer.model) that mlx-lm needs."


def _listed(snapshot: Path) -> Table:
    """Return the files of a repository as the hub's library has kept its list of them."""
    place = f"{snapshot.parent.parent}/trees/{snapshot.name}.json"
    try:
        return table(read_table(place, limit_bytes=_MAX_INDEX_BYTES).get("files"))
    except UnreadableError:
        return {}


def _quantization_table(config: Table) -> Table:
    inner = table(config.get("text_config"))
    for place in (config, inner):
        for key in ("quantization", "quantization_config"):
            if found := table(place.get(key)):
                return found
    return {}


def _bits(config: Table) -> tuple[int | None, dict[str, int]]:
    """Return the bits of a quantised weight: in general, and where a layer has its own."""
    found = _quantization_table(config)
    by_layer: dict[str, int] = {}
    for layer, value in found.items():
        width = whole_number(table(value).get("bits"), maximum=32)
        if width is not None:
            by_layer[layer] = width
    return whole_number(found.get("bits"), maximum=32), by_layer


def _quantization(config: Table, tensors: Mapping[str, Tensor]) -> str | None:
    found = _quantization_table(config)
    mode = found.get("mode")
    if isinstance(mode, str) and mode != "affine":
        return clean(mode)
    bits = whole_number(found.get("bits"), maximum=32)
    if bits is not None:
        return f"{bits}-bit"
    method = found.get("quant_method")
    if isinstance(method, str):
        return clean(method)
    for place in (config, table(config.get("text_config"))):
        dtype = place.get("dtype", place.get("torch_dtype"))
        if isinstance(dtype, str) and dtype in _DTYPES:
            return _DTYPES[dtype]
    return precision(tensors.values())


def _context_length(config: Table) -> int | None:
    for place in (config, table(config.get("text_config"))):
        for key in _CONTEXT_KEYS:
            length = whole_number(place.get(key), maximum=_MAX_CONTEXT)
            if length is not None:
                return length
    return None


def _tags(folder: Path, files: Mapping[str, int], config: Table) -> tuple[str, ...]:
    tags: list[str] = []
    if table(config.get("vision_config")):
        tags.append("vision")
    if "config_sentence_transformers.json" in files or "modules.json" in files:
        tags.append("embedding")
    if re.search(r"\btools\b", _chat_template(folder, files)):
        tags.append("tools")
    return tuple(tags)


def _chat_template(folder: Path, files: Mapping[str, int]) -> str:
    """Return the text that the chat template is in, empty if there is none."""
    try:
        if "chat_template.jinja" in files:
            return read_text(f"{folder}/chat_template.jinja", limit_bytes=_MAX_TEMPLATE_BYTES)
        if "tokenizer_config.json" in files:
            found = read_table(f"{folder}/tokenizer_config.json", limit_bytes=_MAX_TEMPLATE_BYTES)
            # One template, or a list of named ones: the text of either will do.
            return str(found.get("chat_template", ""))
    except UnreadableError:
        pass
    return ""
