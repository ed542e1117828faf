"""SDAR mixture of experts: Qwen3-MoE backbone, otherwise as SDAR (SPEC 0.2)."""

from dataclasses import replace

from dllm_rl.families.sdar import SDAR

SDAR_MOE = replace(
    SDAR,
    name="sdar_moe",
    model_types=("sdar_moe",),
    backbone="qwen3_moe",
    published_config={
        **SDAR.published_config,
        "architectures": ["SDARMoeForCausalLM"],
        "model_type": "sdar_moe",
        "decoder_sparse_step": 1,
        "max_window_layers": 28,
        "mlp_only_layers": [],
        "norm_topk_prob": True,
        "output_router_logits": False,
        "router_aux_loss_coef": 0.001,
    },
    example="JetLM/SDAR-30B-A3B-Chat-b8",
)
