"""Short work on the models' files in a worker process that prints one answer."""

import asyncio
import logging

from app import paths
from app.engine.process import child_environment

_log = logging.getLogger("download")
_DEADLINE_S = 100.0
"""A slow external disk takes its time to delete many gigabytes."""


class ErrandError(Exception):
    """The work was not done; the text is the reason as an end of a sentence."""


async def run_errand(*words: str) -> bytes:
    """Run the worker and return what it printed. Raises ErrandError."""
    process = await asyncio.create_subprocess_exec(
        *paths.program("worker"), *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, cwd=paths.program_root(),
        env=child_environment({"HF_HUB_OFFLINE": "1"}),
    )  # fmt: skip
    try:
        async with asyncio.timeout(_DEADLINE_S):
            output, errors = await process.communicate()
    except TimeoutError:
        raise ErrandError("it takes too long") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        text = errors[-4000:].decode(errors="replace").strip()
        _log.error("worker %s failed: %s", words[0], text)
        raise ErrandError(text.splitlines()[-1] if text else "the worker ended")
    return output
