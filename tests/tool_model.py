"""A model that calls a tool, small enough to be written by hand."""

import itertools
import json
from pathlib import Path

import numpy as np
from model_kit import make_folder
from safetensors.numpy import save

_END = "<|im_end|>"
# What follows what: nothing may stand twice, since a token alone decides on the next.
_CALLS = [
    "<call>", "<tool_call>", '{"name":', '"weather",', '"arguments":', '{"city":', '"Paris"}}',
    "</tool_call>", _END,
]  # fmt: skip
ANSWER = "It rains in Paris."
_SAYS = ["<say>", *ANSWER.split(), _END]
_WORDS = ["<unk>", *dict.fromkeys(_CALLS + _SAYS)]
_SPECIAL = ("<unk>", "<call>", "<say>", _END)
# With tools and no result of one it calls, otherwise it says. mlx_lm knows by the form of the call
# which of its parsers to take.
_TEMPLATE = """\
{%- for message in messages %}{{ message.role }} {{ message.content or '' }}
{%- for tool_call in message.tool_calls or [] %}
<tool_call> {{ tool_call.name }} {{ tool_call.function.name }} </tool_call>
{%- endfor %} {% endfor %}
{%- if tools and messages[-1].role != 'tool' %} <call>{% else %} <say>{% endif %}"""
_SIZE = 32
"""Of the vocabulary and of the hidden state, where each word has a place of its own."""


def make_tool_model(folder: Path) -> Path:
    """Write a model that always calls `weather` for Paris, and knows what to say afterwards."""
    settings = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": _SIZE,
        "hidden_size": _SIZE, "intermediate_size": _SIZE, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096, "tie_word_embeddings": False, "torch_dtype": "float32",
        "eos_token_id": _WORDS.index(_END),
    }  # fmt: skip
    tokens = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": _END, "unk_token": "<unk>"}
    files = {
        "config.json": settings,
        "tokenizer_config.json": tokens | {"chat_template": _TEMPLATE},
        "tokenizer.json": _tokenizer(),
    }
    texts = {name: json.dumps(content).encode() for name, content in files.items()}
    return make_folder(folder, texts | {"model.safetensors": _weights()})


def _weights() -> bytes:
    one_hot = np.eye(_SIZE, dtype=np.float32)
    follows = np.zeros((_SIZE, _SIZE), np.float32)
    for chain in (_CALLS, _SAYS):
        for word, following in itertools.pairwise(chain):
            # Far above the others, so that no temperature changes it.
            follows[_WORDS.index(following), _WORDS.index(word)] = 100.0
    layer = "model.layers.0"
    square = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
              "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")  # fmt: skip
    norms = (f"{layer}.input_layernorm", f"{layer}.post_attention_layernorm", "model.norm")
    # A layer of zeros adds nothing, so the last word alone reaches the end.
    return save(
        {
            "model.embed_tokens.weight": one_hot,
            "lm_head.weight": follows,
            **{f"{layer}.{name}.weight": np.zeros_like(one_hot) for name in square},
            **{f"{name}.weight": np.ones(_SIZE, np.float32) for name in norms},
        },
        {"format": "mlx"},
    )


def _tokenizer() -> dict[str, object]:
    added = [
        {
            "id": number, "content": word, "special": word in _SPECIAL, "normalized": False,
            "single_word": False, "lstrip": False, "rstrip": False,
        }
        for number, word in enumerate(_WORDS)
        if word.startswith("<")
    ]  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": added, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None, "decoder": None,
        "model": {
            "type": "WordLevel", "unk_token": "<unk>",
            "vocab": {word: number for number, word in enumerate(_WORDS)},
        },
    }  # fmt: skip
