"""What the memory of a model depends on, beside the computer."""

import msgspec


class CachePart(msgspec.Struct, frozen=True):
    """Layers whose caches grow alike."""

    bytes_per_token: int
    """All layers of the part together."""
    window: int | None = None
    """Tokens after which they stop growing."""


class CacheShape(msgspec.Struct, frozen=True):
    """How the cache of one conversation grows with its tokens."""

    parts: tuple[CachePart, ...]
    fixed_bytes: int = 0
    """State that does not grow."""
    is_measured: bool = False
    """True when mlx-lm's own classes gave it, False when it is a formula's."""


class ModelShape(msgspec.Struct, frozen=True):
    """What the memory of a model depends on."""

    weights_bytes: int | None = None
    """From file sizes."""
    cache: CacheShape | None = None
    context_length: int | None = None
    """Tokens; what the model was made for."""
