"""Whether a model fits: what a probe costs, and how soon a tile that is opened has its verdict."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_kit import RunningEngine, running_engine, until
from hub import StandInHub, tiny_llama
from measure import Figure, middle, report
from test_fit import DEEPSEEK, GEMMA, LLAMA

from app.client.api import Api
from app.wire.hub import Verdict
from app.worker.hub.shapes import Shapes

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]

ROUNDS = 15
TILES = 12


def is_measured(shapes: Shapes, config: dict[str, Any]) -> bool:
    found, _ = shapes.look(config)
    return found is not None and found.is_measured


def test_warm_probe() -> None:
    shapes = Shapes()
    figures: list[Figure] = []
    try:
        until(lambda: is_measured(shapes, LLAMA))
        (helper,) = psutil.Process().children()
        for name, config in (("Llama 70B", LLAMA), ("Gemma 27B", GEMMA), ("DeepSeek V3", DEEPSEEK)):
            waits, costs = [], []
            for number in range(ROUNDS):
                # Another number each time: an answer that is known costs nothing.
                asked = {**config, "vocab_size": 100_000 + number}
                began, used = time.perf_counter(), sum(helper.cpu_times()[:2])
                assert is_measured(shapes, asked)
                waits.append(time.perf_counter() - began)
                costs.append(sum(helper.cpu_times()[:2]) - used)
            figures += [
                # The least: what other programs do to the caches makes no probe cheaper.
                Figure(f"CPU of a probe of {name}, least", min(costs), "s", 0.1),
                Figure(f"until the answer for {name}, middle", middle(waits), "s"),
            ]
    finally:
        shapes.close()
    report("fit probe, helper warm", figures, published=True)


@pytest.fixture
def engine(homes: Path) -> Iterator[RunningEngine]:
    """An engine at a hub with models that nobody has looked at; half of them unsupported."""
    with StandInHub() as hub:
        for number in range(1, 2 * TILES + 1):
            files = tiny_llama(hidden=256, layers=2 + number)
            if number % 2:
                files["config.json"]["model_type"] = f"llama{number}"
            hub.full_info(hub.add_model(f"mlx-community/Tile-{number}", files), blobs=True)
        env = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
        with running_engine(homes, env=env) as one:
            yield one


def is_warm(api: Api) -> bool:
    """Ask about the demo model, which is measured as soon as the helper runs."""
    if not any(model.id == "demo" for model in api.models()):
        return False
    shape = api.model_fit("demo").shape
    return shape is not None and shape.cache is not None and shape.cache.is_measured


def test_verdict_of_a_tile_that_is_opened(engine: RunningEngine) -> None:
    times: dict[Verdict, list[float]] = {Verdict.FITS: [], Verdict.UNSUPPORTED: []}
    with engine.api() as api:
        until(lambda: is_warm(api))
        for number in range(1, 2 * TILES + 1):
            began = time.perf_counter()
            model = api.hub_model(f"mlx-community/Tile-{number}").model
            took = time.perf_counter() - began
            assert model.fit is not None
            times[model.fit.verdict].append(took)
    assert [len(found) for found in times.values()] == [TILES, TILES]
    figures = [
        Figure(f"until a tile says “{verdict}”, {word}", at(found), "s", 0.3)
        for verdict, found in times.items()
        for word, at in (("middle", middle), ("slowest", max))
    ]
    report("verdict of a model on the hub, helper warm", figures, published=True)
