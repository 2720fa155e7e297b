"""A scan of 500 models measured in turn with the hub library's own, and a look for changes."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir
from measure import Figure, environment, middle, report
from model_kit import make_hub_repo, model_files, safetensors

from app import paths
from app.engine.library.watch import Watch
from app.worker.scan import scan

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]

MODELS = 500
ROUNDS = 7
LOOKS = 50
TENSORS = 300
"""As of a 4-bit model of 1 billion parameters."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache of 500 models with 20 files each."""
    place = tmp_path_factory.mktemp("cache")
    parts = {"weight": "U32", "scales": "F16", "biases": "F16"}
    names = [f"model.layers.{n // 7}.proj{n % 7}" for n in range(TENSORS // 3)]
    tensors = {f"{n}.{part}": (kind, (1, 8)) for n in names for part, kind in parts.items()}
    files = model_files(quantization={"bits": 4, "group_size": 64})
    files["model.safetensors"] = safetensors(tensors)
    for number in range(MODELS):
        extra = {f"extra{n}.txt": f"{number} {n}".encode() for n in range(16)}
        make_hub_repo(place, f"mlx-community/Model-{number}-4bit", files | extra)
    return place


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def test_scan_of_500_models(cache: Path, home: Path) -> None:
    memory = home / "models.json"
    watch = Watch()
    first = seconds(lambda: scan(cache, memory=memory))
    assert len(scan(cache, memory=memory).models) == MODELS
    found: dict[str, list[float]] = {"library": [], "app": [], "worker": []}
    command = [*paths.program("worker"), "scan", "--cache", str(cache), "--memory", str(memory)]
    for _ in range(ROUNDS):
        found["library"].append(seconds(lambda: scan_cache_dir(cache)))
        found["app"].append(seconds(lambda: scan(cache, memory=memory)))
        found["worker"].append(
            seconds(
                lambda: subprocess.run(
                    command, check=True, capture_output=True, env=environment(home),
                    cwd=paths.program_root(),
                )
            )
        )  # fmt: skip
    looks = [seconds(lambda: watch.look(str(cache), [])) for _ in range(LOOKS)]
    times = [theirs / own for own, theirs in zip(found["app"], found["library"], strict=True)]
    figures = [
        Figure("hub library's scan_cache_dir", middle(found["library"]) * 1000, "ms"),
        Figure("app, models read for the first time", first * 1000, "ms"),
        # The fastest where time is bound: other programs make nothing faster.
        Figure("app, models known, fastest", min(found["app"]) * 1000, "ms", 200),
        Figure("app, part of the library's time", 1 / middle(times), "", 1 / 7),
        Figure("app, with the start of the worker", middle(found["worker"]) * 1000, "ms"),
        Figure("look whether anything has changed, fastest", min(looks) * 1000, "ms", 10),
    ]
    report("scan of 500 models, 20 files each", figures, published=True)
