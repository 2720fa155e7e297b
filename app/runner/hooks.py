"""What the runner adds to mlx_lm.server: readiness, token counts, an end when generation dies.

Names and call order as in mlx_lm/server.py 0.32.2. Each hook replaces one attribute of that module;
`tests/test_runner.py` fails when one of them is gone.
"""

import hmac
import http.server
import logging
import os
import sys
import threading
import time
from collections import deque
from types import ModuleType
from typing import Any

from app.runner.events import EventPipe

_log = logging.getLogger("server")
EXIT_GENERATION_DIED = 71
_GAPS = 1000
_FEWEST_GAPS = 100
"""With fewer, the percentile is the longest gap, and one hang would hide the next."""
_PROGRESS_SIZE = 2
"""A step of a prompt is told as a pair: tokens read, tokens in all."""
PROBE_HEADER = "X-Upstream-Probe"
BACKLOG = 128
"""http.server's own backlog of 5 makes the sixth client of a burst wait a second or be refused."""
_MAX_CONTEXT = 2**31 - 1
"""An array has no more tokens."""
TOKEN_HEADER = "X-Upstream-Token"  # noqa: S105 - the header's name, not a secret


class Counters:
    """Token and request counts since the start; each has one kind of writer thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.requests_open = 0
        self.requests_total = 0
        self.pulses = 0
        self.changed = threading.Event()
        self.probing = threading.local()
        """Has a true `is_probe` in a thread that answers the engine's own probe."""
        self._pulsed_at = time.monotonic()
        self._gaps: deque[float] = deque(maxlen=_GAPS)

    def add_request(self) -> None:
        """Count a request that is being answered from now on."""
        with self._lock:
            if self.requests_open == 0:
                # The silence between two requests is none.
                self._pulsed_at = time.monotonic()
            self.requests_open += 1
            self.requests_total += 1
        self.changed.set()

    def pulse(self) -> None:
        """Take notice that the generation thread has done something."""
        now = time.monotonic()
        if self.requests_open:
            self._gaps.append(now - self._pulsed_at)
        self._pulsed_at = now
        self.pulses += 1

    def silent_s(self) -> float:
        """Return for how long requests have been open without a pulse; 0 when none is open."""
        return time.monotonic() - self._pulsed_at if self.requests_open else 0.0

    def slow_gap_s(self) -> float:
        """Return the 99th percentile of the last gaps between pulses, 0 while there are few."""
        gaps = sorted(self._gaps.copy())
        return gaps[len(gaps) * 99 // 100 - 1] if len(gaps) >= _FEWEST_GAPS else 0.0

    def end_request(self) -> None:
        """Count a request as answered or given up."""
        with self._lock:
            self.requests_open -= 1
        self.changed.set()


def install(server: Any, events: EventPipe, counters: Counters, token: str) -> None:
    """Put all hooks into the imported module `mlx_lm.server`."""
    http.server.ThreadingHTTPServer.request_queue_size = BACKLOG
    _report_listening(events)
    _report_loading(server, events)
    _count_tokens(server, counters)
    _count_requests(server, counters)
    _quiet_probes(server, counters)
    _quiet_hang_ups()
    _bound_sampling(server)
    if token:
        _require_token(server, token)


def _report_listening(events: EventPipe) -> None:
    plain = http.server.ThreadingHTTPServer.server_activate

    def server_activate(self: http.server.ThreadingHTTPServer) -> None:
        plain(self)
        events.send("listening", port=self.server_address[1])

    http.server.ThreadingHTTPServer.server_activate = server_activate


def _report_loading(server: Any, events: EventPipe) -> None:
    load_default = server.ModelProvider.load_default
    generator = server.ResponseGenerator
    # The thread's target; before 0.32 it was _generate, whose errors nobody caught.
    target = "_run_generate" if hasattr(generator, "_run_generate") else "_generate"
    run_generate = getattr(generator, target)
    loaded = threading.Event()
    problem: list[str] = []

    def reporting_load(self: Any) -> None:
        events.send("loading", model=str(self.cli_args.model))
        begin = time.monotonic()
        try:
            load_default(self)
        except Exception as error:
            problem.append(_describe(error))
            raise
        loaded.set()
        seconds = time.monotonic() - begin
        events.send("loaded", seconds=seconds, gpu_limit_bytes=gpu_limit_bytes())

    def reporting_run(self: Any) -> None:
        has_failed = False
        try:
            run_generate(self)
        except Exception as error:  # noqa: BLE001 - server task
            has_failed = True
            problem.append(_describe(error))
            _log.exception("generation ended")
        if has_failed or getattr(self, "_generation_failed", False):
            stage = "generate" if loaded.is_set() else "load"
            events.send("failed", stage=stage, error=(problem or ["see the log"])[0][:1000])
            logging.shutdown()
            # Without its generation thread the server would answer 503 for ever.
            os._exit(EXIT_GENERATION_DIED)

    server.ModelProvider.load_default = reporting_load
    setattr(generator, target, reporting_run)


def _count_tokens(server: Any, counters: Counters) -> None:
    """Count what the generation thread puts on the queue of each request.

    Both of its paths, batched and single, put one GenerationContext when the prompt is known and
    one Response for each token, tool calls included, which no stream shows.
    """

    class CountingQueue(server.Queue):
        def __init__(self, maxsize: int = 0) -> None:
            super().__init__(maxsize)  # pyright: ignore[reportUnknownMemberType]
            # Made in the thread that answers the request.
            self._counts = not getattr(counters.probing, "is_probe", False)

        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            if isinstance(item, server.Response):
                counters.pulse()
                counters.completion_tokens += self._counts
            elif isinstance(item, server.GenerationContext):
                counters.pulse()
                counters.prompt_tokens += len(item.prompt) if self._counts else 0
            elif isinstance(item, tuple) and len(item) == _PROGRESS_SIZE:  # pyright: ignore[reportUnknownArgumentType]
                counters.pulse()
            super().put(item, block, timeout)  # pyright: ignore[reportUnknownMemberType]

    server.Queue = CountingQueue


def _count_requests(server: Any, counters: Counters) -> None:
    plain = server.APIHandler.handle_completion

    def handle_completion(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.headers.get(PROBE_HEADER):
            counters.probing.is_probe = True
            plain(self, *args, **kwargs)
            return
        counters.add_request()
        try:
            plain(self, *args, **kwargs)
        finally:
            counters.end_request()

    server.APIHandler.handle_completion = handle_completion


def _quiet_probes(server: Any, counters: Counters) -> None:
    """Keep the engine's own questions out of the log: nobody has asked them."""
    plain = server.APIHandler.log_request

    def log_request(self: Any, *args: Any) -> None:
        if not getattr(counters.probing, "is_probe", False):
            plain(self, *args)

    server.APIHandler.log_request = log_request


def _quiet_hang_ups() -> None:
    def handle_error(self: Any, request: Any, client_address: Any) -> None:  # noqa: ARG001
        error = sys.exc_info()[1]
        if isinstance(error, BrokenPipeError | ConnectionResetError):
            _log.info("client %s hung up", client_address[0])
        else:
            _log.error("request from %s failed", client_address[0], exc_info=error)

    http.server.ThreadingHTTPServer.handle_error = handle_error


def _bound_sampling(server: Any) -> None:
    """Bound what only the model knows the bounds of: beyond them, generation ends for everybody."""
    import mlx_lm.sample_utils as target  # heavy; the server module has imported it before

    if not (hasattr(target, "apply_top_k") and hasattr(server, "make_logits_processors")):
        # Of a Python that the user chose; nothing is known of its bounds.
        return
    plain_top_k, plain_processors = target.apply_top_k, server.make_logits_processors

    def apply_top_k(logprobs: Any, top_k: int) -> Any:
        # From the vocabulary's size on it means all tokens.
        return plain_top_k(logprobs, int(top_k)) if top_k < logprobs.shape[-1] else logprobs

    def make_logits_processors(
        logit_bias: dict[int, float] | None = None, *penalties: Any
    ) -> list[Any]:
        # Penalties and their context sizes in turn.
        bounded = (min(p, _MAX_CONTEXT) if n % 2 and p else p for n, p in enumerate(penalties))
        processors = plain_processors(None, *bounded)
        return [_bias(logit_bias, plain_processors), *processors] if logit_bias else processors

    target.apply_top_k = apply_top_k
    server.make_logits_processors = make_logits_processors


def _bias(logit_bias: dict[int, float], plain_processors: Any) -> Any:
    # By the size of the vocabulary: that of a draft model may be another.
    made: dict[int, Any] = {}

    def process(tokens: Any, logits: Any) -> Any:
        size = logits.shape[-1]
        if size not in made:
            known = {token: value for token, value in logit_bias.items() if 0 <= token < size}
            made[size] = plain_processors(known)
        for processor in made[size]:
            logits = processor(tokens, logits)
        return logits

    return process


def _require_token(server: Any, token: str) -> None:
    """Answer nobody but the gateway: any web page can reach a loopback port."""
    plain = server.APIHandler.parse_request

    def parse_request(self: Any) -> bool:
        if not plain(self):
            return False
        given = self.headers.get(TOKEN_HEADER, "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, token.encode()):
            self.send_error(403)
            return False
        return True

    server.APIHandler.parse_request = parse_request


def gpu_limit_bytes() -> int | None:
    """Return how much memory Metal recommends for the GPU at most; None without Metal."""
    import mlx.core as mx  # heavy; the server module has imported it before

    if not mx.metal.is_available():
        return None
    return int(mx.device_info().get("max_recommended_working_set_size", 0)) or None


def memory_figures(mx: ModuleType | Any) -> dict[str, int]:
    """Return MLX's own memory figures in bytes."""
    return {
        "active_bytes": mx.get_active_memory(),
        "cache_bytes": mx.get_cache_memory(),
        "peak_bytes": mx.get_peak_memory(),
    }


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
