"""Asks for shapes: of a helper process that runs mlx-lm's own classes, else of a formula."""

import contextlib
import logging
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from app import paths
from app.wire.reading import read_json
from app.wire.shape import CacheShape
from app.worker.files import Table
from app.worker.hub import probe
from app.worker.hub.formula import cache_shape

_log = logging.getLogger("hub")
_START_S = 60.0
"""The import of mlx-lm took 3 s alone and 25 s on a busy machine."""
_ANSWER_S = 10.0
_PATIENCE_S = 8.0
"""What an answer waits for the helper to start when no formula is there. A search waits 12 s."""
_SECRETS = ("MLX_MANAGER_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class Shapes:
    """One helper process, started with the first question, for questions from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = threading.Event()
        self._starting: threading.Thread | None = None
        self._known: dict[bytes, Table] = {}

    def look(
        self, config: Table, *, patience_s: float = _PATIENCE_S
    ) -> tuple[CacheShape | None, int | None]:
        """Return the shape of the cache and the exact parameters, as far as they can be told.

        A formula answers at once while the helper starts; where there is none, this waits.
        """
        formula = cache_shape(config)
        answer = self._answer(config, patience_s=0.0 if formula else patience_s)
        measured = probe.shape_of(answer)
        parameters = answer.get("parameters")
        exact = parameters if isinstance(parameters, int) and parameters > 0 else None
        return measured or formula, exact

    def close(self) -> None:
        """End the helper."""
        process, self._process = self._process, None
        starting, self._starting = self._starting, None
        if process is not None:
            process.kill()
            # It reads until the pipe ends, which must not be closed under it.
            if starting is not None:
                starting.join(_ANSWER_S)
            _end(process)

    def _answer(self, config: Table, *, patience_s: float) -> dict[str, Any]:
        try:
            line = msgspec.json.encode(config)
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            return {}
        with self._lock:
            if (known := self._known.get(line)) is not None:
                return known
            if self._process is None or self._process.poll() is not None:
                self._start()
        if not self._is_ready.wait(patience_s):
            return {}
        with self._lock:
            answer = self._ask(line)
            if answer and len(self._known) < 500:
                self._known[line] = answer
        if "error" in answer:
            _log.debug("the shape of a %s was not told: %s", config.get("model_type"), answer)
        return answer

    def _start(self) -> None:
        self._is_ready.clear()
        environment: Mapping[str, str] = {k: v for k, v in os.environ.items() if k not in _SECRETS}
        try:
            self._process = process = subprocess.Popen(
                [*paths.program("worker"), "probe"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=paths.program_root(),
                env={**environment, "HF_HUB_OFFLINE": "1"},
            )
        except OSError as error:
            _log.warning("the probe cannot be started: %s", error)
            return
        self._starting = threading.Thread(
            target=self._await_ready, args=(process,), name="probe start", daemon=True
        )
        self._starting.start()

    def _await_ready(self, process: "subprocess.Popen[bytes]") -> None:
        # ValueError: the helper was ended before it was ready.
        with contextlib.suppress(OSError, ValueError):
            if _line(process, _START_S):
                self._is_ready.set()

    def _ask(self, line: bytes) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None:
            return {}
        try:
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            answer = _line(process, _ANSWER_S)
            if answer:
                return read_json(answer, dict[str, Any])
        except (OSError, ValueError, msgspec.DecodeError) as error:
            _log.info("the probe gave no answer: %s", error)
        # Out of time, out of memory, or out of step with its answers: the next one starts clean.
        self._is_ready.clear()
        _end(process)
        return {"error": "no answer"}


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _line(process: "subprocess.Popen[bytes]", timeout_s: float) -> bytes:
    """Return the next line of a process, which is killed when it takes too long."""
    out = process.stdout
    if out is None:
        return b""
    end = time.monotonic() + timeout_s
    watch = threading.Timer(end - time.monotonic(), process.kill)
    watch.daemon = True
    watch.start()
    try:
        return out.readline(1 << 20)
    finally:
        watch.cancel()
