"""The table of metrics that a sample can carry for a server."""

from enum import StrEnum

import msgspec


class Unit(StrEnum):
    """What a metric's number means."""

    BYTES = "bytes"
    PERCENT = "percent"
    PER_SECOND = "per_second"
    COUNT = "count"
    SECONDS = "seconds"


class Metric(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: str
    unit: Unit
    label: str
    help: str
    is_counter: bool = False
    """True for what only grows while the server runs."""


METRICS: tuple[Metric, ...] = (
    Metric(
        "memory_bytes",
        Unit.BYTES,
        "Memory",
        "Memory of the server's process group: the footprint that Activity Monitor shows on macOS, "
        "the resident set size on Linux.",
    ),
    Metric(
        "mlx_active_bytes", Unit.BYTES, "MLX active", "Memory that MLX arrays hold in this server."
    ),
    Metric(
        "mlx_cache_bytes", Unit.BYTES, "MLX cache", "Freed buffers that MLX keeps for the next use."
    ),
    Metric(
        "mlx_peak_bytes", Unit.BYTES, "MLX peak", "The most that MLX arrays held since the start."
    ),
    Metric("cpu_percent", Unit.PERCENT, "CPU", "Processor time of the group; 100 % is one core."),
    Metric(
        "gpu_percent",
        Unit.PERCENT,
        "GPU",
        "This server's share of GPU time; absent where the system does not tell.",
    ),
    Metric(
        "tokens_per_s",
        Unit.PER_SECOND,
        "Tokens/s",
        "Generated tokens of all streams, averaged over the last 3 seconds.",
    ),
    Metric(
        "prompt_tokens_per_s",
        Unit.PER_SECOND,
        "Prompt tokens/s",
        "Prompt tokens read of all requests, averaged over the last 3 seconds.",
    ),
    Metric(
        "tokens_total",
        Unit.COUNT,
        "Total tokens",
        "Prompt and generated tokens since this start.",
        is_counter=True,
    ),
    Metric("requests_open", Unit.COUNT, "Open requests", "Requests that are being answered."),
    Metric("requests_total", Unit.COUNT, "Requests", "Requests since this start.", is_counter=True),
    Metric(
        "requests_queued",
        Unit.COUNT,
        "Queued requests",
        "Requests at the gateway that wait for the server's start or in its queue.",
    ),
    Metric(
        "requests_waiting",
        Unit.COUNT,
        "Waiting requests",
        "Requests whose prompt the server reads: they have no token yet.",
    ),
    Metric(
        "prompt_read_percent",
        Unit.PERCENT,
        "Prompt read",
        "How much is read of the prompts that the server reads now; absent while it reads none.",
    ),
    Metric(
        "requests_failed",
        Unit.COUNT,
        "Failed requests",
        "Requests at the gateway that ended with an error, since the engine's start.",
        is_counter=True,
    ),
    Metric(
        "ttft_p50_s",
        Unit.SECONDS,
        "First token",
        "Time to the first token of half of the last 200 requests.",
    ),
    Metric(
        "ttft_p95_s",
        Unit.SECONDS,
        "First token, slow",
        "Time to the first token of 95 % of the last 200 requests.",
    ),
    Metric(
        "latency_p50_s",
        Unit.SECONDS,
        "Whole answer",
        "Time to the end of the answer of half of the last 200 requests.",
    ),
    Metric(
        "latency_p95_s",
        Unit.SECONDS,
        "Whole answer, slow",
        "Time to the end of the answer of 95 % of the last 200 requests.",
    ),
)

METRIC_NAMES: frozenset[str] = frozenset(m.name for m in METRICS)
