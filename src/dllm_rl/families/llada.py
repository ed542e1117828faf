"""LLaDA 8B, LLaDA 1.5 and kin: Llama backbone under names of their own, full attention, no shift (SPEC 0.2)."""

from dllm_rl.families.chat_prompts import LLADA_PROMPTS
from dllm_rl.families.family import Family

_BLOCK, _LAYER = r"model\.transformer\.blocks\.(\d+)\.", r"model.layers.\1."

LLADA = Family(
    name="llada",
    model_types=("llada",),
    backbone="llama",
    attention="full",
    logit_shift=0,
    mask_token="<|mdm_mask|>",
    special_ids={"mask": 126336, "pad": 126081, "eos": 126081},
    stop_tokens=("<|eot_id|>",),
    prompts=LLADA_PROMPTS,
    published_config={
        "architectures": ["LLaDAModelLM"],
        "model_type": "llada",
        "activation_type": "silu",
        "alibi": False,
        "attention_dropout": 0.0,
        "attention_layer_norm": False,
        "bias_for_layer_norm": False,
        "block_group_size": 1,
        "block_type": "llama",
        "embedding_dropout": 0.0,
        "flash_attention": False,
        "include_bias": False,
        "include_qkv_bias": False,
        "init_device": "meta",
        "input_emb_norm": False,
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "multi_query_attention": None,
        "precision": "amp_bf16",
        "residual_dropout": 0.0,
        "rope": True,
        "rope_full_precision": True,
        "scale_logits": False,
        "use_cache": False,
        "weight_tying": False,
    },
    required={
        "activation_type": ("silu",), "alibi": (False,), "attention_layer_norm": (False,), "block_type": ("llama",),
        "include_bias": (False,), "include_qkv_bias": (False,), "input_emb_norm": (False,), "layer_norm_type": ("rms",),
        "multi_query_attention": (None, False), "rope": (True,), "scale_logits": (False,),
    },
    config_names={
        "d_model": "hidden_size", "mlp_hidden_size": "intermediate_size", "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads", "n_layers": "num_hidden_layers", "embedding_size": "vocab_size",
        "max_sequence_length": "max_position_embeddings", "rms_norm_eps": "rms_norm_eps", "rope_theta": "rope_theta",
        "weight_tying": "tie_word_embeddings",
    },
    weight_names={
        _BLOCK + "attn_norm": _LAYER + "input_layernorm",
        _BLOCK + "ff_norm": _LAYER + "post_attention_layernorm",
        **{_BLOCK + name: _LAYER + "self_attn." + name for name in ("q_proj", "k_proj", "v_proj")},
        _BLOCK + "attn_out": _LAYER + "self_attn.o_proj",
        _BLOCK + "ff_proj": _LAYER + "mlp.gate_proj",
        _BLOCK + "up_proj": _LAYER + "mlp.up_proj",
        _BLOCK + "ff_out": _LAYER + "mlp.down_proj",
        r"model\.transformer\.wte": "model.embed_tokens",
        r"model\.transformer\.ln_f": "model.norm",
        r"model\.transformer\.ff_out": "lm_head",
    },
)
