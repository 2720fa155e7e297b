"""Runs mlx_lm.server so that the engine knows its state and nothing of it outlives its owner."""

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from types import FrameType

from app.runner import hooks, memory, output
from app.runner.events import EventPipe

UPSTREAM_TOKEN = "MLX_MANAGER_UPSTREAM_TOKEN"  # noqa: S105 - the variable's name
EXIT_FATAL = 70
_ID_FLAG = "--run-id="
"""Tells the engine that a process is its own; nothing to the server."""
_STATS_S = 1.0
_FORCED_EXIT_S = 8.0
"""A clean stop mid-generation was seen to take 0.5 s; this is for a prefill of a long prompt."""


def main(argv: list[str]) -> None:
    """Run `mlx_lm.server` with these arguments. Ends the process; never returns."""
    events = EventPipe.from_environment()
    token = os.environ.pop(UPSTREAM_TOKEN, "")
    counters = hooks.Counters()
    serving = threading.Event()
    output.outlive_the_disk()
    # What ends the process within MLX leaves the stack that led there, in the server's log.
    faulthandler.enable(2, all_threads=False)
    _end_with_owner()
    _end_cleanly_on_sigterm(serving)
    code = EXIT_FATAL
    stage = "import"
    try:
        events.send("importing", pid=os.getpid())
        # Seconds to import: only after the owner is watched and the first event is out.
        import mlx.core as mx
        import mlx_lm.server as server

        stage = "run"
        memory.bound_memory(mx, os.environ)
        hooks.install(server, events, counters, token)
        _report_stats(events, counters, mx)
        sys.argv = ["mlx_lm.server", *(x for x in argv if not x.startswith(_ID_FLAG))]
        serving.set()
        server.main()
        code = 0
    except KeyboardInterrupt:
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else EXIT_FATAL
        events.send("failed", stage=stage, error=f"mlx_lm.server refused its options ({code})")
    except BaseException as error:
        logging.getLogger("server").exception("the server ended")
        if stage == "run" and isinstance(error, OSError):
            stage = "bind"
        events.send("failed", stage=stage, error=f"{type(error).__name__}: {error}"[:1000])
    finally:
        logging.shutdown()
        # Native finalisers abort when a generation thread is alive, and a non-daemon thread would
        # keep a server that failed to bind, and its model, in memory for ever.
        os._exit(code)


def _end_with_owner() -> None:
    """End the whole process group when standard input, held by the guard, comes to its end."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        _signal_own_group(signal.SIGTERM)
        time.sleep(_FORCED_EXIT_S)
        _signal_own_group(signal.SIGKILL)

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()


def _signal_own_group(number: signal.Signals) -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, number)
    else:
        # Started by hand inside somebody else's group: end nobody but ourselves.
        os.kill(os.getpid(), number)


def _end_cleanly_on_sigterm(serving: threading.Event) -> None:
    def on_sigterm(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if not serving.is_set():
            os._exit(0)
        timer = threading.Timer(_FORCED_EXIT_S, os._exit, (0,))
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, on_sigterm)


def _report_stats(events: EventPipe, counters: hooks.Counters, mx: object) -> None:
    def report() -> None:
        while True:
            counters.changed.wait(_STATS_S)
            counters.changed.clear()
            events.send(
                "stats",
                prompt_tokens=counters.prompt_tokens,
                completion_tokens=counters.completion_tokens,
                requests_open=counters.requests_open,
                requests_total=counters.requests_total,
                pulses=counters.pulses,
                silent_s=counters.silent_s(),
                slow_gap_s=counters.slow_gap_s(),
                **hooks.memory_figures(mx),
            )
            # At most 20 reports a second, however short the requests are.
            time.sleep(0.05)

    threading.Thread(target=report, name="stats", daemon=True).start()
