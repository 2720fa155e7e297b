"""Endless work of the engine: it begins again after an error, and ends when it is told to."""

import asyncio

import pytest
from patience import DEADLINE_S

from app.engine.endless import keep_going


@pytest.mark.expect_log("the task measure failed")
def test_work_that_fails_begins_again() -> None:
    turns: list[int] = []

    async def measure() -> None:
        turns.append(len(turns))
        if len(turns) < 3:
            raise ValueError("a reading that nobody has foreseen")

    async def scenario() -> None:
        await asyncio.wait_for(keep_going(measure, "measure", pause_s=0), DEADLINE_S)

    asyncio.run(scenario())
    assert turns == [0, 1, 2]


def test_work_that_is_cancelled_ends() -> None:
    async def scenario() -> None:
        began = asyncio.Event()

        async def measure() -> None:
            began.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(keep_going(measure, "measure"))
        await asyncio.wait_for(began.wait(), DEADLINE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, DEADLINE_S)

    asyncio.run(scenario())
