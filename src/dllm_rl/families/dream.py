"""Dream, DiffuCoder and Dream-Coder: Qwen2 backbone, full attention, logits shifted by one (SPEC 0.2)."""

from dllm_rl.families.chat_prompts import DREAM_PROMPTS
from dllm_rl.families.family import Family

DREAM = Family(
    name="dream",
    model_types=("Dream", "dream"),
    backbone="qwen2",
    attention="full",
    logit_shift=1,
    mask_token="<|mask|>",
    special_ids={"mask": 151666, "pad": 151643, "eos": 151645},
    stop_tokens=("<|im_end|>",),
    prompts=DREAM_PROMPTS,
    published_config={
        "architectures": ["DreamModel"],
        "model_type": "Dream",
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "rope_scaling": None,
        "sliding_window": None,
        "use_cache": False,
        "use_mrope": False,
        "use_sliding_window": False,
    },
    required={"use_sliding_window": (False,), "use_mrope": (False,), "hidden_act": ("silu",)},
    example="Dream-org/Dream-v0-Instruct-7B",
    auto_class="AutoModel",
)
