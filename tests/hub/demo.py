"""Small models with true configs and headers, and a catalogue of them."""

from typing import Any

from hub.blobs import MiB, SyntheticBlob, safetensors_blob
from hub.server import StandInHub


def tiny_llama(
    bits: int | None = 4, hidden: int = 512, layers: int = 4, shards: int = 1
) -> dict[str, Any]:
    """The files of a small MLX model with true config and headers and meaningless weights."""
    vocab, inner, heads, group = 4096, hidden * 3, 8, 64
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
        "num_hidden_layers": layers, "intermediate_size": inner, "num_attention_heads": heads,
        "num_key_value_heads": heads // 2, "head_dim": hidden // heads, "vocab_size": vocab,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 32768, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }  # fmt: skip
    if bits:
        config["quantization"] = config["quantization_config"] = {"group_size": group, "bits": bits}

    def linear(name: str, rows: int, columns: int) -> dict[str, tuple[str, list[int]]]:
        if not bits:
            return {f"{name}.weight": ("BF16", [rows, columns])}
        scale = ("BF16", [rows, columns // group])
        return {f"{name}.weight": ("U32", [rows, columns * bits // 32]), f"{name}.scales": scale,
                f"{name}.biases": scale}  # fmt: skip

    tensors = linear("model.embed_tokens", vocab, hidden)
    for i in range(layers):
        base = f"model.layers.{i}"
        for name, rows, columns in (
            ("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", hidden // 2, hidden),
            ("self_attn.v_proj", hidden // 2, hidden), ("self_attn.o_proj", hidden, hidden),
            ("mlp.gate_proj", inner, hidden), ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ):  # fmt: skip
            tensors |= linear(f"{base}.{name}", rows, columns)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{base}.{name}.weight"] = ("BF16", [hidden])
    tensors["model.norm.weight"] = ("BF16", [hidden])
    tensors |= linear("lm_head", vocab, hidden)

    names = list(tensors)
    files: dict[str, Any] = {
        ".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
        "README.md": "---\nlicense: apache-2.0\nlibrary_name: mlx\n---\n# Demo model\n",
        "config.json": config,
        "tokenizer_config.json": {
            "model_max_length": 32768,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    }
    weight_map: dict[str, str] = {}
    total = 0
    for n in range(shards):
        part = names[n * len(names) // shards : (n + 1) * len(names) // shards]
        file = (
            "model.safetensors" if shards == 1 else f"model-{n + 1:05}-of-{shards:05}.safetensors"
        )
        blob = safetensors_blob(
            {k: tensors[k] for k in part}, {"format": "mlx"}, seed=f"{hidden}-{layers}-{bits}-{n}"
        )
        files[file] = blob
        weight_map |= dict.fromkeys(part, file)
        total += blob.size
    files["model.safetensors.index.json"] = {
        "metadata": {"total_size": total},
        "weight_map": weight_map,
    }
    return files


def add_demo_models(hub: StandInHub) -> None:
    """A small catalogue with every state the user interface has to show."""
    rows: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (
            "Demo-Llama-1B-4bit",
            {"hidden": 1024, "layers": 8, "shards": 2},
            {"likes": 321, "downloads": 120_000},
        ),
        (
            "Demo-Llama-1B-8bit",
            {"hidden": 1024, "layers": 8, "bits": 8, "shards": 3},
            {"likes": 88},
        ),
        (
            "Demo-Llama-1B-bf16",
            {"hidden": 1024, "layers": 8, "bits": None, "shards": 4},
            {"downloads": 9_000},
        ),
        ("Demo-Mini-4bit", {"hidden": 256, "layers": 2}, {"likes": 12, "trendingScore": 40}),
        (
            "Demo-Tiny-6bit",
            {"hidden": 256, "layers": 2, "bits": 6},
            {"lastModified": "2026-10-01T00:00:00.000Z"},
        ),
    ]
    for name, options, info in rows:
        hub.add_model(f"mlx-community/{name}", tiny_llama(**options), **info)
    hub.add_model(
        "mlx-community/Demo-Gated-4bit", tiny_llama(hidden=256), gated="manual", granted=["tester"]
    )
    unsupported = tiny_llama(hidden=256)
    unsupported["config.json"] |= {
        "model_type": "quantum_llama",
        "architectures": ["QuantumLlamaForCausalLM"],
    }
    hub.add_model("mlx-community/Demo-Unsupported-4bit", unsupported)
    pytorch = {"config.json": {"model_type": "llama"}, "pytorch_model.bin": SyntheticBlob(5 * MiB)}
    hub.add_model("someone/Demo-Pytorch", pytorch, library_name="transformers", tags=["pytorch"])
