"""Tries the shape probe and the formula on every model module of the installed mlx-lm.

Each module gets a small config made up from the fields that its ModelArgs wants. A module that the
made-up config does not suit counts against the probe, so the number is a lower bound.
"""

import importlib
import inspect
import pkgutil
import time
from typing import Any

import mlx_lm.models
from probe_configs import EXTRA

from app.wire.fit import cache_bytes
from app.worker.hub import probe
from app.worker.hub.formula import cache_shape

CONTEXT = 8192
VALUES: dict[str, Any] = {
    "hidden_size": 256, "n_embd": 256, "d_model": 256, "dim": 256, "num_hidden_layers": 4,
    "n_layers": 4, "n_layer": 4, "num_layers": 4, "intermediate_size": 512, "ffn_hidden_size": 512,
    "moe_intermediate_size": 128, "num_attention_heads": 8, "n_heads": 8, "n_head": 8,
    "num_key_value_heads": 4, "num_kv_heads": 4, "head_dim": 32, "vocab_size": 512,
    "rms_norm_eps": 1e-5, "layer_norm_eps": 1e-5, "norm_eps": 1e-5, "layer_norm_epsilon": 1e-5,
    "rope_theta": 10000.0, "max_position_embeddings": 8192, "n_positions": 8192, "n_ctx": 8192,
    "tie_word_embeddings": False, "sliding_window": 1024, "num_experts": 4, "num_local_experts": 4,
    "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1,
    "topk_group": 1, "kv_lora_rank": 64, "q_lora_rank": 64, "qk_rope_head_dim": 32,
    "qk_nope_head_dim": 32, "v_head_dim": 32, "norm_topk_prob": True, "attention_bias": False,
}  # fmt: skip


def small_config(name: str) -> dict[str, Any]:
    """Return a config for a model module; fields that nobody knows get 4."""
    module = importlib.import_module(f"mlx_lm.models.{name}")
    config: dict[str, Any] = {"model_type": name}
    for field in inspect.signature(module.ModelArgs).parameters.values():
        if field.name == "model_type":
            continue
        if field.default is inspect.Parameter.empty or field.name in VALUES:
            config[field.name] = VALUES.get(field.name, _by_kind(field))
    return config | EXTRA.get(name, {})


def _by_kind(field: inspect.Parameter) -> Any:
    kind = str(field.annotation)
    if "bool" in kind:
        return False
    if "Dict" in kind or "dict" in kind:
        return {**VALUES, "model_type": "llama"}
    if "List" in kind or "list" in kind:
        return ["full_attention"] * 4
    if "float" in kind:
        return 1.0
    return "silu" if "str" in kind else 4


def main() -> None:
    """Print one line for each module and the sums."""
    works, agrees, differs, formulas = [], [], [], 0
    names = [m.name for m in pkgutil.iter_modules(mlx_lm.models.__path__)]
    models = []
    for name in names:
        try:
            config = small_config(name)
        except (AttributeError, SystemExit):
            continue  # a helper of other modules, or one that wants more packages
        models.append(name)
        formula = cache_shape(config)
        formulas += formula is not None
        began = time.perf_counter()
        try:
            shape = probe.shape_of(probe.measure(config))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one line for each module
            print(f"{name:<24} {type(error).__name__}: {str(error)[:90]}")
            continue
        took = time.perf_counter() - began
        if shape is None:
            continue
        works.append(took)
        measured = cache_bytes(shape, CONTEXT)
        if formula is not None:
            same = cache_bytes(formula, CONTEXT) == measured
            (agrees if same else differs).append(name)
            if not same:
                print(f"{name:<24} probe {measured}, formula {cache_bytes(formula, CONTEXT)}")
    print(f"{len(models)} models, probe works for {len(works)}, slowest {max(works):.2f} s")
    print(f"formula answers {formulas}: agrees {len(agrees)}, differs {len(differs)}: {differs}")


if __name__ == "__main__":
    main()
