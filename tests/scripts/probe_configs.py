"""What modules of mlx-lm want in a config beside their required fields, as their models have it.

Small in every size; lists have an entry for each of the four layers.
"""

from typing import Any

_ROPE = {"rope_theta": 10000.0, "rope_type": "default", "type": "default"}
_YARN = {
    "type": "yarn", "rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "mscale": 1.0,
    "original_max_position_embeddings": 2048, "mscale_all_dim": 1.0, "beta_fast": 32,
    "beta_slow": 1, "llama_4_scaling_beta": 0.1,
}  # fmt: skip
_LONG = {
    "type": "longrope", "original_max_position_embeddings": 2048,
    "short_factor": [1.0] * 16, "long_factor": [1.0] * 16,
}  # fmt: skip
_MIXED = ["sliding_attention", "full_attention"] * 2
_BY_LAYER = {"sliding_attention": _ROPE, "full_attention": _ROPE}
_BLOCK = {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 2.0}}
_CORE: dict[str, Any] = {
    "hidden_size": 256, "num_hidden_layers": 4, "intermediate_size": 512, "vocab_size": 512,
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 32, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "max_position_embeddings": 8192,
}  # fmt: skip
_LINEAR = {
    "kda_layers": [1, 2, 3], "full_attn_layers": [4], "num_heads": 8, "head_dim": 32,
    "short_conv_kernel_size": 4, "gate_lower_bound": -5.0,
}  # fmt: skip
_HYBRID = {"linear_num_value_heads": 8, "linear_num_key_heads": 4, "linear_key_head_dim": 32,
           "linear_value_head_dim": 32}  # fmt: skip
_LFM2 = {
    "model_type": "lfm2", "norm_eps": 1e-5, "conv_bias": False, "conv_L_cache": 3,
    "block_dim": 256, "block_multiple_of": 256, "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": True, "full_attn_idxs": [1, 3],
}  # fmt: skip

EXTRA: dict[str, dict[str, Any]] = {
    "afm7": {"hidden_dim": 256, "num_heads": 8, "num_kv_reuse_layers": 2},
    "baichuan_m1": {"sliding_window_layers": [1, 3], "conv_window": 2},
    "dbrx": {
        "ffn_config": {"ffn_hidden_size": 512, "moe_num_experts": 4, "moe_top_k": 2},
        "attn_config": {"kv_n_heads": 4, "clip_qkv": 8, "rope_theta": 10000.0},
    },
    "deepseek_v2": {"rope_scaling": _YARN, "num_key_value_heads": 8},
    "exaone4": {"sliding_window_pattern": "LLLG", "rope_scaling": _ROPE},
    "exaone_moe": {"layer_types": _MIXED, "is_moe_layer": [False, True, True, True]},
    "gemma3": {"text_config": {**_CORE, "model_type": "gemma3_text", "num_hidden_layers": 6}},
    "gemma3_text": {"num_hidden_layers": 6},
    "gemma3n": {
        "text_config": {
            **_CORE,
            "model_type": "gemma3n_text",
            "num_kv_shared_layers": 2,
            "vocab_size_per_layer_input": 512,
            "sliding_window": 1024,
            "rope_local_base_freq": 10000.0,
            "final_logit_softcapping": 30.0,
            "layer_types": _MIXED,
            "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0],
            "hidden_size_per_layer_input": 32,
            "altup_num_inputs": 4,
            "altup_coef_clip": 120.0,
            "altup_correct_scale": True,
            "altup_active_idx": 0,
            "laurel_rank": 16,
        },
    },
    "gemma4_text": {
        "layer_types": _MIXED,
        "num_kv_shared_layers": 2,
        "vocab_size_per_layer_input": 512,
        "hidden_size_per_layer_input": 32,
        "global_head_dim": 64,
    },
    "glm_moe_dsa": {
        "index_head_dim": 64,
        "index_n_heads": 4,
        "index_topk": 128,
        "rope_parameters": _ROPE,
        "num_key_value_heads": 8,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
    },
    "gptj": {"rotary_dim": 16},
    "granitemoehybrid": {
        "layer_types": ["mamba", "mamba", "mamba", "attention"],
        "mamba_n_heads": 16,
        "mamba_d_head": 32,
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_n_groups": 1,
        "mamba_proj_bias": False,
        "mamba_conv_bias": True,
        "shared_intermediate_size": 512,
    },
    "hunyuan": {
        "use_cla": True,
        "cla_share_factor": 2,
        "moe_topk": 2,
        "rope_scaling": {"type": "dynamic", "factor": 1.0, "alpha": 1000.0},
    },
    "jamba": {
        "attn_layer_offset": 1,
        "attn_layer_period": 2,
        "expert_layer_offset": 1,
        "expert_layer_period": 2,
        "mamba_expand": 2,
        "mamba_d_state": 16,
    },
    "kimi_k3": {
        "text_config": {
            **_CORE,
            "model_type": "kimi_linear",
            "linear_attn_config": _LINEAR,
            "q_lora_rank": 64,
            "kv_lora_rank": 64,
            "qk_nope_head_dim": 32,
            "qk_rope_head_dim": 32,
            "v_head_dim": 32,
            "num_experts": 4,
            "num_experts_per_token": 2,
            "moe_intermediate_size": 128,
            "num_key_value_heads": 8,
            "num_shared_experts": 1,
            "activation_situ_beta": 1.0,
            "activation_situ_linear_beta": 1.0,
            "attn_res_block_size": 2,
            "first_k_dense_replace": 1,
        },
    },
    "kimi_linear": {"linear_attn_config": _LINEAR, "num_key_value_heads": 8},
    "lfm2": {**_LFM2, "layer_types": None},
    "lfm2-vl": {"text_config": {**_CORE, **_LFM2}},
    "lfm2_moe": {
        "layer_types": ["conv", "full_attention"] * 2,
        "num_dense_layers": 1,
        "conv_L_cache": 3,
        "use_expert_bias": True,
    },
    "llama4": {
        "text_config": {
            **_CORE,
            "model_type": "llama4_text",
            "attention_bias": False,
            "attention_chunk_size": 1024,
            "interleave_moe_layer_step": 2,
            "intermediate_size_mlp": 512,
            "num_experts_per_tok": 1,
            "num_local_experts": 4,
            "rope_scaling": None,
            "use_qk_norm": True,
        },
    },
    "longcat_flash": {
        "zero_expert_type": "identity",
        "mla_scale_q_lora": True,
        "mla_scale_kv_lora": True,
    },
    "longcat_flash_ngram": {
        "zero_expert_type": "identity",
        "mla_scale_q_lora": True,
        "mla_scale_kv_lora": True,
    },
    "mamba2": {"num_heads": 16, "n_groups": 1, "time_step_limit": [0.0, 100.0], "state_size": 16},
    "mellum": {"layer_types": _MIXED, "rope_parameters": _BY_LAYER},
    "mimo_v2_flash": {
        "hybrid_layer_pattern": [0, 1, 1, 0],
        "moe_layer_freq": [0, 1, 1, 1],
        "swa_num_attention_heads": 8,
        "swa_num_key_value_heads": 4,
        "swa_head_dim": 32,
        "swa_v_head_dim": 32,
        "partial_rotary_factor": 0.5,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "sliding_window_size": 128,
    },
    "minicpm3": {"rope_scaling": _LONG, "num_key_value_heads": 8},
    "ministral3": {"rope_parameters": _YARN, "layer_types": _MIXED},
    "mistral4": {"rope_parameters": _YARN, "num_key_value_heads": 8, "head_dim": None},
    "muse_spark": {
        "text_config": {
            **_CORE,
            "post_norm_eps": 1e-5,
            "rope_parameters": _ROPE,
            "layer_rope_theta": [10000.0, 10000.0, 10000.0, 0.0],
            "layer_types": _MIXED,
            "sliding_window": 1024,
            "final_logit_softcapping": 30.0,
            "output_multiplier": 1.0,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "moe_hidden_size": 256,
            "moe_intermediate_size": 128,
        },
    },
    "nemotron-nas": {"block_configs": [_BLOCK] * 4},
    "nemotron_h": {
        "hybrid_override_pattern": ["M", "*", "E", "-"],
        "mamba_num_heads": 16,
        "mamba_head_dim": 32,
        "n_groups": 1,
        "ssm_state_size": 16,
        "layer_types": None,
        "moe_shared_expert_intermediate_size": 128,
        "routed_scaling_factor": 1.0,
    },
    "openelm": {
        "num_transformer_layers": 4,
        "model_dim": 256,
        "num_query_heads": [8] * 4,
        "num_kv_heads": [4] * 4,
        "ffn_multipliers": [2.0] * 4,
        "ffn_dim_divisor": 64,
    },
    "qwen": {"kv_channels": 32},
    "qwen3_5": {"text_config": {**_CORE, **_HYBRID, "model_type": "qwen3_5_text"}},
    "qwen3_5_moe": {
        "text_config": {
            **_CORE,
            **_HYBRID,
            "model_type": "qwen3_5_moe_text",
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "shared_expert_intermediate_size": 128,
            "moe_intermediate_size": 128,
        },
    },
    "qwen3_vl_moe": {
        "text_config": {
            **_CORE,
            "model_type": "qwen3_moe",
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
            "moe_intermediate_size": 128,
            "tie_word_embeddings": False,
            "norm_topk_prob": True,
        },
    },
    "recurrent_gemma": {"block_types": ["recurrent", "recurrent", "attention"]},
    "spark2_5": {"rope_parameters": _BY_LAYER, "hidden_act": "gelu"},
}
"""Module to fields, over what the script makes up by itself."""
