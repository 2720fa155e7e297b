"""A real engine with made-up servers whose gateway leads to one upstream.

Usage: busy_engine.py PORT. Prints its addresses. At a line on standard input it works for SECONDS
as in its worst moments, if the line says "busy", or rests for so long, and prints the CPU time of
the longest turn of its loop and how often it has scanned. It ends with standard input.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import synthetic
import uvloop
from gateway_kit import FakeDirectory

from app.engine.engine import Engine, EngineOptions
from app.engine.settings import EngineSettings

SECONDS = 6.0
SERVERS = 50
PER_SECOND = 4
_longest_s = 0.0


def _measure_turns() -> None:
    """Note the longest turn; in CPU time, so that other programs have no part in it.

    The loop is compiled, so this looks each millisecond; what is between two looks counts as one.
    """
    loop = asyncio.get_running_loop()

    def look(before_s: float) -> None:
        global _longest_s
        now_s = time.thread_time()
        _longest_s = max(_longest_s, now_s - before_s)
        loop.call_later(0.001, look, now_s)

    look(time.thread_time())


def _say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def _scan(engine: Engine, done: list[float]) -> None:
    while True:
        # Not known yet, as at the first start: each model is an event for every reader.
        engine._bus.models.clear()
        await engine._scan()
        done.append(time.monotonic())


async def _figures(engine: Engine) -> None:
    for tick in range(10**9):
        sample = synthetic.samples(SERVERS, tick)
        engine._bus.sample(sample.machine, sample.values)
        engine._history.put_samples(time.time(), sample.values)
        if tick % PER_SECOND == 0:
            # Ten times as often as usual.
            await engine._history._write()
        await asyncio.sleep(1 / PER_SECOND)


async def _work(engine: Engine, *, is_busy: bool) -> None:
    global _longest_s
    scans: list[float] = []
    work = (_scan(engine, scans), _figures(engine)) if is_busy else ()
    tasks = [asyncio.create_task(one) for one in work]
    await asyncio.sleep(0)
    _longest_s = 0.0
    await asyncio.sleep(SECONDS)
    longest_s = _longest_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    _say(longest_ms=longest_s * 1000, scans=len(scans), models=len(engine._bus.models))


async def main(port: int) -> None:
    engine = Engine(EngineOptions(owned=True, port=0, gateway_port=0, key=None), EngineSettings({}))
    await engine.open()
    directory = FakeDirectory()
    directory.add("coding", port)
    engine._gateway._shared.directory = directory
    for server in synthetic.snapshot(SERVERS).servers:
        engine._bus.put(server)
    _measure_turns()
    _say(url=engine.info.url, gateway=engine.info.gateway_url)
    while line := await asyncio.to_thread(sys.stdin.readline):
        await _work(engine, is_busy=line.strip() == "busy")
    await engine.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
