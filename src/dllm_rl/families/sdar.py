"""SDAR and TraDo, dense: Qwen3 backbone, block-causal attention, no logit shift (SPEC 0.2)."""

from dllm_rl.families.chat_prompts import SDAR_PROMPTS
from dllm_rl.families.family import Family

SDAR = Family(
    name="sdar",
    model_types=("sdar",),
    backbone="qwen3",
    attention="block",
    logit_shift=0,
    mask_token="<|MASK|>",
    special_ids={"mask": 151669, "pad": 151643, "eos": 151643},
    stop_tokens=("<|im_end|>",),
    prompts=SDAR_PROMPTS,
    published_config={
        "architectures": ["SDARForCausalLM"],
        "model_type": "sdar",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "rope_scaling": None,
        "sliding_window": None,
        "use_sliding_window": False,
        "use_cache": False,
    },
    required={"use_sliding_window": (False,), "attention_bias": (False,), "hidden_act": ("silu",)},
    example="JetLM/SDAR-4B-Chat",
    engines=("sglang", "lmdeploy"),
)
