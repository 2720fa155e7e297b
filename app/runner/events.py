"""The event pipe of the runner: JSON lines for the engine, written by any thread."""

import json
import os
import threading
from typing import Any

EVENTS_FD = "MLX_MANAGER_EVENTS_FD"


class EventPipe:
    """Writes one JSON object a line; silent where there is no pipe or nobody reads it."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        if descriptor is not None:
            # Children of the server must not hold the pipe open: its end tells that all is gone.
            os.set_inheritable(descriptor, False)

    @classmethod
    def from_environment(cls) -> "EventPipe":
        """Return the pipe that the guard passed down."""
        text = os.environ.pop(EVENTS_FD, "")
        return cls(int(text) if text.isdigit() else None)

    def send(self, event: str, **values: Any) -> None:
        """Write one event. The guard writes only before the first and after the last of them."""
        if self._descriptor is None:
            return
        line = json.dumps({"event": event, **values}).encode() + b"\n"
        with self._lock:
            try:
                os.write(self._descriptor, line)
            except BrokenPipeError:
                self._descriptor = None
