"""Work of the engine that goes on for ever, whatever error one of its turns meets."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

_log = logging.getLogger("engine")
_PAUSE_S: Final = 5.0
"""An error that comes back fills no log and burns no processor."""


async def keep_going(
    work: Callable[[], Awaitable[None]], name: str, *, pause_s: float = _PAUSE_S
) -> None:
    """Do endless work; after an error in the program begin it again, `pause_s` seconds later.

    Without it one unforeseen reading would end all measurements until the engine is started anew.
    """
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - boundary of a task
            _log.exception("the task %s failed and begins again", name)
            await asyncio.sleep(pause_s)
        else:
            return
