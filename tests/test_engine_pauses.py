"""The engine's loop is not held up by Python itself."""

import subprocess
import sys
from pathlib import Path

from engine_kit import DEADLINE_S, environment

from app import paths

# In a process of its own: what it does to its objects holds for all that live in it.
ENGINE = """
import asyncio, gc
from app.engine.engine import Engine, EngineOptions
from app.engine.settings import EngineSettings

async def main():
    options = EngineOptions(owned=True, port=0, gateway_port=0, key=None)
    engine = Engine(options, EngineSettings({}))
    await engine.open()
    print(len(gc.get_objects()))
    await engine.close()

asyncio.run(main())
"""
# A collection looks at each of them; 40,000 took 12 ms, in which no event was relayed.
FEW = 4000


def test_collection_of_garbage_passes_by_what_stays_for_ever(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENGINE],
        env=environment(home), cwd=paths.program_root(), capture_output=True, text=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < FEW
