"""The one model that is suggested to somebody who has none: small, well known, and sure to fit."""

from typing import NamedTuple

_GIB = 2**30
_COMFORTABLE = 0.8
"""Share of the limit up to which a model fits with room to spare, as in the engine's verdicts."""
_BESIDE_BYTES = 3 * _GIB
"""Working memory and the cache of a conversation, roughly."""
_BYTES_EACH = 0.59
"""Of a parameter at 4 bits, with its scales and the share of the buffers that grows with it."""


class Starter(NamedTuple):
    """A model to begin with."""

    id: str
    title: str
    about: str


# By the memory of the computer in GiB, largest first; each leaves half of it to other programs.
_TABLE: tuple[tuple[int, Starter], ...] = (
    (
        24,
        Starter(
            "mlx-community/Qwen3-8B-4bit",
            "Qwen3 8B",
            "A capable all-rounder that thinks before it answers.",
        ),
    ),
    (
        12,
        Starter(
            "mlx-community/Qwen3-4B-Instruct-2507-4bit",
            "Qwen3 4B Instruct",
            "Quick and clever for its size: chat, summaries and tools.",
        ),
    ),
    (
        6,
        Starter(
            "mlx-community/Llama-3.2-3B-Instruct-4bit",
            "Llama 3.2 3B Instruct",
            "Small and quick: chat and summaries.",
        ),
    ),
    (
        0,
        Starter(
            "mlx-community/Llama-3.2-1B-Instruct-4bit",
            "Llama 3.2 1B Instruct",
            "The smallest that still holds a conversation.",
        ),
    ),
)


def starter_for(memory_bytes: int) -> Starter:
    """Return the model to suggest on a computer with so much memory."""
    return next(model for least, model in _TABLE if memory_bytes >= least * _GIB)


def parameters_that_fit(limit_bytes: int) -> int:
    """Return about how many parameters at 4 bits fit with room to spare, in whole billions."""
    room = limit_bytes * _COMFORTABLE - _BESIDE_BYTES
    return max(0, int(room / _BYTES_EACH / 1e9))
