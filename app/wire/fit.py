"""Whether a model fits the memory: pure arithmetic over its shape and what runs already."""

from app.wire.hub import Fit, Verdict
from app.wire.shape import CacheShape, ModelShape

DEFAULT_CONTEXT = 32_768
"""Tokens; a model made for less is counted with its own length."""
FITS_PERCENT = 80
"""Up to this share of the limit a model fits, so that a second conversation has room too."""
TIGHT_PERCENT = 100
_GIB = 2**30
_CACHE_STEP = 256
"""mlx-lm's caches grow in steps of so many tokens (mlx_lm/models/cache.py 0.32)."""
# Beside weights and cache: buffers of a step, Python and MLX itself. The share grows with the
# model because the buffers do.
_RUNTIME_BASE = 6 * _GIB // 10
_RUNTIME_SHARE = 20
_UNKNOWN_CONTEXT = 1_048_576


def cache_bytes(shape: CacheShape, context: int) -> int:
    """Return the bytes that the cache of one conversation of `context` tokens takes."""
    return shape.fixed_bytes + sum(
        part.bytes_per_token
        * min(_stepped(context), _stepped(part.window) if part.window else _stepped(context))
        for part in shape.parts
    )


def runtime_bytes(weights_bytes: int) -> int:
    """Return the working memory of a server beside weights and cache, in bytes."""
    return _RUNTIME_BASE + weights_bytes // _RUNTIME_SHARE


def needed_bytes(shape: ModelShape, context: int | None = None) -> int:
    """Return what a server of this model needs beside the others, as far as that is known."""
    weights = shape.weights_bytes or 0
    cache = 0
    if shape.cache is not None:
        cache = cache_bytes(shape.cache, context or default_context(shape))
    return weights + cache + runtime_bytes(weights)


def rounded_up(size_bytes: int) -> int:
    """Return what a model needs as people read it: in whole tenths of a GB of 2^30 bytes."""
    return _tenths_up(size_bytes) * _GIB // 10


def rounded_down(size_bytes: int) -> int:
    """Return a limit as people read it, on every screen: never more than there is."""
    return _tenths_down(size_bytes) * _GIB // 10


def fit(
    shape: ModelShape | None,
    *,
    limit_bytes: int,
    others_bytes: int,
    context: int | None = None,
    supported: bool | None = None,
    reason: str = "",
) -> Fit:
    """Return whether a model fits.

    limit_bytes: what all model servers may use together. others_bytes: what running ones hold.
    context: tokens; None is 32,768 or the model's own length if that is less.
    """
    wanted = context or default_context(shape)
    if supported is False:
        return Fit(Verdict.UNSUPPORTED, reason or "The installed mlx-lm cannot load it.", wanted)
    if shape is None or shape.weights_bytes is None:
        return Fit(Verdict.UNKNOWN, reason or "The size of its weights is not known.", wanted)
    cache = None if shape.cache is None else cache_bytes(shape.cache, wanted)
    parts = (
        shape.weights_bytes, cache or 0, runtime_bytes(shape.weights_bytes), others_bytes
    )  # fmt: skip
    verdict = _verdict(parts, limit_bytes)
    if cache is None and verdict is not Verdict.TOO_BIG:
        verdict = Verdict.UNKNOWN
    return Fit(
        verdict,
        _sentence(parts, limit_bytes, wanted, is_cache_known=cache is not None),
        wanted,
        weights_bytes=shape.weights_bytes,
        cache_bytes=cache,
        runtime_bytes=parts[2],
        others_bytes=others_bytes,
        limit_bytes=limit_bytes,
        largest_context=_largest_context(shape, limit_bytes, others_bytes),
    )


def default_context(shape: ModelShape | None) -> int:
    """Return the context in tokens that a fit is counted for when nobody names one."""
    own = shape.context_length if shape else None
    return min(own, DEFAULT_CONTEXT) if own else DEFAULT_CONTEXT


def _verdict(parts: tuple[int, ...], limit_bytes: int) -> Verdict:
    # In the tenths that are shown: a verdict must agree with the sum that people can see.
    need, limit = sum(map(_tenths_up, parts)), _tenths_down(limit_bytes)
    if need * 100 <= limit * FITS_PERCENT:
        return Verdict.FITS
    return Verdict.TIGHT if need * 100 <= limit * TIGHT_PERCENT else Verdict.TOO_BIG


def _sentence(parts: tuple[int, ...], limit: int, context: int, *, is_cache_known: bool) -> str:
    weights, cache, runtime, others = map(_tenths_up, parts)
    terms = [f"weights {_gb(weights)}"]
    if is_cache_known:
        terms.append(f"cache at {_tokens(context)} {_gb(cache)}")
    terms.append(f"runtime {_gb(runtime)}")
    if others:
        terms.append(f"running servers {_gb(others)}")
    need, most = weights + cache + runtime + others, _tenths_down(limit)
    text = f"{' + '.join(terms)} = {_gb(need)} of {_gb(most)} GB"
    if not is_cache_known:
        text += "; its cache comes on top and is not known"
    if need > most >= need - others:
        text += "; without the running servers it fits"
    return text


def _largest_context(shape: ModelShape, limit_bytes: int, others_bytes: int) -> int | None:
    if shape.weights_bytes is None or shape.cache is None:
        return None
    low, high = 0, (shape.context_length or _UNKNOWN_CONTEXT) // _CACHE_STEP
    fixed = (shape.weights_bytes, runtime_bytes(shape.weights_bytes), others_bytes)
    while low < high:
        middle = (low + high + 1) // 2
        parts = (*fixed, cache_bytes(shape.cache, middle * _CACHE_STEP))
        if _verdict(parts, limit_bytes) is Verdict.TOO_BIG:
            high = middle - 1
        else:
            low = middle
    return low * _CACHE_STEP or None


def _stepped(tokens: int) -> int:
    return -(-tokens // _CACHE_STEP) * _CACHE_STEP


def _tenths_up(size: int) -> int:
    return -(-size * 10 // _GIB)


def _tenths_down(size: int) -> int:
    return size * 10 // _GIB


def _gb(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"


def _tokens(context: int) -> str:
    return f"{context // 1024}k" if context % 1024 == 0 else f"{context:,} tokens"
