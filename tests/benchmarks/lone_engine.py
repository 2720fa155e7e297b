"""A real engine with made-up servers. Usage: lone_engine.py SERVERS EVENTS PER_SECOND

Prints its address. At a line on standard input it publishes EVENTS samples and prints the CPU
seconds that this took; it ends with standard input.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import synthetic
import uvloop

from app.engine.engine import Engine, EngineOptions
from app.engine.settings import EngineSettings


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def _publish(engine: Engine, servers: int, events: int, per_second: int) -> float:
    loop = asyncio.get_running_loop()
    begin, due = time.process_time(), loop.time()
    for number in range(events):
        sample = synthetic.samples(servers, number)
        engine._bus.sample(sample.machine, sample.values)
        due += 1 / per_second
        await asyncio.sleep(max(0.0, due - loop.time()))
    return time.process_time() - begin


async def main(servers: int, events: int, per_second: int) -> None:
    engine = Engine(EngineOptions(owned=True, port=0, gateway_port=0, key=None), EngineSettings({}))
    await engine.open()
    for server in synthetic.snapshot(servers).servers:
        engine._bus.put(server)
    _say({"url": engine.info.url})
    # What making the samples costs is no part of the engine.
    begin = time.process_time()
    for number in range(events):
        synthetic.samples(servers, number)
    making = time.process_time() - begin
    while await asyncio.to_thread(sys.stdin.readline):
        used = await _publish(engine, servers, events, per_second)
        _say({"cpu_s": used - making})
    await engine.close()


if __name__ == "__main__":
    uvloop.run(main(*(int(word) for word in sys.argv[1:])))
