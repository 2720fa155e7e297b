"""Holds MLX to the memory that the engine has planned for this server."""

from collections.abc import MutableMapping
from typing import Any

WIRED_LIMIT = "MLX_MANAGER_WIRED_LIMIT"
CACHE_LIMIT = "MLX_MANAGER_CACHE_LIMIT"


def bound_memory(mx: Any, environment: MutableMapping[str, str]) -> None:
    """Put the limits into the imported module `mlx.core`; without Metal there is nothing to bound.

    mlx_lm wires up to what Metal recommends for one program: at the start of the server, for each
    batch and for each single request (`maybe_set_recommended_wired_limit` in utils.py 0.32.2).
    Several servers claim more than there is; Macs were reported to hang or panic from that. All of
    these calls go through one function of `mlx.core`, so that is where the bound is. Not zero: near
    the limit, models that are not wired were reported to be 40 times slower.

    The memory limit stays MLX's own: it keeps nothing resident, and exceeding it fails requests.
    """
    wired = _bytes(environment.pop(WIRED_LIMIT, ""))
    cache = _bytes(environment.pop(CACHE_LIMIT, ""))
    if not mx.metal.is_available():
        return
    if cache is not None:
        # By default as large as the memory limit: buffers of one long prompt would stay for ever.
        mx.set_cache_limit(cache)
    if wired is not None:
        plain = mx.set_wired_limit

        def set_wired_limit(limit: int) -> int:
            # The smaller one: asking for more than the system allows is an error.
            return plain(min(limit, wired))

        mx.set_wired_limit = set_wired_limit


def _bytes(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
