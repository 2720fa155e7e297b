"""Shows that a stopped server gave its memory and its port back."""

import asyncio
from collections.abc import Callable

from app.engine.listen import is_free

_PORT_S = 3.0
_MEMORY_S = 5.0
_LOOK_S = 0.25
_ENOUGH = 0.9
"""Other programs use memory too: this share of what was held counts as all."""
WORTH_WATCHING_BYTES = 512 * 2**20
"""Below this, what other programs do hides what came back."""


async def port_is_free(port: int) -> bool:
    """Wait until nothing listens on a loopback port any more; return False after 3 s."""
    deadline = asyncio.get_running_loop().time() + _PORT_S
    while not is_free(port):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_LOOK_S)
    return True


def while_ending(held: int, gone: int, less_used: int) -> int:
    """Return how many of `held` bytes are back while the process ends.

    `gone` is what the process has no more, `less_used` what the machine uses less. The process
    loses its memory in any case; only the machine's figure shows that others can have it.
    """
    if held < WORTH_WATCHING_BYTES:
        return _bounded(held, gone)
    return _bounded(held, min(gone, less_used))


def _bounded(held: int, back: int) -> int:
    """Return `back` within 0 and `held`; other programs use memory too."""
    return max(0, min(held, back))


async def memory_released(
    held: int, used_before: int, used_now: Callable[[], int], tell: Callable[[int], None]
) -> int:
    """Wait until the machine's used memory has fallen by what was held; return how much came back.

    All in bytes. `used_now` may block a few milliseconds and is called in a thread. Tells each
    new figure; gives up after 5 s.
    """
    if held < WORTH_WATCHING_BYTES:
        tell(held)
        return held
    deadline = asyncio.get_running_loop().time() + _MEMORY_S
    released = 0
    while True:
        used = await asyncio.to_thread(used_now)
        released = max(released, _bounded(held, used_before - used))
        tell(released)
        if released >= _ENOUGH * held or asyncio.get_running_loop().time() > deadline:
            return released
        await asyncio.sleep(_LOOK_S)
