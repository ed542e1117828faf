"""SDAR mixture of experts: Qwen3-MoE backbone, otherwise as SDAR (SPEC 0.2)."""

from dllm_rl.families.chat_prompts import SDAR_PROMPTS
from dllm_rl.families.family import Family

SDAR_MOE = Family(
    name="sdar_moe",
    model_types=("sdar_moe",),
    backbone="qwen3_moe",
    attention="block",
    logit_shift=0,
    mask_token="<|MASK|>",
    special_ids={"mask": 151669, "pad": 151643, "eos": 151643},
    stop_tokens=("<|im_end|>",),
    prompts=SDAR_PROMPTS,
    published_config={
        "architectures": ["SDARMoeForCausalLM"],
        "model_type": "sdar_moe",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "decoder_sparse_step": 1,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_window_layers": 28,
        "mlp_only_layers": [],
        "norm_topk_prob": True,
        "output_router_logits": False,
        "rope_scaling": None,
        "router_aux_loss_coef": 0.001,
        "sliding_window": None,
        "use_sliding_window": False,
        "use_cache": False,
    },
    required={"use_sliding_window": (False,), "attention_bias": (False,), "hidden_act": ("silu",)},
    example="JetLM/SDAR-30B-A3B-Chat-b8",
    engines=("sglang", "lmdeploy"),
)
