"""Builds a model of mlx-lm from its config without its weights, and looks at its cache.

MLX is lazy: arrays that nobody evaluates have a shape and take no memory. This runs in a process
of its own with limits on time and memory, because a config from the hub may say anything.
"""

import contextlib
import importlib
import json
import os
import resource
import sys
from typing import Any

from app.wire.shape import CachePart, CacheShape
from app.worker.files import Table, table

CPU_S = 10
"""Seconds of processor time for one config; Llama 70B takes less than 0.1 s."""
_MEMORY_BYTES = 8 << 30
"""Address space, mostly libraries and stacks that are never touched."""
_MAX_LAYERS = 2_000


def serve() -> None:
    """Answer a config in each line of standard input with a line, until standard input ends."""
    # Whatever the libraries print must not look like an answer.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # Three seconds that the first config need not wait for.
    importlib.import_module("mlx_lm.utils")
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    out.write(b'{"ready":true}\n')
    out.flush()
    for line in sys.stdin.buffer:
        _allow_time()
        try:
            answer = measure(json.loads(line))
        except BaseException as error:  # noqa: BLE001 - process entry; foreign code meets any config
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


def measure(config: dict[str, Any]) -> dict[str, Any]:
    """Return parts and fixed bytes of the cache, and the parameters. Raises anything."""
    # By name: the types of these are not known, and the engine must not load them.
    mx: Any = importlib.import_module("mlx.core")
    flatten: Any = importlib.import_module("mlx.utils").tree_flatten
    caches: Any = importlib.import_module("mlx_lm.models.cache")
    utils: Any = importlib.import_module("mlx_lm.utils")
    places = [config, table(config.get("text_config"))]
    for place in places:
        for name in ("num_hidden_layers", "n_layers", "n_layer", "num_layers"):
            layers = place.get(name)
            if isinstance(layers, int) and layers > _MAX_LAYERS:
                raise ValueError(f"{name} is {layers}")
    model_class, arguments_class = utils._get_classes(config)  # noqa: SLF001 - as its own loader
    model = model_class(arguments_class.from_dict(config))
    parameters = sum(int(value.size) for _, value in flatten(model.parameters()))
    dtype = {"float32": mx.float32, "float16": mx.float16}.get(_dtype(places), mx.bfloat16)
    model.set_dtype(dtype)
    cache = caches.make_prompt_cache(model)
    model(mx.zeros((1, 1), dtype=mx.int32), cache=cache)
    parts: dict[int | None, int] = {}
    fixed = sum(_count(layer, parts) for layer in cache)
    return {
        "parts": [[size, window] for window, size in parts.items()],
        "fixed": fixed,
        "parameters": parameters,
    }


def shape_of(answer: dict[str, Any]) -> CacheShape | None:
    """Return the shape in an answer of `measure`, None for an error."""
    try:
        parts = tuple(CachePart(int(size), window) for size, window in answer["parts"])
        return CacheShape(parts, int(answer["fixed"]), is_measured=True)
    except (KeyError, TypeError, ValueError):
        return None


def _count(layer: Any, parts: dict[int | None, int]) -> int:
    """Add what grows with the tokens in one layer's cache; return the bytes that do not."""
    if layer is None:
        return 0
    inner = getattr(layer, "caches", None)
    if inner is not None:
        return sum(_count(cache, parts) for cache in inner)
    keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
    if keys is None:
        return int(layer.nbytes)
    length = keys.shape[-2]
    size = int(keys.nbytes) + (int(values.nbytes) if values is not None else 0)
    window = getattr(layer, "max_size", None) or getattr(layer, "chunk_size", None)
    parts[window] = parts.get(window, 0) + size // length
    return 0


def _dtype(places: list[Table]) -> str:
    found = [place.get("dtype", place.get("torch_dtype")) for place in reversed(places)]
    return next((str(name) for name in found if name), "bfloat16")


def _allow_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_S
    with contextlib.suppress(ValueError, OSError):
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, most))
