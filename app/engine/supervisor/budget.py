"""How much memory each server may wire for the GPU, and how much remembered prompts may take."""

from decimal import Decimal

import msgspec

from app.wire.nouns import Machine, Profile
from app.wire.options import RuntimeInfo

WIRED_LIMIT = "MLX_MANAGER_WIRED_LIMIT"
CACHE_LIMIT = "MLX_MANAGER_CACHE_LIMIT"
PROMPT_CACHE = "prompt_cache_bytes"
"""The option that bounds remembered prompts, in runtimes that have it."""
_GIB = 2**30
# Working memory of a step, freed buffers that MLX keeps, and the contexts that are in use.
_LEAST_MARGIN = _GIB
_MOST_MARGIN = 4 * _GIB
_MARGIN_SHARE = 10
# A quarter of what is left, so that a second and a third server still find room.
_PROMPT_SHARE = 4
# An 8B model takes about 128 KB a token: below this not even one short chat is remembered.
_LEAST_PROMPTS = _GIB // 2
_MOST_PROMPTS = 16 * _GIB
_UNITS = {"": 1, "M": 10**6, "MB": 10**6, "G": 10**9, "GB": 10**9}
"""Sizes as mlx_lm.server reads them."""


class Budget(msgspec.Struct, frozen=True):
    """What one server may take, in bytes."""

    wired: int
    """This much may stay resident for the GPU; less than the need when others hold the rest."""
    cache: int
    """Freed buffers that MLX may keep."""
    prompts: int
    """Remembered prompts."""
    weights: int
    limit: int
    """What all servers share."""
    held: int
    """What is promised to other servers, or used by them."""

    @property
    def is_short(self) -> bool:
        """True when not even the weights can be wired."""
        return self.wired < self.weights

    def __str__(self) -> str:
        shares = f"weights {_gb(self.weights)}, remembered prompts {_gb(self.prompts)}"
        return (
            f"wires at most {_gb(self.wired)} ({shares}, margin {_gb(self.cache)}) of "
            f"{_gb(self.limit)}, of which other servers hold {_gb(self.held)}"
        )


def plan(*, weights: int, limit: int, held: int, prompts: int | None = None) -> Budget:
    """Return the budget of a server with `weights` bytes of weights.

    limit: what all servers of the machine may wire together. held: what others have of it.
    prompts: what the profile allows for remembered prompts; None takes a share of what is left.
    """
    free = max(0, limit - held)
    margin = min(max(_LEAST_MARGIN, weights // _MARGIN_SHARE), _MOST_MARGIN)
    if prompts is None:
        share = (free - weights - margin) // _PROMPT_SHARE
        prompts = min(max(_LEAST_PROMPTS, share), _MOST_PROMPTS)
    wired = min(weights + prompts + margin, free)
    return Budget(wired, margin, prompts, weights, limit, held)


def shared_limit(machine: Machine) -> int:
    """Return what all servers of a machine may wire together, in bytes."""
    if machine.gpu_limit_bytes is not None:
        return machine.gpu_limit_bytes
    # Metal recommends two thirds to three quarters; which, the first loaded server tells.
    return machine.memory_bytes * 2 // 3


def prompts_of(profile: Profile) -> int | None:
    """Return what a profile allows for remembered prompts in bytes, None when it says nothing."""
    text = str(profile.options.get(PROMPT_CACHE, "")).strip().upper()
    if not text:
        return None
    digits = text.rstrip("MGB")
    return int(Decimal(digits) * _UNITS[text[len(digits) :].strip()])


def arguments(profile: Profile, runtime: RuntimeInfo, budget: Budget) -> list[str]:
    """Return what bounds the remembered prompts of a profile that does not do so itself."""
    if PROMPT_CACHE in profile.options:
        return []
    return [f"{o.flag}={budget.prompts}" for o in runtime.options if o.name == PROMPT_CACHE]


def bounded(profile: Profile, budget: Budget) -> Profile:
    """Return the profile with that bound among its options."""
    return msgspec.structs.replace(
        profile, options={PROMPT_CACHE: str(budget.prompts), **profile.options}
    )


def environment(budget: Budget) -> dict[str, str]:
    """Return what tells the runner its limits."""
    return {WIRED_LIMIT: str(budget.wired), CACHE_LIMIT: str(budget.cache)}


def _gb(size: int) -> str:
    return f"{size / _GIB:.1f} GB"
