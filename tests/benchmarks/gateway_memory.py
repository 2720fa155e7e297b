"""What a gateway adds to a process that has all else of an engine. Usage: gateway_memory.py PORT

Prints its port; at a line on standard input it prints the MiB added since before its import.
"""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import starlette.applications
import uvicorn
import uvloop
from measure import memory

import app.engine.bus
import app.engine.history
import app.gate

# What an engine has without a gateway, and what the gateway uses too.
HAD = (starlette.applications, uvicorn, app.engine.bus, app.engine.history, app.gate)


def held() -> float:
    found = memory(os.getpid())
    return found.get("uss", found["rss"])


async def main(port: int) -> None:
    before = held()
    # Imported here: its import is part of what is measured.
    import stream_ends

    print(await stream_ends.gateway(port), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(held() - before, flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
