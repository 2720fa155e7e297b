"""The shape of a model's cache from its config alone, for the families where a formula is honest.

Checked against mlx-lm's own classes; docs/fit.md has the figures.
"""

from collections.abc import Sequence
from typing import cast

from app.wire.shape import CachePart, CacheShape
from app.worker.files import Table, table, whole_number

_MAX = 1_000_000
# Signs of layers whose state is no plain cache of keys and values; guessing them would mislead.
_OTHER_LAYERS = (
    "ssm", "mamba", "linear_attn", "linear_num", "linear_conv", "conv_", "lru_", "rwkv", "hybrid",
    "layers_block_type", "full_attention_interval", "attn_layer", "num_kv_shared_layers",
    "attention_chunk_size", "cross_attention", "block_configs", "layer_group_size", "index_",
    "short_conv", "attn_type", "cla_", "kv_lora", "kv_share", "num_attn_heads", "attn_module",
    "attn_config", "block_types", "_block_types",
)  # fmt: skip
_LATENT = ("deepseek_v3", "kimi_k2")
"""Families whose caches hold the compressed keys and values (multi-head latent attention)."""
_UNLIKE = frozenset(
    (
        "deepseek_v41", "falcon_h1", "gpt2", "gpt_bigcode", "gpt_neox", "gpt_oss",
        "iquestloopcoder", "muse_glimmer", "olmo3", "plamo", "plamo2", "plamo3", "step3p5",
    )
)  # fmt: skip
"""Families whose classes keep something else than their configs suggest, as measured."""
_PATTERNED = {"gemma3": 6, "gemma3_text": 6, "cohere2": 4, "spark2_5": 4}
"""Every so many layers one looks at everything, if the config says nothing else."""


def cache_shape(config: Table) -> CacheShape | None:
    """Return how the cache grows, None where no formula is known to be right."""
    inner = {**config, **table(config.get("text_config"))}
    family = str(config.get("model_type"))
    layers = _number(inner, "num_hidden_layers", "n_layers", "n_layer", "num_layers")
    if layers is None or family in _UNLIKE:
        return None
    width = 4 if inner.get("dtype", inner.get("torch_dtype")) == "float32" else 2
    if family in _LATENT:
        return _latent(inner, layers, width)
    if any(key.startswith(start) for key in inner for start in _OTHER_LAYERS if inner[key]):
        return None
    each = _each_layer(inner, width)
    if each is None:
        return None
    window = whole_number(inner.get("sliding_window"), maximum=10**9)
    global_layers = _global_layers(inner, family, layers) if window else layers
    if global_layers is None or (family in _PATTERNED and not window):
        # Their windows have sizes that only mlx-lm's classes tell.
        return None
    parts = [CachePart(each * global_layers)] if global_layers else []
    if window and layers > global_layers:
        parts.append(CachePart(each * (layers - global_layers), window))
    return CacheShape(tuple(parts))


def _each_layer(inner: Table, width: int) -> int | None:
    """Return the bytes of a token in one layer."""
    heads = _number(inner, "num_attention_heads", "n_heads", "n_head")
    hidden = _number(inner, "hidden_size", "n_embd", "d_model", "dim")
    kv_heads = _number(inner, "num_key_value_heads", "num_kv_heads", "n_kv_heads") or heads
    head = _number(inner, "head_dim")
    if head is None and heads and hidden:
        head = hidden // heads
    if kv_heads is None or not head:
        return None
    return 2 * kv_heads * head * width


def _latent(inner: Table, layers: int, width: int) -> CacheShape | None:
    rank, rope = _number(inner, "kv_lora_rank"), _number(inner, "qk_rope_head_dim")
    if rank is None or rope is None:
        return None
    return CacheShape((CachePart(layers * (rank + rope) * width),))


def _global_layers(inner: Table, family: str, layers: int) -> int | None:
    """Return how many layers look at the whole context, None for kinds that are not known."""
    kinds = inner.get("layer_types")
    if isinstance(kinds, list):
        names = cast("Sequence[object]", kinds)
        if len(names) != layers or not set(map(str, names)) <= _KINDS:
            return None
        return sum(name == "full_attention" for name in names)
    if isinstance(inner.get("sliding_window_pattern"), str):
        return None
    every = _number(inner, "sliding_window_pattern") or _PATTERNED.get(family)
    # A window alone is ignored by mlx-lm in the families without a pattern.
    return layers if every is None else layers // every


_KINDS = {"full_attention", "sliding_attention"}


def _number(inner: Table, *names: str) -> int | None:
    for name in names:
        value = whole_number(inner.get(name), maximum=_MAX)
        if value is not None:
            return value
    return None
