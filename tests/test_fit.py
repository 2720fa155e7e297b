"""Whether a model fits: the arithmetic, the formula, and mlx-lm's own classes."""

import json
import subprocess
from typing import Any

import pytest
from engine_kit import DEADLINE_S
from hypothesis import given, settings
from hypothesis import strategies as st

from app import paths
from app.wire.fit import cache_bytes, fit, runtime_bytes
from app.wire.hub import Verdict
from app.wire.shape import CachePart, CacheShape, ModelShape
from app.worker.hub import probe
from app.worker.hub.formula import cache_shape
from app.worker.hub.shapes import Shapes

GIB = 2**30
LLAMA = {
    "model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80,
    "intermediate_size": 28672, "num_attention_heads": 64, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip
GEMMA = {
    "model_type": "gemma3_text", "hidden_size": 5376, "num_hidden_layers": 62,
    "intermediate_size": 21504, "num_attention_heads": 32, "num_key_value_heads": 16,
    "head_dim": 128, "rms_norm_eps": 1e-6, "vocab_size": 262144, "sliding_window": 1024,
    "sliding_window_pattern": 6,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "kv_lora_rank": 512, "qk_rope_head_dim": 64,
    "num_hidden_layers": 61, "n_routed_experts": 256, "n_shared_experts": 1, "hidden_size": 7168,
    "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4,
}  # fmt: skip
KNOWN = [
    (LLAMA, 2.68, 42.95, 70_553_706_496),
    (GEMMA, 1.11, 11.17, 28_418_288_384),
    (DEEPSEEK, 0.58, 9.21, None),
]
"""A config, the gigabytes (10^9) of its cache at 8k and at 128k, and its parameters."""


def shape(weights: float, each: int = 2**18, context: int | None = 131_072) -> ModelShape:
    return ModelShape(int(weights * GIB), CacheShape((CachePart(each),)), context)


def test_fit_shows_an_arithmetic_that_adds_up() -> None:
    found = fit(shape(17.2), limit_bytes=36 * GIB, others_bytes=int(9.1 * GIB))
    assert found.sentence == (
        "weights 17.2 + cache at 32k 8.0 + runtime 1.5 + running servers 9.1 = 35.8 of 36.0 GB"
    )
    assert found.verdict is Verdict.TIGHT
    assert found.context == 32_768


@pytest.mark.parametrize(
    ("weights", "verdict"),
    [(1, Verdict.FITS), (20, Verdict.FITS), (22, Verdict.TIGHT), (40, Verdict.TOO_BIG)],
)
def test_fit_is_tight_above_80_percent_and_too_big_above_all(
    weights: float, verdict: Verdict
) -> None:
    assert fit(shape(weights, each=2**13), limit_bytes=28 * GIB, others_bytes=0).verdict is verdict


def test_fit_says_when_only_running_servers_are_in_the_way() -> None:
    found = fit(shape(17), limit_bytes=36 * GIB, others_bytes=20 * GIB)
    assert found.verdict is Verdict.TOO_BIG
    assert found.sentence.endswith("of 36.0 GB; without the running servers it fits")


def test_fit_without_cache_shape_is_unknown_unless_weights_alone_are_too_big() -> None:
    bare = ModelShape(4 * GIB)
    assert fit(bare, limit_bytes=8 * GIB, others_bytes=0).verdict is Verdict.UNKNOWN
    assert fit(bare, limit_bytes=4 * GIB, others_bytes=0).verdict is Verdict.TOO_BIG
    assert fit(None, limit_bytes=4 * GIB, others_bytes=0).verdict is Verdict.UNKNOWN


def test_fit_of_unsupported_model_gives_the_reason() -> None:
    found = fit(shape(1), limit_bytes=GIB, others_bytes=0, supported=False, reason="No.")
    assert (found.verdict, found.sentence) == (Verdict.UNSUPPORTED, "No.")


def test_fit_of_a_short_model_counts_its_own_context() -> None:
    assert fit(shape(1, context=4096), limit_bytes=GIB, others_bytes=0).context == 4096


@given(
    st.integers(1, 2**42), st.integers(1, 2**24), st.integers(0, 2**40), st.integers(1, 2**41),
    st.integers(1, 10_000_000), st.none() | st.integers(1, 100_000),
)  # fmt: skip
def test_fit_largest_context_is_the_border(
    weights: int, each: int, others: int, limit: int, context: int, window: int | None
) -> None:
    model = ModelShape(weights, CacheShape((CachePart(each, window), CachePart(64))), 1_048_576)
    options = {"limit_bytes": limit, "others_bytes": others}
    found = fit(model, **options, context=context)
    assert found.runtime_bytes == runtime_bytes(weights)
    largest = found.largest_context
    if largest is None:
        assert fit(model, **options, context=256).verdict is Verdict.TOO_BIG
        return
    assert fit(model, **options, context=largest).verdict is not Verdict.TOO_BIG
    if largest < 1_048_576:
        assert fit(model, **options, context=largest + 256).verdict is Verdict.TOO_BIG


@pytest.mark.parametrize(("config", "short", "long", "_"), KNOWN)
def test_formula_gives_the_known_caches(
    config: dict[str, Any], short: float, long: float, _: object
) -> None:
    found = cache_shape(config)
    assert found is not None
    for context, wanted in ((8192, short), (131_072, long)):
        assert cache_bytes(found, context) / 1e9 == pytest.approx(wanted, abs=0.005)


@pytest.mark.parametrize("key", ["mamba_d_conv", "linear_num_value_heads", "kv_lora_rank"])
def test_formula_of_other_layers_is_unknown(key: str) -> None:
    assert cache_shape({**LLAMA, key: 4}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"attn_config": {"kv_n_heads": 8}},
        {"block_types": ["recurrent", "recurrent", "attention"]},
        {"_block_types": ["recurrent", "attention"]},
        {"sliding_window": 4096, "sliding_window_pattern": "LLLG"},
        {"model_type": "gemma3_text"},
    ],
)
def test_formula_of_layers_that_only_the_classes_know_is_unknown(changes: dict[str, Any]) -> None:
    assert cache_shape({**LLAMA, **changes}) is None


def test_formula_of_family_that_is_unlike_its_config_is_unknown() -> None:
    assert cache_shape({**LLAMA, "model_type": "gpt_oss"}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GEMMA, "text_config", "layer_types", "dtype"]), JSON))
@settings(max_examples=100)
def test_formula_takes_any_config(config: dict[str, Any]) -> None:
    cache_shape(config)


@pytest.fixture(scope="module")
def answers() -> list[dict[str, Any]]:
    """What a real helper process says of the known configs, of a bad one, and of one once more."""
    bad = [
        {"model_type": "no_such"},
        {**LLAMA, "num_hidden_layers": 10**9},
        {**LLAMA, "hidden_size": "x"},
    ]
    configs = [*(row[0] for row in KNOWN), *bad, LLAMA]
    done = subprocess.run(
        [*paths.program("worker"), "probe"],
        input="".join(json.dumps(config) + "\n" for config in configs),
        cwd=paths.program_root(), capture_output=True, text=True, timeout=DEADLINE_S * 2,
        check=True,
    )  # fmt: skip
    first, *rest = done.stdout.splitlines()
    assert json.loads(first) == {"ready": True}
    return [json.loads(line) for line in rest]


@pytest.mark.parametrize("number", range(len(KNOWN)))
def test_probe_agrees_with_the_formula(answers: list[dict[str, Any]], number: int) -> None:
    config, _, _, parameters = KNOWN[number]
    measured = probe.shape_of(answers[number])
    formula = cache_shape(config)
    assert measured is not None
    assert formula is not None
    assert measured.is_measured
    for context in (1, 256, 8192, 131_072):
        assert cache_bytes(measured, context) == cache_bytes(formula, context)
    if parameters is not None:
        assert answers[number]["parameters"] == parameters


def test_probe_goes_on_after_configs_that_do_not_work(answers: list[dict[str, Any]]) -> None:
    assert "not supported" in answers[3]["error"]
    assert "num_hidden_layers is 1000000000" in answers[4]["error"]
    assert "error" in answers[5]
    assert answers[6] == answers[0]


def test_shapes_use_the_formula_while_the_helper_starts() -> None:
    shapes = Shapes()
    try:
        found, parameters = shapes.look(LLAMA)
        assert found is not None
        assert (found.is_measured, parameters) == (False, None)
    finally:
        shapes.close()
