"""The end of a worker whose owner is gone, whatever the worker does at that moment."""

import os
import threading


def end_with_owner() -> None:
    """From now on end this process at once when standard input ends: its owner has hung up."""
    threading.Thread(target=_wait, name="owner", daemon=True).start()


def _wait() -> None:
    while os.read(0, 4096):
        pass
    # Not sys.exit: the main thread may hash for minutes, or wait for a disk that has gone.
    os._exit(0)
