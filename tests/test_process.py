"""The engine's hold on its child processes."""

import asyncio
from pathlib import Path

import psutil
import pytest
from gateway_kit import until
from patience import DEADLINE_S

from app.engine.process import Child


def test_close_that_is_cancelled_kills_a_child_that_hangs(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = await Child.spawn("guard", stderr=tmp_path / "log")
        process = psutil.Process(child.pid)
        process.suspend()
        closing = asyncio.create_task(child.close(deadline_s=600))
        # One turn of the loop, so that it is waiting when the cancellation comes.
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        # Looked at, not waited for: asyncio is the one who collects its child.
        await until(lambda: not psutil.pid_exists(child.pid))
        await child.close(deadline_s=DEADLINE_S)

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_S * 2))
