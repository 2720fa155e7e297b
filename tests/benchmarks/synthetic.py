"""Made-up engines: a snapshot with many servers, and the samples of any tick."""

from math import sin

from app import paths
from app.wire import API_VERSION
from app.wire.events import MachineSample, Samples, Snapshot
from app.wire.metrics import METRICS
from app.wire.nouns import EngineInfo, Machine, Model, ModelSource, Profile, Server, ServerState

BEGIN = 1_795_444_000.0
_GIB = 2**30


def snapshot(count: int) -> Snapshot:
    """An engine with `count` ready servers on a machine with 512 GB."""
    engine = EngineInfo(
        version="0", api_version=API_VERSION, pid=1, url="http://127.0.0.1:8798",
        gateway_url="http://127.0.0.1:8799", gateway_note="", started_at=BEGIN,
        home=str(paths.home()), log="", key_required=False, open_bind=False,
        machine=Machine("Studio", "M9 Ultra", 512 * _GIB, 384 * _GIB, has_gpu=True), runtimes=(),
    )  # fmt: skip
    names = [f"server-{number:02}" for number in range(count)]
    models = [f"acme/Qwen9-{number}B-Instruct-4bit" for number in range(count)]
    return Snapshot(
        0,
        engine,
        tuple(Profile(n, n, m) for n, m in zip(names, models, strict=True)),
        tuple(
            Server(
                n, n, m, ServerState.READY, BEGIN, pid=100 + i, port=50_000 + i,
                started_at=BEGIN, ready_at=BEGIN,
            )
            for i, (n, m) in enumerate(zip(names, models, strict=True))
        ),
        tuple(
            Model(m, m.rpartition("/")[2], "acme", ModelSource.HUB, f"/hub/{m}", 4_000_000_000)
            for m in models
        ),
        (),
    )  # fmt: skip


def samples(count: int, tick: int) -> Samples:
    """Every figure of every server differs from the tick before."""
    values = {f"server-{number:02}": _values(number, tick) for number in range(count)}
    machine = MachineSample(512 * _GIB, (64 + tick % 32) * _GIB, 40 + 30 * sin(tick / 9))
    return Samples(tick + 1, BEGIN + 60 + tick, machine, values)


def _values(number: int, tick: int) -> dict[str, float | None]:
    wave = sin((tick + 7 * number) / 6)
    values: dict[str, float | None] = {
        "memory_bytes": (4 + wave) * _GIB,
        "mlx_active_bytes": (3 + wave) * _GIB,
        "mlx_cache_bytes": 123_456_789.0 + tick,
        "mlx_peak_bytes": 5 * _GIB,
        "cpu_percent": 60 + 50 * wave,
        "gpu_percent": 50 + 45 * wave,
        "tokens_per_s": 45 + 30 * wave,
        "prompt_tokens_per_s": 400 + 90 * wave,
        "tokens_total": 1000.0 * number + 45 * tick,
        "requests_open": float(1 + tick % 3),
        "requests_total": float(tick),
        "requests_queued": float(tick % 4 // 3),
        "requests_waiting": float(tick % 2),
        "prompt_read_percent": 40.0 + tick % 50 if tick % 2 else None,
        "requests_failed": float(tick // 100),
        "ttft_p50_s": 0.4 + 0.1 * wave,
        "ttft_p95_s": 1.4 + 0.3 * wave,
        "latency_p50_s": 4.0 + wave,
        "latency_p95_s": 14.0 + 3 * wave,
    }
    assert values.keys() == {metric.name for metric in METRICS}
    return values
